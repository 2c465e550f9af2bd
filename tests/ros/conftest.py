"""Fixtures of the ROS graph tests.

Every pytest process has its own ROS domain, on this machine only.
"""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))
from this_machine import keep_to_this_machine  # noqa: E402  before anything that might start ROS

# Children inherit ignored signals. A shell ignores SIGINT in background jobs, nohup ignores SIGHUP,
# and Java's runtime keeps both ignored. A handler in this process resets them to the default in its
# children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda number, frame: None)


def _take_domain():
    """Take a domain from 1 to 100 that no other test process uses.

    A socket whose name contains the domain reserves it, because the kernel gives each name only
    once.
    """
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
# A bridge that a test starts without the harness writes its state here.
_state = tempfile.TemporaryDirectory(prefix="aether_state_")
os.environ["XDG_STATE_HOME"] = _state.name

import pytest  # noqa: E402  the domain comes before anything that might start ROS
from controller import ArmSim, Controller  # noqa: E402
from faults import TABLE, Rig, table  # noqa: E402
from harness import EXECUTABLES, Bridge, Hand, Peer, Repeater, Session  # noqa: E402
from record import MEASUREMENTS, PATIENCE  # noqa: E402
from ros2_command import Ros2, skip_without  # noqa: E402


# Files whose tests share a result that takes long to make. One process runs all tests of such a
# file.
TOGETHER = ["test_recorded.py"]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each test, or each file of TOGETHER, to the next free process.

    --dist loadgroup and the mark xdist_group are for this, but pytest 9.2 ignores them
    (https://github.com/pytest-dev/pytest-xdist/issues/1386).
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.partition("::")[0]
            return file if pathlib.Path(file).name in TOGETHER else nodeid

    return Scheduler(config, log)


def pytest_sessionfinish(session):
    """In a worker of pytest-xdist: pass the measurements to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["measured"] = (MEASUREMENTS.rows, TABLE)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    """In the main process: take the measurements of a worker. A crashed worker has none."""
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
    """A node for this test."""
    peer = Peer(ros_session)
    yield peer
    peer.close()


@pytest.fixture
def controller():
    """A controller that replies "ok" to every command."""
    with _closing() as made:
        yield made(Controller())


@pytest.fixture
def controllers():
    """Make controllers."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Controller(*arguments, **options))


@pytest.fixture
def arm_sim():
    """Start arm_sim with arguments. It reports the arm's position, unless it is plain."""
    with _closing() as made:

        def start(*arguments, plain=False):
            return made(ArmSim(EXECUTABLES / "arm_sim", *([] if plain else ["--report-state"]), *arguments))

        yield start


@pytest.fixture
def launch(peer, tmp_path):
    """Start bridges. At the end, show their logs and end those that still run."""
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
    """Start a bridge for a controller, and wait until it is in the graph."""

    def start(controller, parameters=None, arguments=(), name="/aether_bridge", **options):
        if hasattr(controller, "stand_at"):
            controller.stand_at(parameters or {})
        started = launch({"link.port": controller.port, **(parameters or {})}, arguments, name, **options)
        started.status.wait()
        # The name of a node travels separately and may arrive after its first messages. Once in
        # thousands of starts the middleware loses the name. Only a test that looks for the name
        # needs it, and that test fails by itself.
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
    """Start `ros2` commands. At the end of the test, stop those that still run."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Ros2(*arguments, log_folder=tmp_path / "log", **options))


@pytest.fixture
def rig(launch, peer, repeat, tmp_path):
    """The rig that plays faults."""
    with _closing() as made, contextlib.ExitStack() as cleanup:
        yield Rig(made, launch, peer, repeat, tmp_path, cleanup)


@pytest.fixture
def hand(peer):
    """Start hands: hand((x, y, z))."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Hand(peer, *arguments, **options))


@pytest.fixture
def repeat(peer):
    """Start repeaters: repeat(message_type, topic, make)."""
    with _closing() as made:
        yield lambda *arguments, **options: made(Repeater(peer, *arguments, **options))


class _closing:
    """Closes the objects that it has made, the newest first."""

    def __enter__(self):
        self._made = []
        return self._make

    def _make(self, thing):
        self._made.append(thing)
        return thing

    def __exit__(self, *_):
        for thing in reversed(self._made):
            thing.close()
