"""Tests the arm's position: reported, confirmed by an operator, or unknown.

Also an arm that is moved, lags or has a fault.
"""

import pytest
from controller import command, report
from harness import PLAIN, QUICK, distance
from parameters import set_each
from std_srvs.srv import SetBool

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
NEAR = (0.15, 0.0355, 0.21)
# Another position of the arm, in metres and as the controller reports it.
ELSEWHERE = (0.2, 0.0355, 0.21)
ELSEWHERE_MM = (200.0, 35.5, 210.0)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
# The controller does not report the arm's position, and no operator has confirmed it.
UNKNOWN = {**AT_PLACE, **PLAIN, "arm.assume_position": "none"}
# With frequent heartbeats the controller reports changes soon.
OFTEN = {**AT_PLACE, "link.heartbeat.period": 0.05}
# At 0.1 m/s the first step of a ramp is 2 mm. After a rest a step may be twice as long.
STEP = 0.1 * 0.04 + 1e-6


def set_armed(peer, armed=True):
    return peer.call(SetBool, "/aether_bridge/set_armed", data=armed)


def test_second_arming_call_moves_a_plain_arm(controller, bridge, hand, peer):
    status = bridge(controller, UNKNOWN).status
    hand(PLACE)
    status.wait(state="CONNECTED", motion="DISARMED", reason="has not reported where the arm is.*~/set_armed.*twice")
    first = set_armed(peer)
    assert not first.success
    assert "call ~/set_armed with data: true again within 10 s, and the arm goes to home (120, 36, 210) mm" in first.message
    controller.lines.assert_none()
    assert set_armed(peer).success
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait().position, PLACE) <= STEP
    status.wait(motion="TRACKING")


def test_arming_confirmation_expires_after_ten_seconds(controller, bridge, hand, peer):
    status = bridge(controller, UNKNOWN).status
    hand(PLACE)
    status.wait(state="CONNECTED", motion="DISARMED", reason="the arm's position is unknown")
    assert not set_armed(peer).success
    # Wait for the time itself.
    controller.lines.assert_none(within=10.1)
    assert not set_armed(peer).success
    assert set_armed(peer).success
    status.wait(motion="TRACKING")


def test_plain_arm_assumed_at_home_starts_automatically(controller, bridge, hand):
    status = bridge(controller, {**AT_PLACE, **PLAIN}).status
    hand(NEAR)
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait().position, PLACE) <= STEP
    assert len(controller.heartbeats) == 0


def test_plain_arm_needs_operator_after_lost_connection(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, **PLAIN}).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    controller.kill()
    status.wait(state="BACKOFF")
    before = controller.mark()
    controller.restart()
    status.wait(state="CONNECTED", motion="HOLDING", reason="the arm's position is unknown")
    controller.lines.assert_none(after=before)
    assert not set_armed(peer).success
    assert set_armed(peer).success
    status.wait(motion="TRACKING")


def test_arm_assumed_to_stay_continues_after_reconnect(controller, bridge, hand, peer):
    status = bridge(controller, {**UNKNOWN, "arm.assume_position": "last"}).status
    tracker = hand(PLACE)
    status.wait(state="CONNECTED", reason="the arm's position is unknown")
    assert not set_armed(peer).success
    assert set_armed(peer).success
    tracker.position = NEAR
    controller.lines.wait(lambda line: line.data == command("150.0", "35.5", "210.0"))
    status.wait(motion="TRACKING")
    controller.kill()
    status.wait(state="BACKOFF")
    before = controller.mark()
    controller.restart()
    status.wait(state="CONNECTED", motion="TRACKING")
    assert distance(controller.lines.wait(after=before).position, NEAR) <= STEP


def test_first_approach_starts_at_reported_position(controller, bridge, hand):
    controller.heartbeat_reply = lambda line: report(ELSEWHERE_MM)
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait().position, ELSEWHERE) <= STEP
    # The heartbeat comes before everything else.
    assert controller.heartbeats.wait().at < controller.lines.wait().at
    controller.lines.wait(lambda line: line.data == PLACE_LINE)


def test_no_command_before_the_position_is_reported(controller, bridge, hand):
    controller.heartbeat_reply = None
    status = bridge(controller, {**AT_PLACE, "link.reply_timeout": 30.0, "link.timeout": 60.0}).status
    hand(PLACE)
    status.wait(reason="waiting for the controller to report where the arm is")
    controller.lines.assert_none()
    controller.send(report(ELSEWHERE_MM))
    assert distance(controller.lines.wait().position, ELSEWHERE) <= STEP


def test_approach_starts_where_restarted_controller_homed(controller, bridge, hand):
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    controller.kill()
    status.wait(state="BACKOFF")
    before = controller.mark()
    controller.position = ELSEWHERE_MM
    controller.restart()
    status.wait(state="CONNECTED", motion="APPROACH")
    assert distance(controller.lines.wait(after=before).position, ELSEWHERE) <= STEP
    status.wait(motion="TRACKING")


@pytest.mark.parametrize(
    ("reported", "named"),
    [
        ((0.0, 0.0, 0.0), r"exactly \[0, 0, 0\]; has the arm been homed"),
        # Nearer to the base than workspace.reach_min.
        ((0.12, 0.0355, 0.21), "1000 times larger; check that wire.position_unit"),
    ],
    ids=["zero", "metres"],
)
def test_implausible_report_blocks_motion(controller, bridge, hand, reported, named):
    controller.heartbeat_reply = lambda line: report(reported)
    status = bridge(controller, {**OFTEN, "workspace.reach_min": 0.05}).status
    hand(PLACE)
    status.wait(motion="DISARMED", reason=f"the arm's position is unknown: .*{named}")
    controller.lines.assert_none()
    controller.heartbeat_reply = controller.report
    status.wait(motion="TRACKING")


def test_fault_in_reply_needs_operator(controller, bridge, hand, peer):
    status = bridge(controller, OFTEN).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    controller.reply = controller.heartbeat_reply = lambda line: report(controller.position, fault="joint 3 is hot")
    status.wait(motion="HOLDING", reason="the controller reports the fault 'joint 3 is hot'")
    before = controller.mark()
    controller.recover()
    status.wait(motion="DISARMED", reason="the controller reported a fault; call ~/set_armed")
    controller.lines.assert_none(after=before)
    assert set_armed(peer).success
    status.wait(motion="TRACKING")


def test_lagging_arm_holds_motion(controller, bridge, hand):
    behind = {"limits.following_error": 0.02, "limits.following_error_time": 0.2}
    status = bridge(controller, {**OFTEN, **behind}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    stuck = [1000 * metres for metres in PLACE]
    controller.reply = controller.heartbeat_reply = lambda line: report(stuck, moving=True)
    tracker.position = NEAR
    status.wait(motion="HOLDING", reason=r"the arm is 0\.0\d\d m behind its commands, more than limits.following_error")
    before = controller.mark()
    controller.lines.assert_none(after=before)
    # The arm is free again and rests where it stayed.
    controller.position = stuck
    controller.recover()
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=before).position, PLACE) <= STEP


def test_arm_moved_by_hand_is_approached_again(controller, bridge, hand):
    status = bridge(controller, OFTEN).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    controller.heartbeat_reply = lambda line: report((160.0, 35.5, 210.0), moving=True)
    controller.heartbeats.wait_count(len(controller.heartbeats) + 2)
    tracker.start()
    status.wait(motion="HOLDING", reason=r"something else moves the arm: it is at \[0\.160, ")
    before = controller.mark()
    controller.lines.assert_none(after=before)
    controller.heartbeat_reply = lambda line: report(ELSEWHERE_MM)
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=before).position, ELSEWHERE) <= STEP


def test_no_command_is_repeated_after_external_motion(controller, bridge, hand):
    # The arm should reach its last command soon.
    soon = {"limits.following_error": 0.02, "limits.following_error_time": 0.2}
    status = bridge(controller, {**OFTEN, **soon, "teleop.hold_behavior": "repeat"}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    controller.lines.wait_count(controller.mark() + 5)
    beats = len(controller.heartbeats)
    controller.reply = controller.heartbeat_reply = lambda line: report(ELSEWHERE_MM)
    # While commands are repeated, no heartbeat is due.
    controller.heartbeats.wait_count(beats + 2)
    controller.lines.assert_none(after=controller.mark())


def test_sagging_arm_does_not_sink(controller, bridge, hand):
    status = bridge(controller, OFTEN).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.heartbeat_reply = lambda line: report((*controller.position[:2], controller.position[2] - 6.0))
    for _ in range(3):
        tracker.stop()
        status.wait(motion="HOLDING", reason="no new target")
        before = controller.mark()
        tracker.start()
        status.wait(motion="TRACKING")
        assert distance(controller.lines.wait(after=before).position, PLACE) <= 1e-6


def test_live_parameter_sets_the_assumed_position(controller, bridge, hand, peer):
    status = bridge(controller, UNKNOWN).status
    hand(PLACE)
    status.wait(state="CONNECTED", reason="the arm's position is unknown")
    assert set_each(peer, ("arm.assume_position", "home")) == [""]
    status.wait(motion="TRACKING")
