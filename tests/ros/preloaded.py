"""Faults of the clock and of ROS itself: preloaded.c, compiled for the test, and what it is told."""

import pathlib
import shutil
import struct
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).with_suffix(".c")
WAIT_FAILS, CLOCK_FAILS = 1, 2


class Preloaded:
    """`environment` is what to run the bridge with."""

    def __init__(self, folder):
        if not shutil.which("cc"):
            pytest.skip("no C compiler")
        library, self._shared = folder / "preloaded.so", folder / "faults"
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        self.set()
        self.environment = {"LD_PRELOAD": str(library), "AETHER_FAULTS": str(self._shared)}

    def set(self, ahead=0, wait=0, sleeps=False, hangs=False):
        """How many seconds the wall clock is ahead, what happens to the thread that waits for messages, whether the steady
        clock stands still, and whether the middleware hangs when it is to give up a node.
        """
        with open(self._shared, "r+b" if self._shared.exists() else "w+b") as file:
            file.write(struct.pack("qqqq", ahead, wait, sleeps, hangs))
