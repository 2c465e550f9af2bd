"""Tests limits that change at run time: keep-out boxes, the tolerance, and the step limit."""

import pytest
from controller import command, report
from harness import QUICK, distance
from motion import ROUNDING
from parameters import get, set_each, set_together

PLACE = (0.12, 0.0355, 0.21)
# On the other side of POST.
ACROSS = (-0.12, 0.0355, 0.21)
PLACE_LINE, ACROSS_LINE = command("120.0", "35.5", "210.0"), command("-120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE), "limits.max_jump": 0.0}
# With frequent heartbeats the controller reports changes soon.
OFTEN = {**AT_PLACE, "link.heartbeat.period": 0.05}
# From the floor to above the workspace, on the straight way from PLACE to ACROSS.
POST = [-0.02, -0.06, -1.0, 0.02, 0.14, 1.0]
# At the end of the way around POST.
SECOND = [-0.3, 0.16, -1.0, -0.1, 0.2, 1.0]
# Around HELD, which is 40 mm behind the face nearest to PLACE.
HELD = (0.22, 0.0355, 0.21)
COVER = [0.18, -0.1, 0.1, 0.29, 0.15, 0.39]
# From side to side between PLACE and BEHIND.
WALL = [0.2, -1.0, -1.0, 0.22, 1.0, 1.0]
BEHIND, BEHIND_LINE = (0.28, 0.0355, 0.21), command("280.0", "35.5", "210.0")


def leads_through(box, one, other):
    """Return whether the way between two points enters a box by more than the wire's resolution."""
    enters, leaves = 0.0, 1.0
    for start, end, low, high in zip(one, other, box[:3], box[3:]):
        low, high, way = low + ROUNDING, high - ROUNDING, end - start
        if way == 0.0:
            if not low < start < high:
                return False
            continue
        near, far = sorted(((low - start) / way, (high - start) / way))
        enters, leaves = max(enters, near), min(leaves, far)
    return enters < leaves


def ways(lines):
    positions = [line.position for line in lines]
    return list(zip(positions, positions[1:]))


def assert_keeps_out(lines, *boxes):
    assert len(lines) > 1
    for one, other in ways(lines):
        for box in boxes:
            assert not leads_through(box, one, other), f"{one} to {other} leads through {box}"


def test_helper_detects_a_way_through_box():
    assert leads_through(POST, PLACE, ACROSS) and leads_through(COVER, HELD, HELD)
    assert not leads_through(POST, PLACE, (0.02, 0.0355, 0.21)) and not leads_through(COVER, PLACE, PLACE)


@pytest.mark.parametrize("rate", [50.0, 2.0])
def test_box_added_in_motion_is_avoided(controller, bridge, hand, peer, rate):
    status = bridge(controller, {**AT_PLACE, "teleop.command_rate": rate, "limits.step": 0.1}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    assert set_each(peer, ("workspace.keep_out", POST + SECOND)) == [""]
    assert get(peer, "workspace.keep_out") == [POST + SECOND]
    tracker.position = ACROSS
    arrived = controller.lines.find(lambda line: line.data == ACROSS_LINE)
    assert_keeps_out(controller.lines[: arrived + 1], POST, SECOND)
    # Without the box the straight way is free again.
    assert set_each(peer, ("workspace.keep_out", [0.0])) == [""]
    tracker.position = PLACE
    back = controller.lines.find(lambda line: line.data == PLACE_LINE, arrived)
    assert any(leads_through(POST, *way) for way in ways(controller.lines[arrived : back + 1]))


def test_hand_in_box_leads_arm_to_face(controller, bridge, hand):
    status = bridge(controller, {**AT_PLACE, "workspace.keep_out": COVER}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = HELD
    status.wait(motion="TRACKING", reason=r"clamped, 0\.0\d+ m outside the workspace")
    assert_keeps_out(controller.lines[: controller.mark()], COVER)


def test_removed_box_starts_an_approach(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "workspace.keep_out": COVER, "limits.approach_speed": 0.02}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = HELD
    status.wait(motion="TRACKING", reason="clamped")
    controller.lines.wait(lambda line: abs(line.position[0] - 0.18) < 2e-3)
    after = controller.mark()
    assert set_each(peer, ("workspace.keep_out", [0.0])) == [""]
    status.wait(motion="APPROACH")
    status.wait(motion="TRACKING", reason="following the target$")
    arrived = controller.lines.find(lambda line: distance(line.position, HELD) < ROUNDING, after)
    # A ramp has fifty steps a second, and a step covers input.timeout at most. At limits.speed the
    # steps would be 5 mm.
    steps = [distance(*way) for way in ways(controller.lines[after - 1 : arrived + 1])]
    assert len(steps) > 20 and sorted(steps)[len(steps) // 2] <= 0.02 * 0.06, steps


def test_removed_wall_lets_arm_continue(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "workspace.keep_out": WALL}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = BEHIND
    status.wait(motion="HOLDING", reason="no way to the target around workspace.keep_out")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert set_each(peer, ("workspace.keep_out", [0.0])) == [""]
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=after).position, controller.lines[after - 1].position) <= 0.1 * 0.04 + 1e-6
    controller.lines.wait(lambda line: line.data == BEHIND_LINE, after)


def test_narrower_tolerance_refuses_the_hand(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "arm.home": [0.29, 0.0, 0.2]}).status
    hand((0.42, 0.01, 0.2))
    status.wait(motion="TRACKING", reason="clamped, 0.12 m outside the workspace")
    controller.lines.wait(lambda line: line.data == command("300.0", "10.0", "200.0"))
    assert set_each(peer, ("workspace.tolerance", 0.1)) == [""]
    refused = status.wait(motion="HOLDING", reason=r"target rejected: .*workspace.tolerance")
    assert "0.12" in refused.reason and "0.1" in refused.reason, refused.reason
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert set_each(peer, ("workspace.tolerance", 0.13)) == [""]
    status.wait(motion="TRACKING", reason="clamped, 0.12 m outside the workspace")


def test_clamp_policy_refuses_target_far_outside(controller, bridge, hand):
    status = bridge(controller, {**AT_PLACE, "workspace.policy": "clamp"}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    # Centimetres instead of metres.
    tracker.position = [100 * metres for metres in PLACE]
    status.wait(motion="HOLDING", reason="target rejected: .*workspace.tolerance")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert controller.lines[-1].data == PLACE_LINE
    tracker.position = PLACE
    status.wait(motion="TRACKING")


def longest(lines):
    return max(distance(*way) for way in ways(lines))


def test_no_command_exceeds_the_step_limit(controller, bridge, hand, peer):
    # Two commands a second, at 0.25 m/s. Without the limit a step would be 125 mm.
    rare = {"teleop.command_rate": 2.0, "limits.acceleration": 100.0}
    status = bridge(controller, {**AT_PLACE, **rare}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)

    def move(position, line):
        before = controller.mark()
        tracker.position = position
        arrived = controller.lines.find(lambda seen: seen.data == line, before)
        return controller.lines[before - 1 : arrived + 1]

    # By default the limit is the distance at limits.speed in 0.1 s.
    assert 0.02 < longest(move((0.22, 0.0355, 0.21), command("220.0", "35.5", "210.0"))) <= 0.025 + ROUNDING
    assert set_each(peer, ("limits.step", 0.01)) == [""]
    assert 0.009 < longest(move((0.17, 0.0355, 0.21), command("170.0", "35.5", "210.0"))) <= 0.01 + ROUNDING
    assert set_together(peer, limits__step=0.0, limits__speed=0.5) == ""
    assert 0.04 < longest(move((-0.03, 0.0355, 0.21), command("-30.0", "35.5", "210.0"))) <= 0.05 + ROUNDING
    assert status.motions()[-1] == "TRACKING"


def stick(controller):
    """Keep the arm at its position while it reports motion, whatever it receives."""
    stuck = controller.position
    controller.reply = controller.heartbeat_reply = lambda line: report(stuck, moving=True)
    return stuck


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [({"limits.following_error": 0.0}, 0.02), ({"limits.following_error": 0.15}, 0.02)],
    ids=["off", "wide"],
)
def test_narrower_following_error_holds_lagging_arm(controller, bridge, hand, peer, wide, narrow):
    status = bridge(controller, {**OFTEN, **wide, "limits.following_error_time": 1.0}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    stuck = stick(controller)
    tracker.position = (0.16, 0.0355, 0.21)
    index = controller.lines.find(lambda line: line.data == command("160.0", "35.5", "210.0"))
    assert set_each(peer, ("limits.following_error_time", 0.1), ("limits.following_error", narrow)) == ["", ""]
    status.wait(motion="HOLDING", reason=r"the arm is 0\.040 m behind its commands, more than limits.following_error")
    before = controller.mark()
    controller.lines.assert_none(after=before)
    assert index < before
    controller.position = stuck
    controller.recover()
    assert distance(controller.lines.wait(after=before).position, PLACE) <= 0.1 * 0.04 + 1e-6
    status.wait(motion="TRACKING")


def test_shorter_following_error_time_holds_lagging_arm(controller, bridge, hand, peer):
    status = bridge(controller, {**OFTEN, "limits.following_error": 0.02, "limits.following_error_time": 60.0}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    stick(controller)
    tracker.position = (0.16, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.data == command("160.0", "35.5", "210.0"))
    assert status.motions()[-1] == "TRACKING"
    assert set_each(peer, ("limits.following_error_time", 0.1)) == [""]
    status.wait(motion="HOLDING", reason=r"the arm is 0\.040 m behind its commands")


def test_wider_tolerance_accepts_sunken_arm(controller, bridge, hand, peer):
    status = bridge(controller, OFTEN).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    # The arm has sunk by 30 mm, and rests there.
    sunk = (120.0, 35.5, 180.0)
    assert set_each(peer, ("arm.position_tolerance", 0.05)) == [""]
    controller.heartbeat_reply = lambda line: report(sunk)
    controller.heartbeats.wait_count(len(controller.heartbeats) + 2)
    after = controller.mark()
    tracker.start()
    status.wait(motion="TRACKING")
    assert distance(controller.lines.wait(after=after).position, PLACE) <= ROUNDING
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    assert set_each(peer, ("arm.position_tolerance", 0.01)) == [""]
    after = controller.mark()
    tracker.start()
    status.wait(motion="APPROACH")
    # The motion begins at the arm's position.
    assert distance(controller.lines.wait(after=after).position, (0.12, 0.0355, 0.18)) <= 0.1 * 0.04 + 1e-6


def test_shorter_absence_time_needs_operator(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    assert set_each(peer, ("teleop.rearm_after", 0.6)) == [""]
    status.wait(motion="DISARMED", reason="~/set_armed")
    after = controller.mark()
    tracker.start()
    status.wait(lambda status: status.input_age < 0.2, motion="DISARMED", reason="~/set_armed")
    controller.lines.assert_none(after=after)
