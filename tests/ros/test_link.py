"""Tests the link as ROS sees it: a controller that dies, comes back, replies late, or is silent."""

import pathlib
import signal
import socket
import time

import pytest
from aether_bridge.msg import LinkStatus
from controller import OK, OneShot, Tutorial, command, error
from diagnostic_msgs.msg import DiagnosticArray
from harness import LATCHED, LINK_STATES, MOTIONS, PLAIN, QUICK, distance
from record import MEASUREMENTS
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = b'{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}\n'
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
# At 0.1 m/s the first step of a ramp is 2 mm. After a rest a step may be twice as long.
STEP = 0.1 * 0.04 + 1e-6
TUTORIAL = pathlib.Path(__file__).parents[2] / "examples" / "controllers" / "tutorial_recv.py"


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_killed_controller_holds_and_return_approaches(
    controller, bridge, hand, reset
):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)

    status.skip()
    killed = controller.kill(reset)
    lost = status.wait(state="BACKOFF")
    MEASUREMENTS.seconds(f"kill → BACKOFF ({'reset' if reset else 'closed'})", status.at - killed, "wanted: 200 ms")
    assert status.at - killed < 5
    assert lost.last_error
    held = status.wait(motion="HOLDING", reason="^holding: no connection to the controller: .+ in [0-9.]+ s$")
    assert held.last_error in held.reason
    refused = status.wait(lambda status: status.attempts > 0, state="BACKOFF", motion="HOLDING")
    assert "refused" in refused.last_error and controller.peer in refused.last_error

    before = controller.mark()
    tracker.position = (-0.1, 0.0355, 0.21)
    restarted = time.monotonic()
    controller.restart()
    back = status.wait(state="CONNECTED")
    MEASUREMENTS.seconds("restart → CONNECTED", status.at - restarted, "wanted: one back-off, at most 4 s")
    assert back.attempts == 0
    status.wait(motion="APPROACH")
    controller.lines.wait(lambda line: line.data == command("-100.0", "35.5", "210.0"))
    lines = controller.lines[before:]
    assert distance(lines[0].position, PLACE) <= STEP, "a jump"
    assert all(line.connection == 2 for line in lines)
    for earlier, later in zip(lines, lines[1:]):
        allowed = 0.1 * (later.at - earlier.at + 0.25)
        assert distance(earlier.position, later.position) <= allowed + 1e-6


def test_command_without_reply_is_not_repeated(controller, bridge, hand):
    brisk = {"link.reply_timeout": 5.0, "link.timeout": 9.0, "teleop.command_rate": 5.0, "limits.acceleration": 100.0, "limits.step": 0.1}
    status = bridge(controller, {**AT_PLACE, **brisk}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    # The next command leads a long step away, and gets no reply.
    controller.reply = lambda line: OK if line.data == PLACE_LINE else None
    after = controller.mark()
    tracker.position = (0.2, 0.0355, 0.21)
    unanswered = controller.lines.wait(lambda line: line.data != PLACE_LINE, after)
    assert distance(unanswered.position, PLACE) > 0.04
    controller.kill()
    controller.reply = lambda line: OK
    # The controller did not obey the command without a reply.
    controller.position = [1000 * metres for metres in PLACE]
    before = controller.mark()
    tracker.position = (0.12, 0.1, 0.21)
    controller.restart()
    first = controller.lines.wait(after=before)
    assert first.data != unanswered.data
    assert distance(first.position, PLACE) <= 0.1 * 0.2 + 1e-6, "the approach does not start at the arm"
    assert abs(first.position[0] - PLACE[0]) < 1e-9, "the command leads towards the old target"


def test_reconnect_opens_new_connection_and_approaches(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    before = controller.mark()
    tracker.stop()
    assert peer.call(Trigger, "/aether_bridge/reconnect").success
    controller.connections.wait_count(2)
    status.skip().wait(state="CONNECTED", motion="HOLDING")
    tracker.position = (0.2, 0.0355, 0.21)
    tracker.start()
    first = controller.lines.wait(lambda line: line.connection == 2, before)
    assert distance(first.position, PLACE) <= STEP


def test_late_subscriber_gets_latched_status_immediately(controller, bridge, peer):
    status = bridge(controller, QUICK).status
    status.wait(state="CONNECTED")
    # A subscriber between two publications (500 ms apart) that gets a status immediately has got
    # the latched one.
    for topic, message_type in [("link_status", LinkStatus), ("connected", Bool)]:
        for _ in range(5):
            came = peer.node.get_clock().now().nanoseconds
            message, published = peer.take(message_type, f"/aether_bridge/{topic}", LATCHED)
            if published < came:
                break
        else:
            pytest.fail(f"{topic} never gave what was published before the subscriber came")
        assert (message.data is True) if topic == "connected" else (LINK_STATES[message.state] == "CONNECTED")


def test_connected_topic_follows_the_link(controller, bridge, peer):
    connected = peer.record(Bool, "/aether_bridge/connected", LATCHED)
    bridge(controller, QUICK)
    index = connected.find(lambda message: message.data)
    controller.kill()
    index = connected.find(lambda message: not message.data, index)
    controller.restart()
    connected.find(lambda message: message.data, index)


def test_tutorial_controller_works_unchanged(bridge, hand):
    tutorial = Tutorial(TUTORIAL)
    try:
        started = bridge(tutorial, {**AT_PLACE, **PLAIN})
        tracker = hand(PLACE)
        started.status.wait(state="CONNECTED", motion="TRACKING")
        tracker.position = (0.15, -0.02, 0.2)
        tutorial.printed.wait(lambda line: line == "Moving to x=150.0 y=-20.0 z=200.0, gripper open")
        tracker.stop()
        held = started.status.wait(lambda status: status.acknowledged == status.sent, motion="HOLDING")
        assert held.acknowledged > 5 and held.rejected == 0
        started.end()
        tutorial.printed.wait(lambda line: line == "Disconnected")
    finally:
        tutorial.close()


def test_bridge_waits_quietly_for_controller(controllers, bridge, hand):
    controller = controllers(up=False)
    started = bridge(controller, {"arm.home": list(PLACE), **PLAIN})
    status = started.status
    status.wait(lambda status: status.attempts >= 3, state="BACKOFF", reason="refused.*; next attempt in")
    # The missing publisher of targets is also reported in one line.
    started.log.wait(lambda line: "no target can arrive" in line)
    log_before, seen_before = len(started.log), len(status.seen)
    before, from_ = started.cpu_seconds(), time.monotonic()
    # There is no event to wait for. The log must stay quiet for this time.
    started.log.assert_none(after=log_before, within=5.0)
    busy = (started.cpu_seconds() - before) / (time.monotonic() - from_)
    MEASUREMENTS.note("CPU without a controller", f"{busy * 100:8.2f} %", "wanted: under 1 % of a core")
    # A busy loop would use a whole core. Even a loaded machine adds less than this limit.
    assert busy < 0.05
    # One line each: the parameters, the attempt, the motion, the cause of the failure, the missing
    # publisher.
    assert len(started.log) <= 5, "one line per change of state"
    assert len(status.seen) - seen_before >= 5, "the status keeps coming"
    newest = status.newest()
    assert newest.attempts >= 5 and newest.sent == 0
    assert LINK_STATES[newest.state] in ("BACKOFF", "CONNECTING") and MOTIONS[newest.motion] == "DISARMED"

    hand(PLACE)
    controller.restart()
    status.wait(state="CONNECTED")
    started.log.wait(lambda line: "link up" in line)
    controller.lines.wait(lambda line: line.data == PLACE_LINE)


def test_state_change_is_one_log_line(controller, bridge, hand):
    started = bridge(controller, AT_PLACE)
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    controller.kill()
    started.status.wait(lambda status: status.attempts >= 3, state="BACKOFF")
    tracker.stop()
    controller.restart()
    started.status.wait(state="CONNECTED")
    started.log.wait(lambda line: "no new target" in line)
    texts = [line.split("]: ", 1)[1] for line in started.log]
    assert sum(text.startswith("link up") for text in texts) == 2
    # The link was lost and then refused: two facts, each logged once, however many attempts there
    # were.
    downs = [text for text in texts if text.startswith("link down")]
    assert 1 <= len(downs) <= 2 and len(set(downs)) == len(downs)
    assert len([text for text in texts if text.startswith("holding: no connection")]) == 1


QUICK_AGAIN = {"link.backoff.initial": 0.01, "link.backoff.max": 0.02, "link.timeout": 1.0}


def assert_logged_once(started, attempts, again, hint):
    """Check that repeated failures give one line with a hint, and that the recovery gives one line.
    """
    attempts.wait_count(40)
    downs = started.log.find(lambda line: "link down: " in line and hint in line)
    # The log has lines of the link and of motion. It failed about forty times, so three or four
    # lines for each failure would be more than a hundred.
    assert len(started.log) - downs < 10, "the log is flooded"
    logged = len(started.log)
    again()
    back = started.log.wait(lambda line: "link up after " in line, logged)
    assert int(back.split("link up after ")[1].split(" attempts")[0]) > 30
    assert sum("link down" in line for line in started.log) <= 3
    started.status.wait(state="CONNECTED", motion="TRACKING")


@pytest.mark.parametrize(
    ("reply", "hint"),
    [
        (b"OK\n", "wire.format: text"),
        (b"Command received\n", "set link.banner_lines"),
        (OK + OK, "reply when you accept the line, and not again"),
        (b'{\n  "status": "ok"\n}\n', "without indentation"),
    ],
    ids=["words", "a greeting", "two replies", "over several lines"],
)
def test_repeated_garbage_is_logged_once_with_hint(controllers, bridge, hand, reply, hint):
    controller = controllers(reply=lambda line: reply)
    controller.heartbeat_reply = controller.reply
    started = bridge(controller, {**AT_PLACE, **QUICK_AGAIN})
    hand(PLACE)
    assert_logged_once(started, controller.connections, controller.recover, hint)


def test_close_after_reply_is_logged_once(bridge, hand):
    controller = OneShot()
    try:
        started = bridge(controller, {**AT_PLACE, **QUICK_AGAIN})
        hand(PLACE)
        assert_logged_once(started, controller.connections, controller.fixed.set, "read in a loop")
        started.end()
    finally:
        controller.close()


def test_stable_connection_clears_the_last_error(controller, bridge, peer):
    diagnostics = peer.record(DiagnosticArray, "/diagnostics")
    started = bridge(controller, {**QUICK, "link.timeout": 1.0})
    started.status.wait(state="CONNECTED")
    controller.kill()
    lost = started.status.wait(state="BACKOFF")
    assert lost.last_error
    controller.restart()
    started.status.wait(lambda status: status.last_error != "", state="CONNECTED")
    started.status.wait(lambda status: status.last_error == "", state="CONNECTED")

    def values(array):
        return {pair.key: pair.value for status in array.status for pair in status.values}

    # The diagnostics keep the last error for longer, with its age.
    reported = diagnostics.wait(lambda array: values(array)["last_error_age_s"] != "none", len(diagnostics))
    assert values(reported)["last_error"] and float(values(reported)["last_error_age_s"]) >= 1.0


def test_first_status_names_cause_of_missing_connection(controllers, launch):
    controller = controllers(up=False)
    controller.swallow()
    status = launch({"link.port": controller.port, "link.connect_timeout": 30.0}).status.wait(state="CONNECTING")
    assert status.reason == f"not armed yet: no connection to the controller: connecting to {controller.peer}"
    assert status.last_error == ""


def test_bridge_sends_nothing_before_the_banner(controller, bridge, hand):
    started = bridge(controller, {**AT_PLACE, "link.banner_lines": 2, "link.heartbeat.period": 0.05, "link.connect_timeout": 0.2})
    hand(PLACE)
    for connections in (1, 2):
        waiting = f"waiting for 2 banner lines of {controller.peer} .link.banner_lines., 0 so far"
        started.status.wait(state="CONNECTING", reason=waiting)
        controller.connections.wait_count(connections)
        before, beats = controller.mark(), len(controller.heartbeats)
        # The board starts for longer than link.connect_timeout. It would lose all lines sent in
        # that time.
        controller.lines.assert_none(after=before)
        assert len(controller.heartbeats) == beats
        # The second banner line is not UTF-8, and arrives separately.
        controller.send(b"\r\n")
        started.status.wait(state="CONNECTING", reason="1 so far")
        controller.lines.assert_none(after=before)
        controller.send(b"Grbl 1.1h \xff\xfd\x2c gr\xfc\xdft\r\n")
        started.status.wait(state="CONNECTED", motion="TRACKING")
        assert controller.lines.wait(after=before).connection == connections
        assert len(controller.connections) == connections
        controller.kill()
        started.status.wait(state="BACKOFF")
        controller.restart()


def test_missing_banner_error_names_both_parameters(controllers, bridge):
    controller = controllers(greeting=b"hello\nlogin: ")
    started = bridge(controller, {**QUICK, "link.banner_lines": 2, "link.banner_timeout": 0.3})
    given_up = started.status.wait(state="BACKOFF", reason="1 of 2 banner lines have come")
    for words in ("link.banner_timeout 0.3 s", "set link.banner_lines", '"login: " was received without the newline'):
        assert words in given_up.last_error, given_up.last_error


def test_silent_controller_is_unresponsive_then_reconnected(controllers, bridge, hand):
    controller = controllers()
    controller.fall_silent()
    status = bridge(controller, {**AT_PLACE, "link.reply_timeout": 0.3, "link.timeout": 1.5}).status
    hand(PLACE)
    overdue = status.wait(state="UNRESPONSIVE", reason="the controller does not reply")
    assert overdue.sent == 0, "the bridge first asks for the arm's position"
    given_up = status.wait(state="BACKOFF")
    assert "link.timeout 1.5 s" in given_up.last_error and "link.expect_reply" in given_up.last_error
    controller.connections.wait_count(2)
    # Each connection has one line without a reply at a time.
    assert controller.mark() == 0
    for connection in (1, 2):
        assert sum(line.connection == connection for line in list(controller.heartbeats)) <= 1
    controller.recover()
    status.wait(state="CONNECTED", motion="TRACKING")


def test_late_reply_ends_unresponsive_state(controllers, bridge, hand):
    controller = controllers(reply=None)
    status = bridge(controller, {**AT_PLACE, "link.reply_timeout": 0.2, "link.timeout": 20.0}).status
    tracker = hand(PLACE)
    status.wait(state="UNRESPONSIVE", motion="HOLDING")
    tracker.position = (0.18, 0.0355, 0.21)
    after = controller.mark()
    controller.lines.assert_none(after=after)
    controller.reply = lambda line: OK
    controller.send(OK)
    status.wait(state="CONNECTED", motion="APPROACH")
    assert distance(controller.lines.wait(after=after).position, PLACE) <= 0.1 * 0.2 + 1e-6
    assert len(controller.connections) == 1


def test_silent_controller_works_without_expected_replies(controllers, bridge, hand):
    controller = controllers(reply=None)
    status = bridge(controller, {**AT_PLACE, **PLAIN, "link.expect_reply": False, "link.reply_timeout": 0.1, "link.timeout": 0.2}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = (0.18, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.data == command("180.0", "35.5", "210.0"))
    tracker.stop()
    held = status.wait(lambda status: status.sent == controller.mark(), motion="HOLDING", reason="no new target")
    assert held.acknowledged == held.sent and len(controller.connections) == 1
    assert not any(LINK_STATES[seen.message.state] in ("UNRESPONSIVE", "BACKOFF") for seen in status.seen)


def test_unanswered_connection_attempt_times_out(bridge, launch):
    # A listener with a full queue lets connection attempts hang, as a machine that is switched off
    # does.
    with socket.socket() as listener, socket.socket() as one, socket.socket() as two:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for filler in (one, two):
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        started = launch({"link.port": port, "link.connect_timeout": 0.5})
        started.status.wait(state="CONNECTING")
        timed_out = started.status.wait(state="BACKOFF")
        assert "no connection within link.connect_timeout 0.5 s" in timed_out.last_error
        started.status.wait(state="CONNECTING")
        started.end(signal.SIGTERM)


def test_host_name_is_resolved_or_error_names_it(controller, launch):
    started = launch({"link.host": "localhost", "link.port": controller.port})
    assert str(controller.port) in started.status.wait(state="CONNECTED").peer
    started.end()
    # If no name server is reachable, the resolver may take long to report the failure.
    parameters = {"link.host": "no-such-host.invalid", "link.port": controller.port, "link.connect_timeout": 15.0}
    lost = launch(parameters).status.skip().wait(state="BACKOFF")
    assert "cannot resolve host 'no-such-host.invalid'" in lost.last_error


def test_heartbeat_detects_dead_controller_at_rest(controller, bridge, hand):
    started = bridge(controller, {**AT_PLACE, "link.heartbeat.period": 0.1})
    # Heartbeats are sent before the first command and after the last command.
    controller.heartbeats.wait_count(2)
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.stop()
    started.status.wait(motion="HOLDING")
    commands = controller.mark()
    controller.heartbeats.wait_count(len(controller.heartbeats) + 3)
    assert controller.mark() == commands and len(controller.connections) == 1
    controller.fall_silent()
    started.status.wait(state="UNRESPONSIVE", motion="HOLDING")
    started.status.wait(state="BACKOFF")


def test_refused_heartbeat_is_logged_once(controller, bridge):
    controller.heartbeat_reply = lambda line: error("what is a heartbeat?")
    started = bridge(controller, {**QUICK, "link.heartbeat.period": 0.02})
    controller.heartbeats.wait_count(20)
    refusals = [line for line in started.log if "rejected a heartbeat" in line]
    assert len(refusals) == 1 and "what is a heartbeat?" in refusals[0]
    assert len(controller.connections) == 1


def test_heartbeats_may_go_without_reply(controller, bridge, hand):
    controller.heartbeat_reply = None
    started = bridge(controller, {**AT_PLACE, "arm.assume_position": "home", "link.heartbeat.period": 0.02, "link.heartbeat.expect_reply": False})
    controller.heartbeats.wait_count(20)
    hand(PLACE)
    started.status.wait(state="CONNECTED", motion="TRACKING")
    assert controller.lines.wait().data == command("120.0", "35.5", "210.0")
    assert len(controller.connections) == 1
