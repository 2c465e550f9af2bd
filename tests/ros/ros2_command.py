"""The `ros2` command as a process, from the ROS in the environment or from the folders in
AETHER_TEST_PYTHONPATH.

Such a folder holds plain Python packages. Make it with `pip install --target FOLDER --no-deps` and
these source folders: launch, launch_xml and launch_yaml of ros2/launch; launch_ros and ros2launch
of ros2/launch_ros; ros2cli, ros2node, ros2param, ros2pkg, ros2run, ros2service and ros2topic of
ros2/ros2cli; rosidl_runtime_py, osrf_pycommon and psutil. Separate several folders by colons.
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
import time

import pytest
from record import PATIENCE, Record

FOLDERS = [folder for folder in os.environ.get("AETHER_TEST_PYTHONPATH", "").split(":") if folder]
# Seconds after which an interrupt without effect is repeated.
ASK_AGAIN = 4.0
STAND_INS = pathlib.Path(__file__).parent / "stand_ins"

needs_launch = pytest.mark.usefixtures("ros2_launch")
needs_commands = pytest.mark.usefixtures("ros2_commands")


def skip_without(*modules):
    """Skip the test, with the reason, if `ros2` cannot import what it needs."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    tried = subprocess.run(command, env=environment(), capture_output=True, text=True)
    if tried.returncode != 0:
        why = tried.stderr.strip().splitlines()[-1]
        pytest.skip(
            f"no ros2 command here ({why}): source a ROS that has it, or name a folder of Python packages in "
            "AETHER_TEST_PYTHONPATH (see tests/ros/ros2_command.py)"
        )


def environment():
    """Return the environment in which `ros2` runs."""
    folders = [*FOLDERS, *sys.path]
    found = importlib.machinery.PathFinder.find_spec("composition_interfaces", folders)
    folders = [*FOLDERS, *([] if found else [str(STAND_INS)])]
    programs = [f"{folder}/bin" for folder in FOLDERS]
    return os.environ | {
        "PYTHONPATH": ":".join(filter(None, [*folders, os.environ.get("PYTHONPATH")])),
        "PATH": ":".join([*programs, os.environ["PATH"]]),
    }


def command_line(*arguments):
    """Return the command line of `ros2` with arguments.

    With a plain copy of the packages no program `ros2` is needed.
    """
    if shutil.which("ros2", path=environment()["PATH"]):
        return ["ros2", *map(str, arguments)]
    return [sys.executable, "-c", "import sys; from ros2cli.cli import main; sys.exit(main())", *map(str, arguments)]


class Ros2:
    """A running `ros2` command. Its lines are recorded."""

    def __init__(self, *arguments, log_folder, folder=None, **variables):
        self.log = Record(f"ros2 {' '.join(map(str, arguments))}")
        # A terminal sends Ctrl-C to all processes in the foreground. ros2 run only waits for its
        # child.
        self._ends_with_its_child = arguments[0] == "run"
        self._process = subprocess.Popen(
            command_line(*arguments),
            env=environment() | {"ROS_LOG_DIR": str(log_folder), "XDG_STATE_HOME": f"{log_folder}_state"} | variables,
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
        """End the command as Ctrl-C does, and return the exit code.

        launch loses an interrupt that arrives while its Python code runs. So send the interrupt
        while launch waits, and repeat it if launch does not end.
        """
        for _ in range(int(PATIENCE / ASK_AGAIN)):
            while not self.ended() and self._state() != "S":
                time.sleep(0.001)
            if self._ends_with_its_child:
                os.killpg(self._process.pid, signal.SIGINT)
            else:
                self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(ASK_AGAIN)
                break
        return self.wait()

    def wait(self):
        """Wait for the end and return the exit code."""
        try:
            code = self._process.wait(PATIENCE)
        finally:
            # Kill children that the command may have left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reader.join(PATIENCE)
        self._process.stdout.close()
        return code

    def ended(self):
        return self._process.poll() is not None

    def close(self):
        if not self.ended():
            self.interrupt()
        print(f"--- log of {self.log.name}, exit code {self._process.returncode}", *self.log, sep="\n")

    def _state(self):
        """Return the state of the main thread: R if it runs, S if it waits."""
        return pathlib.Path(f"/proc/{self._process.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]

    def _read(self):
        for line in self._process.stdout:
            self.log.append(line.rstrip("\n"))
