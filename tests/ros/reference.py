"""The controllers of examples/controllers as processes, and clients that test them."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest
from controller import ControllerProcess
from record import PATIENCE

CONTROLLERS = pathlib.Path(__file__).parents[2] / "examples" / "controllers"
# A Python with mujoco, if this Python has no mujoco.
MUJOCO_PYTHON = os.environ.get("MUJOCO_PYTHON", sys.executable)

# Servers that refuse a second client immediately, and servers that accept it but refuse its
# commands.
ONE_BY_ONE = ["blocking.py", "controller.c", "Controller.java", "mujoco_arm.py"]
TOGETHER = ["asyncio_server.py", "node_server.js"]


class Workshop:
    """Knows how to run each controller, and compiles it once if necessary."""

    def __init__(self, folder):
        self._folder = folder
        self._commands = {}

    def command(self, name):
        """Return the command that runs this controller.

        Skip the test if this machine cannot run it.
        """
        if name not in self._commands:
            self._commands[name] = self._prepare(name)
        return self._commands[name]

    def _prepare(self, name):
        source = CONTROLLERS / name
        if name == "node_server.js":
            return [_tool("node", name), source]
        if name == "Controller.java":
            self._compile([_tool("javac", name), "-Xlint:all", "-Werror", "-d", self._folder, source])
            return [_tool("java", name), "-XX:TieredStopAtLevel=1", "-cp", self._folder, "Controller"]
        if name == "controller.c":
            program = self._folder / "controller"
            strict = ["-std=c11", "-O2", "-Wall", "-Wextra", "-Werror"]
            self._compile([_tool("cc", name), *strict, "-o", program, source, "-lm"])
            return [program]
        if name == "mujoco_arm.py":
            probe = subprocess.run([MUJOCO_PYTHON, "-c", "import mujoco"], capture_output=True, env=_plain(), check=False)
            if probe.returncode:
                pytest.skip(f"{name}: {MUJOCO_PYTHON} has no mujoco; set MUJOCO_PYTHON to a Python that has mujoco")
            return [MUJOCO_PYTHON, source]
        return [sys.executable, source]

    def _compile(self, command):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _tool(tool, name):
    found = shutil.which(tool)
    if not found:
        pytest.skip(f"{name}: {tool} is not installed")
    return found


def _plain():
    """Return the environment without ROS, because ROS sets Python packages for another Python."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


class Program(ControllerProcess):
    """A reference controller as a process."""

    def __init__(self, command, port=0, arguments=()):
        super().__init__([*command, "--port", port, *arguments], env=_plain())

    def moves(self, after=0):
        """Return the moves that the controller has printed: x, y, z and the gripper."""
        return [move for line in self.printed[after:] if (move := parse_move(line))]

    def wait_for_move(self, x, y, z, gripper="open", after=0):
        self.printed.wait(lambda line: parse_move(line) == (x, y, z, gripper), after)

    def send_signal(self, number):
        """Send a signal to the controller."""
        self._process.send_signal(number)

    def end(self, ending=signal.SIGTERM):
        """End the controller and return its exit code."""
        self._process.send_signal(ending)
        try:
            return self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def close(self, ending=signal.SIGTERM):
        self.end(ending)
        super().close(ending)


class Listening(Program):
    """A controller that listens."""

    def __init__(self, command, port=0, arguments=()):
        super().__init__(command, port, arguments)
        line = self.printed.wait()
        match = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)", line)
        assert match, f"its first line: {line!r}"
        self.port = int(match[1])
        self.peer = f"127.0.0.1:{self.port}"

    def client(self):
        return Client(socket.create_connection(("127.0.0.1", self.port), PATIENCE))


class Dialling(Program):
    """A controller that dials in: to a listener of the test, or to a given port."""

    def __init__(self, command, port=None):
        self._listener = socket.create_server(("127.0.0.1", 0)) if port is None else None
        self.port = port or self._listener.getsockname()[1]
        super().__init__(command, self.port)

    def client(self):
        self._listener.settimeout(PATIENCE)
        return Client(self._listener.accept()[0])

    def close(self, ending=signal.SIGTERM):
        super().close(ending)
        if self._listener:
            self._listener.close()


class Client:
    """The bridge's side of a connection."""

    def __init__(self, connection):
        self.socket = connection
        self.socket.settimeout(PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = connection.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, data, count=1):
        """Send the bytes and return this many replies."""
        self.send(data)
        lines = [self._replies.readline() for _ in range(count)]
        assert all(line.endswith(b"\n") and len(line) <= 4096 for line in lines), lines
        return [json.loads(line.decode()) for line in lines]

    def silent(self, seconds=0.2):
        """Return whether no data comes for this time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE)

    def wait_closed(self):
        """Wait for the end of the connection and return the data received before."""
        rest = b""
        try:
            while data := self.socket.recv(4096):
                rest += data
        except ConnectionError:  # the controller had unread data
            pass
        return rest

    def close(self):
        self._replies.close()
        self.socket.close()


def parse_move(line):
    match = re.fullmatch(r"move x=(-?[\d.]+) y=(-?[\d.]+) z=(-?[\d.]+) gripper=(open|closed)", line)
    return match and (float(match[1]), float(match[2]), float(match[3]), match[4])
