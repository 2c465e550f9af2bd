"""Child processes whose output is kept, that never outlive their parent, and where to run them."""

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
# How long a program may take to end when asked to; then it is killed.
END_TIMEOUT = 5.0
KEPT_LINES = 200


class Child:
    """A running program. Its output, both streams, is read as it comes."""

    def __init__(self, name: str, command: list) -> None:
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            # A Ctrl-C on the terminal is for the parent alone, which ends its children in order.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        self._lines = collections.deque(maxlen=KEPT_LINES)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def line_starting(self, prefix: str) -> str | None:
        """The first of the last lines that starts so, if there is one."""
        return next((line for line in list(self._lines) if line.startswith(prefix)), None)

    def last_lines(self, count: int = 8) -> str:
        """The last lines of output, to be shown."""
        self._reader.join(0.2)
        lines = list(self._lines)[-count:]
        return "\n".join(f"    {self.name}: {line}" for line in lines) or f"    {self.name} printed nothing"

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def _read(self) -> None:
        for line in self.process.stdout:
            self._lines.append(line.rstrip("\n"))


class Family:
    """The children that run. Leaving it, as a context, kills those that still do."""

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
        """Ends a child by a signal, or by SIGKILL if it does not obey. Returns its exit code, as subprocess has it."""
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
    """The installed program of this package."""
    try:
        from ament_index_python.packages import PackageNotFoundError, get_package_prefix
    except ImportError:
        raise ValueError("no ROS is sourced; run make demo, which sets up what is missing") from None
    try:
        return pathlib.Path(get_package_prefix(PACKAGE), "lib", PACKAGE, name)
    except PackageNotFoundError:
        raise ValueError(f"{PACKAGE} is not installed in any prefix of AMENT_PREFIX_PATH; run make build") from None


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Domain:
    """A ROS domain to itself, for as long as this lives: neither another demo nor a test takes it."""

    def __init__(self) -> None:
        first = os.getpid()
        for number in ((first + offset) % 100 + 1 for offset in range(100)):
            # A name that the kernel gives out once, and forgets with the process. The tests take theirs like this too.
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
    """Raises OSError if a ROS node on this machine is in the domain: by the port that the first one there takes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # 7400 + 250 * domain + 10 + 2 * participant: the DDS specification's port for discovery.
        probe.bind(("0.0.0.0", 7400 + 250 * domain + 10))


def _end_with_parent() -> None:
    """Runs in the child: the kernel interrupts it when the parent dies, however that happens."""
    _PRCTL(_PR_SET_PDEATHSIG, int(signal.SIGINT))


# Looked up before any fork, where loading a library is safe.
_PRCTL = ctypes.CDLL(None).prctl
_PR_SET_PDEATHSIG = 1
