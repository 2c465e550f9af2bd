"""The `ros2` command as a process: of the ROS in the environment, or of the folders in AETHER_TEST_PYTHONPATH.

Such a folder holds plain Python packages (launch, launch_ros, ros2cli, ros2launch, … with their .dist-info). Several
folders are separated by colons.
"""

import contextlib
import importlib.machinery
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest
from record import PATIENCE, Record

FOLDERS = [folder for folder in os.environ.get("AETHER_TEST_PYTHONPATH", "").split(":") if folder]
STAND_INS = pathlib.Path(__file__).parent / "stand_ins"
LAUNCH = ["launch", "launch_ros", "ros2cli", "ros2launch"]
COMMANDS = ["psutil", "ros2cli", "ros2node", "ros2param", "ros2run", "ros2service", "ros2topic"]


def _found(module):
    return importlib.machinery.PathFinder.find_spec(module, [*FOLDERS, *sys.path]) is not None


def _needs(modules):
    missing = [module for module in modules if not _found(module)]
    reason = f"this ROS has no {', '.join(missing)}: source a ROS that has them, or name folders of Python packages in "
    return pytest.mark.skipif(bool(missing), reason=f"{reason}AETHER_TEST_PYTHONPATH (see tests/ros/ros2_command.py)")


needs_launch = _needs(LAUNCH)
needs_commands = _needs(COMMANDS)


def environment():
    """The environment in which `ros2` runs."""
    folders = FOLDERS + ([] if _found("composition_interfaces") else [str(STAND_INS)])
    programs = [f"{folder}/bin" for folder in FOLDERS]
    return os.environ | {
        "PYTHONPATH": ":".join(filter(None, [*folders, os.environ.get("PYTHONPATH")])),
        "PATH": ":".join([*programs, os.environ["PATH"]]),
    }


def command_line(*arguments):
    """`ros2` with arguments. A plain copy of the packages needs no program of that name."""
    if shutil.which("ros2", path=environment()["PATH"]):
        return ["ros2", *map(str, arguments)]
    return [sys.executable, "-c", "import sys; from ros2cli.cli import main; sys.exit(main())", *map(str, arguments)]


class Ros2:
    """A `ros2` command that runs. Its lines are recorded as they come."""

    def __init__(self, *arguments, log_folder, folder=None, **variables):
        self.log = Record(f"ros2 {' '.join(map(str, arguments))}")
        self._process = subprocess.Popen(
            command_line(*arguments),
            env=environment() | {"ROS_LOG_DIR": str(log_folder)} | variables,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="ros2's output")
        self._reader.start()

    def interrupt(self):
        self._process.send_signal(signal.SIGINT)

    def wait(self):
        """Waits for the end, and returns the exit code."""
        try:
            code = self._process.wait(PATIENCE)
        finally:
            # launch leaves a process behind if it is interrupted in the moment in which it starts the process.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reader.join(PATIENCE)
        self._process.stdout.close()
        return code

    def ended(self):
        return self._process.poll() is not None

    def close(self):
        """Ends it as Ctrl-C does."""
        if not self.ended():
            self.interrupt()
            self.wait()

    def _read(self):
        for line in self._process.stdout:
            self.log.append(line.rstrip("\n"))
