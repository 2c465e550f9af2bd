"""Fixtures of the ROS graph tests. Every pytest process has a ROS domain to itself, on this machine only."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from this_machine import keep_to_this_machine  # noqa: E402  before anything that might start ROS

# A shell has what it starts in the background ignore SIGINT, and nohup has it ignore SIGHUP, which is inherited, and Java's
# runtime leaves it at that. A handler in this process is none in those that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)


def _take_domain():
    """A domain from 1 to 100 that no other test process has: held by a name that the kernel gives out once."""
    for offset in range(100):
        domain = 1 + (os.getpid() + offset) % 100
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            holder.bind(f"\0aether_bridge_test_domain_{domain}")
        except OSError:
            holder.close()
            continue
        return domain, holder
    raise RuntimeError("every ROS domain from 1 to 100 is taken by a test process")


DOMAIN, _holder = _take_domain()
keep_to_this_machine(DOMAIN)
# A bridge that a test starts without a harness writes its state here.
_state = tempfile.TemporaryDirectory(prefix="aether_state_")
os.environ["XDG_STATE_HOME"] = _state.name

import pytest  # noqa: E402  the domain comes before anything that might start ROS
from controller import ArmSim, Controller  # noqa: E402
from faults import TABLE, Rig, table  # noqa: E402
from harness import EXECUTABLES, Bridge, Hand, Peer, Repeater, Session  # noqa: E402
from record import MEASUREMENTS, PATIENCE  # noqa: E402
from ros2_command import Ros2, skip_without  # noqa: E402


# Files whose tests share something that takes long to make: one process runs them all.
TOGETHER = ["test_recorded.py"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Gives each test, or each file of TOGETHER, to the next process that is free.

    It is what --dist loadgroup and the mark xdist_group are for, but with pytest 9.2 they are ignored
    (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if pathlib.Path(file).name in TOGETHER else nodeid

    return Scheduler(config, log)


def pytest_sessionfinish(session):
    """In a worker of pytest-xdist: hands what was measured to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = (MEASUREMENTS.rows, TABLE)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """In that process: takes what a worker has measured. A worker that crashed hands over nothing."""
    rows, table_rows = getattr(node, "workeroutput", {}).get("measured", ((), ()))
    MEASUREMENTS.rows += rows
    TABLE.extend(table_rows)


def pytest_terminal_summary(terminalreporter):
    for title, lines in (("measured", MEASUREMENTS.lines()), ("faults", table())):
        if lines:
            terminalreporter.section(title)
            for line in lines:
                terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def ros_session():
    session = Session(DOMAIN)
    yield session
    session.close()


@pytest.fixture
def peer(ros_session):
    """A node of this test's own."""
    peer = Peer(ros_session)
    yield peer
    peer.close()


@pytest.fixture
def controller():
    """A controller that answers every command with ok."""
    with _closing() as made:
        yield made(Controller())


@pytest.fixture
def controllers():
    """Makes controllers."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Controller(*arguments, **options))


@pytest.fixture
def arm_sim():
    """Starts arm_sim with arguments; it reports where its arm is, unless it is plain."""
    with _closing() as made:

        def start(*arguments, plain=False):
            return made(ArmSim(EXECUTABLES / "arm_sim", *([] if plain else ["--report-state"]), *arguments))

        yield start


@pytest.fixture
def launch(peer, tmp_path):
    """Starts bridges as they are, and at the end shows what they logged and ends those that still run."""
    bridges = []

    def start(parameters=None, arguments=(), name="/aether_bridge", **options):
        bridges.append(Bridge(peer, parameters, arguments, tmp_path / "log", name, **options))
        return bridges[-1]

    yield start
    try:
        for bridge in bridges:
            if not bridge.ended():
                took = bridge.end()
                assert took < 5, f"SIGINT took {took} s to end the bridge"
    finally:
        for bridge in bridges:
            print(f"--- log of {bridge.name}, exit code {bridge.process.returncode}", *bridge.log, sep="\n")


@pytest.fixture
def bridge(launch, peer):
    """Starts a bridge for a controller, and waits until it is seen in the graph."""

    def start(controller, parameters=None, arguments=(), name="/aether_bridge", **options):
        if hasattr(controller, "stand_at"):
            controller.stand_at(parameters or {})
        started = launch({"link.port": controller.port, **(parameters or {})}, arguments, name, **options)
        started.status.wait()
        # The name of a node travels by itself, and may come after what the node says. Once in thousands of starts the
        # middleware loses it, which matters only to a test that looks for the name, and that one fails by itself.
        if not peer.sees_node(name):
            print(f"no node {name} in the graph, though it has published")
        return started

    return start


@pytest.fixture(scope="session")
def ros2_launch():
    skip_without("launch_ros.actions", "ros2launch.command.launch")


@pytest.fixture(scope="session")
def ros2_commands():
    skip_without("ros2cli.node.strategy", "ros2param.verb.dump", "ros2run.command.run", "ros2service.verb.call", "ros2topic.verb.echo")


@pytest.fixture
def ros2(tmp_path):
    """Starts `ros2` commands, and at the end of the test stops those that still run."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Ros2(*arguments, log_folder=tmp_path / "log", **options))


@pytest.fixture
def rig(launch, peer, repeat, tmp_path):
    """What faults are played with."""
    with _closing() as made, contextlib.ExitStack() as cleanup:
        yield Rig(made, launch, peer, repeat, tmp_path, cleanup)


@pytest.fixture
def hand(peer):
    """Starts hands: hand((x, y, z))."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Hand(peer, *arguments, **options))


@pytest.fixture
def repeat(peer):
    """Starts repeaters: repeat(message_type, topic, make)."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Repeater(peer, *arguments, **options))


class _closing:
    """Closes what was made, the newest first."""

    def __enter__(self):
        self._made = []
        return self._make

    def _make(self, thing):
        self._made.append(thing)
        return thing

    def __exit__(self, *_):
        for thing in reversed(self._made):
            thing.close()
