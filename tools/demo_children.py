"""Child processes that end with their parent, a free port and a free ROS domain."""

import collections
import ctypes
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

PACKAGE = "aether_bridge"
# Seconds that a program may take to end after its signal. Then it is killed.
END_TIMEOUT = 5.0
KEPT_LINES = 200


class Child:
    """A running program. A thread reads its output (stdout and stderr) continuously."""

    def __init__(self, name: str, command: list) -> None:
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # Ctrl-C on the terminal must reach only the parent, which ends its children in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        self._lines = collections.deque(maxlen=KEPT_LINES)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line_starting(self, prefix: str) -> str | None:
        """Return the first of the kept lines that starts with `prefix`, or None."""
        return next((line for line in list(self._lines) if line.startswith(prefix)), None)

    def last_lines(self, count: int = 8) -> str:
        """Return the last lines of output as text."""
        self._reader.join(0.2)
        lines = list(self._lines)[-count:]
        return "\n".join(f"    {self.name}: {line}" for line in lines) or f"    {self.name} printed nothing"

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.append(line.rstrip("\n"))


class Family:
    """The running children. Leaving the context kills those that still run."""

    def __init__(self) -> None:
        self.running = []

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_) -> None:
        for child in list(self.running):
            self.end(child, signal.SIGKILL)

    def start(self, name: str, command: list) -> Child:
        child = Child(name, [str(part) for part in command])
        self.running.append(child)
        return child

    def end(self, child: Child, how: signal.Signals, meanwhile=lambda: time.sleep(0.02)) -> int:
        """End a child by a signal, or by SIGKILL after END_TIMEOUT. Return its exit code."""
        if not child.has_ended():
            child.process.send_signal(how)
        deadline = time.monotonic() + END_TIMEOUT
        while not child.has_ended():
            meanwhile()
            if time.monotonic() > deadline:
                child.process.kill()
                child.process.wait()
        self.running.remove(child)
        return child.process.returncode

    def last_lines(self) -> str:
        return "\n".join(child.last_lines() for child in self.running)


def find_program(name: str) -> pathlib.Path:
    """Return the path of an installed program of this package."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        raise ValueError("no ROS is sourced; run make demo, which sets up what is missing") from None
    try:
        return pathlib.Path(get_package_prefix(PACKAGE), "lib", PACKAGE, name)
    except PackageNotFoundError:
        raise ValueError(f"{PACKAGE} is not installed in any prefix of AMENT_PREFIX_PATH; run make build") from None


def free_port() -> int:
    """Return a TCP port of this machine on which no program listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Domain:
    """A ROS domain that no other demo and no test uses while this object lives."""

    def __init__(self) -> None:
        first = os.getpid()
        for number in ((first + offset) % 100 + 1 for offset in range(100)):
            # The kernel gives out this name only once, and frees it when the process ends. The
            # tests use the same names.
            self._holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            try:
                self._holder.bind(f"\0aether_bridge_test_domain_{number}")
                _check_unused(number)
            except OSError:
                self._holder.close()
                continue
            self.number = number
            return
        raise ValueError("all ROS domains from 1 to 100 are in use on this machine")


def _check_unused(domain: int) -> None:
    """Raise OSError if a ROS node of this machine uses the domain: its first port is taken."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Source of the number: the DDSI-RTPS specification, unicast discovery port 7400 + 250 *
        # domain + 10 + 2 * participant.
        probe.bind(("0.0.0.0", 7400 + 250 * domain + 10))


def _end_with_parent() -> None:
    """Ask the kernel, in the child, to send SIGINT when the parent dies in any way."""
    _PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGINT))


# Load the library before any fork. After a fork it would not be safe.
_PRCTL = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1
