"""Tests the transports: controllers that dial in, and UDP. With a real graph and real sockets."""

import json
import socket
import threading
import time

import pytest
from controller import HEARTBEAT, Receiver, command, report
from diagnostic_msgs.msg import DiagnosticArray
from harness import QUICK
from record import PATIENCE, Record

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
# If a controller does not report the position, the arm is at home.
AT_PLACE = {**QUICK, "arm.home": list(PLACE), "arm.assume_position": "home"}


class Dialler:
    """A controller that connects to the bridge. While `answers` is true, it replies to every line.

    Its record of lines has no heartbeats.
    """

    def __init__(self, port, answers=True, position=(120.0, 35.5, 210.0)):
        self.answers = answers
        # The arm's position in millimetres.
        self.position = position
        self.lines = Record("lines at the dialler")
        # Set when the bridge has closed the connection.
        self.closed = threading.Event()
        self._socket = dial(port)
        self.name = "%s:%d" % self._socket.getsockname()
        self._thread = threading.Thread(target=self._run, name="dialler")
        self._thread.start()

    def close(self):
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # closed by the bridge
            pass
        self._thread.join(PATIENCE)
        self._socket.close()

    def _run(self):
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    message = json.loads(line)
                    if message["type"] == "command":
                        self.position = [message[axis] for axis in "xyz"]
                    if self.answers:
                        self._socket.sendall(report(self.position))
                    if line != HEARTBEAT:
                        self.lines.append(line)
        except OSError:
            pass
        self.closed.set()


def dial(port):
    """Connect as soon as the bridge listens."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "the bridge does not listen"


@pytest.fixture
def port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@pytest.fixture
def diallers():
    made = []

    def make(*arguments, **options):
        made.append(Dialler(*arguments, **options))
        return made[-1]

    yield make
    for dialler in made:
        dialler.close()


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


def serve(launch, port, **more):
    return launch({**AT_PLACE, "link.transport": "tcp_server", "link.port": port, **more})


def test_every_connected_controller_gets_every_line(launch, port, diallers, hand):
    started = serve(launch, port, **{"link.min_clients": 2})
    started.status.wait(state="LISTENING", reason="0 of 2 connected to 127.0.0.1:")
    tracker = hand(PLACE)
    left = diallers(port)
    started.status.wait(state="LISTENING", reason="1 of 2 connected")
    right = diallers(port)
    status = started.status.wait(state="CONNECTED")
    assert status.peer == f"127.0.0.1:{port} from {left.name}, {right.name}"
    started.status.wait(motion="TRACKING")
    assert left.lines.wait() == right.lines.wait() == PLACE_LINE
    tracker.position = (0.15, 0.0355, 0.21)
    there = command("150.0", "35.5", "210.0")
    left.lines.wait(lambda line: line == there)
    right.lines.wait(lambda line: line == there)
    assert list(left.lines) == list(right.lines)

    # If one of them leaves, nothing moves. With another controller in its place, the arm is
    # approached again.
    right.close()
    started.status.wait(
        lambda status: right.name in status.last_error, state="LISTENING", motion="HOLDING", reason="1 of 2 connected"
    )
    tracker.position = PLACE
    before = len(left.lines)
    left.lines.assert_none(after=before)
    # Its arm is at another position and cannot get the same commands.
    elsewhere = diallers(port, position=(150.0, 135.5, 210.0))
    started.status.wait(state="CONNECTED", motion="HOLDING", reason="report positions 0.100 m apart")
    elsewhere.close()
    another = diallers(port, position=left.position)
    started.status.wait(state="CONNECTED", motion="APPROACH")
    assert another.lines.wait() == left.lines.wait(after=before)
    another.lines.wait(lambda line: line == PLACE_LINE)


def test_silent_controller_is_dropped_and_other_continues(launch, port, diallers, hand):
    started = serve(launch, port, **{"link.min_clients": 1, "link.reply_timeout": 0.2})
    started.status.wait(state="LISTENING")
    good = diallers(port)
    started.status.wait(state="CONNECTED")
    silent = diallers(port, answers=False)
    tracker = hand(PLACE)
    assert silent.closed.wait(PATIENCE)
    status = started.status.wait(lambda status: silent.name in status.last_error and silent.name not in status.peer)
    assert f"{silent.name}: dropped, because it has not replied for link.reply_timeout 0.2 s" in status.last_error
    assert status.state == 2, "the link is still up"
    tracker.position = (0.15, 0.0355, 0.21)
    good.lines.wait(lambda line: line == command("150.0", "35.5", "210.0"))
    assert not good.closed.is_set()


def test_server_listens_only_on_configured_address(launch, port, diallers):
    started = serve(launch, port)
    started.status.wait(state="LISTENING")
    diallers(port)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), PATIENCE)


def test_occupied_port_is_named_and_retried(launch, port, diallers):
    with socket.create_server(("127.0.0.1", port)):
        started = serve(launch, port)
        wanted = f"cannot listen on 127.0.0.1:{port}: "
        status = started.status.wait(lambda status: wanted in status.last_error, state="BACKOFF")
        assert status.last_error.endswith("something else listens there: another bridge?")
    started.status.wait(state="LISTENING")


def test_datagrams_are_matched_by_number(launch, receiver, hand, peer):
    diagnostics = peer.record(DiagnosticArray, "/diagnostics")
    parameters = {"link.transport": "udp", "link.port": receiver.port, "wire.extra_fields": ["seq"], "link.max_in_flight": 8}
    started = launch({**AT_PLACE, **parameters, "link.heartbeat.period": 0.1})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    first = receiver.lines.wait(lambda line: b"command" in line.data).data
    assert first.startswith(PLACE_LINE[:-2]) and first.endswith(b"}\n")
    # Three datagrams in a row are lost, and motion continues.
    missed = []

    def misses_three(message):
        if message["type"] == "command" and len(missed) < 3:
            missed.append(message["seq"])
            return False
        return True

    receiver.accepts = misses_three
    tracker.position = (0.2, 0.0355, 0.21)
    receiver.lines.wait(lambda line: b'"x":200.0,' in line.data)
    lost = lambda message: [value.value for status in message.status for value in status.values if value.key == "lost"]  # noqa: E731
    diagnostics.wait(lambda message: lost(message) == ["3"])
    started.status.skip()
    started.status.wait(motion="TRACKING", state="CONNECTED")
    assert started.status.motions()[-1] == "TRACKING" and "HOLDING" not in started.status.motions()


def test_silent_udp_receiver_holds_until_reply(launch, receiver, hand):
    parameters = {"link.transport": "udp", "link.port": receiver.port, "wire.extra_fields": ["seq"], "link.heartbeat.period": 0.1}
    started = launch({**AT_PLACE, **parameters, "link.timeout": 60.0})
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    receiver.accepts = lambda message: False
    started.status.wait(state="UNRESPONSIVE", motion="HOLDING")
    receiver.accepts = lambda message: True
    started.status.wait(state="CONNECTED", motion="TRACKING")


def test_stop_without_reply_is_repeated(launch, receiver, hand):
    receiver.accepts = lambda message: message["type"] != "stop"
    parameters = {"link.transport": "udp", "link.port": receiver.port, "wire.extra_fields": ["seq"], "teleop.hold_behavior": "stop"}
    started = launch({**AT_PLACE, **parameters, "link.timeout": 60.0})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.stop()
    first = receiver.lines.find(lambda line: b'"stop"' in line.data)
    second = receiver.lines.find(lambda line: b'"stop"' in line.data, first + 1)
    assert json.loads(receiver.lines[second].data)["seq"] > json.loads(receiver.lines[first].data)["seq"]
    receiver.accepts = lambda message: True
    started.status.wait(state="CONNECTED", motion="HOLDING")


def test_udp_works_without_replies(launch, receiver, hand):
    receiver.accepts = lambda message: False
    started = launch({**AT_PLACE, "link.transport": "udp", "link.port": receiver.port, "link.expect_reply": False})
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    assert receiver.lines.wait().data == PLACE_LINE


def test_closed_udp_port_is_reported(launch, port, hand):
    started = launch({**AT_PLACE, "link.transport": "udp", "link.port": port, "link.expect_reply": False})
    hand(PLACE)
    started.status.wait(lambda status: "Connection refused" in status.last_error, state="BACKOFF")
