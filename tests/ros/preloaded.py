"""Faults of the clock and of ROS itself: compiles preloaded.c and controls it."""

import pathlib
import shutil
import struct
import subprocess

import pytest

SOURCE = pathlib.Path(__file__).with_suffix(".c")
WAIT_FAILS, CLOCK_FAILS = 1, 2


class Preloaded:
    """Run the bridge with the variables in `environment`."""

    def __init__(self, folder):
        if not shutil.which("cc"):
            pytest.skip("no C compiler")
        library, self._shared = folder / "preloaded.so", folder / "faults"
        subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"], check=True)
        self.set()
        self.environment = {"LD_PRELOAD": str(library), "AETHER_FAULTS": str(self._shared)}

    def set(self, ahead=0, wait=0, sleeps=False, hangs=False):
        """Set the faults.

        `ahead`: seconds by which the wall clock is ahead. `wait`: fault of the thread that waits
        for messages. `sleeps`: the steady clock stands still. `hangs`: destroying a node hangs.
        """
        with open(self._shared, "r+b" if self._shared.exists() else "w+b") as file:
            file.write(struct.pack("qqqq", ahead, wait, sleeps, hangs))
