"""The arm goes home when the operator calls `~/go_home`, and before the bridge ends (`arm.park`).
"""

import os
import signal
import time

import pytest
from controller import command
from harness import LINK_STATES, PLAIN, QUICK, distance, stamp_seconds, unstamped
from parameters import set_each
from std_srvs.srv import SetBool, Trigger
from test_who_moves import Caller, stopped

HOME = (0.12, 0.0355, 0.21)
HOME_LINE = command("120.0", "35.5", "210.0")
AWAY = (0.15, 0.0355, 0.21)
AWAY_LINE = command("150.0", "35.5", "210.0")
# Metres, and metres a second.
STEP, SPEED = 0.005, 0.1
AT_HOME = {**QUICK, "arm.home": list(HOME), "limits.step": STEP, "limits.approach_speed": SPEED}
# The way home takes three seconds.
SLOW = {"limits.approach_speed": 0.01}
PARK = {"arm.park": True}


def away(controller, bridge, hand, parameters=None):
    """Start a bridge that has followed a hand away from home. Return the bridge and the hand."""
    started = bridge(controller, {**AT_HOME, **(parameters or {})})
    tracker = hand(HOME)
    started.status.wait(motion="TRACKING")
    tracker.position = AWAY
    controller.lines.wait(lambda line: line.data == AWAY_LINE)
    return started, tracker


def go_home(peer):
    return peer.call(Trigger, "/aether_bridge/go_home")


def set_armed(peer, armed=True):
    return peer.call(SetBool, "/aether_bridge/set_armed", data=armed)


def is_home(line):
    return line.data == HOME_LINE


def at_home_after(controller, mark):
    """Return whether the last command since `mark` leads home."""
    return is_home(controller.lines[max(controller.mark() - 1, mark)])


def test_arm_goes_home_within_limits_and_disarms(controller, bridge, hand, peer):
    commands = peer.commands()
    started, _ = away(controller, bridge, hand)
    before, sent = controller.mark(), len(commands)
    response = go_home(peer)
    assert response.success and "going home to" in response.message, response
    started.status.wait(motion="APPROACH", reason="going home")
    started.status.wait(motion="DISARMED", reason="the arm is at home; call ~/set_armed")
    home = controller.lines.find(is_home, after=before)
    # The hand is still away from home.
    controller.lines.assert_none(after=home + 1)
    way = [AWAY, *(line.position for line in controller.lines[before : home + 1])]
    assert all(distance(one, other) <= STEP + 1e-6 for one, other in zip(way, way[1:])), way
    commands.wait(lambda sent: sent.seq == started.status.newest().sent)
    times = [stamp_seconds(sent.header.stamp) for sent in commands[sent:]]
    assert times[-1] - times[0] >= (distance(AWAY, HOME) - STEP) / SPEED
    # The operator can arm again as usual.
    assert set_armed(peer).success
    controller.lines.wait(lambda line: line.data == AWAY_LINE, after=home)


def test_way_home_needs_no_hand(controller, bridge, hand, peer):
    started, tracker = away(controller, bridge, hand)
    tracker.stop()
    started.status.wait(motion="HOLDING", reason="no new target")
    before = controller.mark()
    assert go_home(peer).success
    controller.lines.wait(is_home, after=before)
    started.status.wait(motion="DISARMED", reason="the arm is at home")


@pytest.mark.parametrize("parameters", [{}, PLAIN, {**PLAIN, "link.expect_reply": False}], ids=["reports", "plain", "no replies"])
def test_arm_at_home_is_disarmed_there(controller, bridge, hand, peer, parameters):
    started = bridge(controller, {**AT_HOME, **parameters})
    hand(HOME)
    started.status.wait(motion="TRACKING")
    controller.lines.wait(is_home)
    assert go_home(peer).success
    started.status.wait(motion="DISARMED", reason="the arm is at home")
    assert all(map(is_home, controller.lines))


def test_arm_with_unknown_position_does_not_go_home(controller, bridge, peer):
    started = bridge(controller, {**AT_HOME, **PLAIN, "arm.assume_position": "none"})
    started.status.wait(state="CONNECTED", motion="DISARMED")
    refused = go_home(peer)
    assert not refused.success and "has not reported where the arm is" in refused.message, refused
    controller.lines.assert_none()


def test_stopped_arm_does_not_go_home(controller, bridge, hand, peer):
    started, _ = away(controller, bridge, hand)
    assert peer.call(Trigger, "/aether_bridge/stop").success
    started.status.wait(motion="STOPPED")
    before = controller.mark()
    refused = go_home(peer)
    assert not refused.success and "~/reset" in refused.message, refused
    controller.lines.assert_none(after=before)


@pytest.mark.parametrize("end", ["stop", "reset", "set_armed"])
def test_operator_ends_the_way_home(controller, bridge, hand, peer, end):
    started, _ = away(controller, bridge, hand, SLOW)
    assert go_home(peer).success
    started.status.wait(motion="APPROACH", reason="going home")
    if end == "set_armed":
        assert set_armed(peer, False).success
    else:
        assert peer.call(Trigger, f"/aether_bridge/{end}").success
    before = controller.mark()
    controller.lines.assert_none(after=before)
    assert not any(map(is_home, controller.lines[before - 1 :]))
    started.status.wait(motion="STOPPED" if end == "stop" else "DISARMED")


def test_arming_on_way_home_resumes_tracking(controller, bridge, hand, peer):
    started, _ = away(controller, bridge, hand, SLOW)
    assert go_home(peer).success
    started.status.wait(motion="APPROACH", reason="going home")
    before = controller.mark()
    assert set_armed(peer).success
    controller.lines.wait(lambda line: line.data == AWAY_LINE, after=before)
    started.status.wait(motion="TRACKING")
    assert not any(map(is_home, controller.lines[before:]))


def test_lost_connection_ends_the_way_home(controller, bridge, hand, peer):
    started, _ = away(controller, bridge, hand, SLOW)
    assert go_home(peer).success
    started.status.wait(motion="APPROACH", reason="going home")
    controller.kill()
    started.status.wait(motion="DISARMED", reason="an obstacle ended the way home; call ~/go_home again")
    before = controller.mark()
    controller.restart()
    started.status.wait(state="CONNECTED")
    controller.lines.assert_none(after=before)
    assert go_home(peer).success
    controller.lines.wait(is_home, after=before)


def test_go_home_sent_before_stop_moves_nothing(controller, bridge, hand, peer):
    started, _ = away(controller, bridge, hand)
    caller = Caller(peer)
    stopped(started.process)
    home = caller.call("go_home", Trigger.Request())
    others = [caller.call("stop", Trigger.Request()), caller.call("reset", Trigger.Request())]
    time.sleep(0.5)  # until the requests are on their way
    before = controller.mark()
    started.process.send_signal(signal.SIGCONT)
    assert all(response().success for response in others)
    refused = home()
    assert not refused.success and refused.message.startswith("not going home"), refused
    # The bridge may have handled the reset before the stop.
    assert peer.call(Trigger, "/aether_bridge/reset").success
    started.status.skip().wait(motion="DISARMED")
    assert not any(map(is_home, controller.lines[before:]))


def test_go_home_delayed_by_sigstop_moves_nothing(controller, bridge, hand, peer):
    started = bridge(controller, {**AT_HOME, "teleop.arming": "operator"})
    hand(AWAY, stamp=unstamped)
    started.status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="DISARMED")
    caller = Caller(peer)
    stopped(started.process)
    home = caller.call("go_home", Trigger.Request())
    time.sleep(3.5)  # the request waits: this delay is under test
    started.process.send_signal(signal.SIGCONT)
    refused = home()
    assert not refused.success and refused.message.startswith("not going home: this "), refused
    controller.lines.assert_none()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=lambda ending: ending.name)
def test_ending_bridge_parks_the_arm(controller, bridge, hand, peer, ending):
    started, _ = away(controller, bridge, hand)
    assert set_each(peer, ("arm.park", True)) == [""]
    before = controller.mark()
    started.end(ending)
    assert at_home_after(controller, before)
    started.log.wait(lambda line: f"{ending.name}: shutting down" in line)
    started.log.wait(lambda line: "the arm goes home first (arm.park)" in line)
    last = started.status.wait(state="DISCONNECTED")
    assert "the arm is at home" in last.reason and last.sent == controller.mark()


def test_second_signal_ends_bridge_immediately(controller, bridge, hand):
    # The way takes more than a minute.
    started, _ = away(controller, bridge, hand, {**PARK, "limits.approach_speed": 0.001})
    before = controller.mark()
    os.kill(started.process.pid, signal.SIGINT)
    started.status.wait(motion="APPROACH", reason="going home")
    controller.lines.wait_count(before + 1)
    # end() waits no longer than the tests' patience.
    started.end()
    assert not at_home_after(controller, before)
    assert LINK_STATES[started.status.newest().state] == "DISCONNECTED"


def test_stop_ends_the_parking_motion(controller, bridge, hand, peer):
    started, _ = away(controller, bridge, hand, {**PARK, "limits.approach_speed": 0.001})
    os.kill(started.process.pid, signal.SIGINT)
    started.status.wait(motion="APPROACH", reason="going home")
    assert peer.call(Trigger, "/aether_bridge/stop").success
    before = controller.mark()
    assert started.wait() == 0
    assert controller.mark() == before


@pytest.mark.parametrize("parameters", [{}, PARK], ids=["armed, arm.park false", "disarmed, arm.park true"])
def test_ending_bridge_without_park_moves_nothing(controller, bridge, hand, peer, parameters):
    started, _ = away(controller, bridge, hand, parameters)
    if parameters:
        assert set_armed(peer, False).success
        before = controller.mark()
    started.end()
    assert not any(map(is_home, controller.lines[controller.lines.find(lambda line: line.data == AWAY_LINE) :]))
    if parameters:
        assert controller.mark() == before


def test_arm_with_unknown_position_is_not_parked(controller, bridge, hand):
    started, _ = away(controller, bridge, hand, {**PLAIN, **PARK})
    controller.kill()
    started.status.wait(state="BACKOFF")
    before = controller.mark()
    controller.restart()
    started.status.wait(state="CONNECTED", motion="HOLDING", reason="the arm's position is unknown")
    started.end()
    assert controller.mark() == before
