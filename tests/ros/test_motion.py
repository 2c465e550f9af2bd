"""From a hand to lines: the wire byte for byte, approach, tracking, limits, and lost input."""

import pytest
from aether_bridge.msg import LinkStatus
from controller import COMMAND, command
from harness import LINK_STATES, MOTIONS, PLAIN, QUICK, aged, distance, fresh, stamp_seconds, unstamped

# A position inside the workspace, in metres, and as it is written in millimetres.
PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = b'{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}\n'
HOME = (0.2, 0.0, 0.2)
# The time in seconds that delivery between two threads may take on a busy machine.
JITTER = 0.25


def assert_slower_than(speed, lines):
    """Check that no two lines are further apart than the speed allows for the time between them."""
    for i, one in enumerate(lines):
        for other in lines[i + 1 :]:
            way, time = distance(one.position, other.position), other.at - one.at
            assert way <= speed * (time + JITTER) + 1e-6, f"{way:.4f} m in {time:.3f} s: {one} {other}"


def test_hand_at_30_hz_gives_exact_lines(controller, bridge, hand):
    bridge(controller, {"filter.kind": "none", **PLAIN})
    tracker = hand(PLACE, rate=30.0)
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    for position, expected in [
        ((0.1201, 0.0355, 0.2099), command("120.1", "35.5", "209.9")),
        ((0.12, -0.0005, 0.2), command("120.0", "-0.5", "200.0")),
        ((0.120001, 0.00002, 0.1999999), command("120.001", "0.02", "200.0")),
        ((0.1, -0.0000001, 0.25), command("100.0", "0.0", "250.0")),
    ]:
        after = controller.mark()
        tracker.position = position
        controller.lines.wait(lambda line, expected=expected: line.data == expected, after)
    assert all(COMMAND.fullmatch(line.data) for line in controller.lines)


@pytest.mark.parametrize(("unit", "expected"), [("cm", ("12.0", "3.55", "21.0")), ("m", ("0.12", "0.0355", "0.21"))])
def test_wire_uses_the_configured_unit(controller, bridge, hand, unit, expected):
    bridge(controller, {**QUICK, "wire.position_unit": unit})
    hand(PLACE)
    line = "{" + '"type":"command","x":{},"y":{},"z":{},"gripper":"open"'.format(*expected) + "}\n"
    controller.lines.wait(lambda seen: seen.data == line.encode())


def test_first_motion_approaches_slowly_from_home(controller, bridge, hand):
    status = bridge(controller, PLAIN).status
    hand(PLACE)
    status.wait(motion="DISARMED", reason="good for 1.0 s")
    status.wait(motion="APPROACH", reason="approaching")
    status.wait(motion="TRACKING")
    arrived = controller.lines.find(lambda line: line.data == PLACE_LINE)
    lines = controller.lines[: arrived + 1]
    # limits.approach_speed is 0.1 m/s, and a ramp has 50 steps a second.
    assert distance(lines[0].position, HOME) <= 0.1 * 0.02 + 1e-6
    assert len(lines) > 20
    assert_slower_than(0.1, lines)
    steps = [distance(one.position, other.position) for one, other in zip(lines, lines[1:])]
    assert max(steps) <= 0.1 * 0.2 + 1e-6, "a step is longer than limits.approach_speed allows in input.timeout"


def test_first_approach_starts_at_home_parameter(controller, bridge, hand):
    bridge(controller, {**QUICK, "arm.home": [-0.1, 0.2, 0.3]})
    hand(PLACE)
    assert distance(controller.lines.wait().position, (-0.1, 0.2, 0.3)) <= 0.1 * 0.02 + 1e-6


def test_tracking_keeps_speed_limit_after_target_jump(controller, bridge, hand, peer):
    commands = peer.commands()
    status = bridge(controller, {**QUICK, "limits.approach_speed": 0.25, "arm.home": list(PLACE)}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    after = controller.mark()
    tracker.position = (-0.12, 0.0355, 0.21)
    arrived = controller.lines.find(lambda line: line.data == command("-120.0", "35.5", "210.0"), after)
    assert_slower_than(0.25, controller.lines[max(0, after - 1) : arrived + 1])
    limited = [message for message in commands if "speed_limited" in message.altered_by]
    assert limited and status.wait(lambda status: status.limited >= len(limited))
    assert status.motions()[-1] == "TRACKING"


def test_target_outside_workspace_is_clamped_to_edge(controller, bridge, hand, peer):
    commands = peer.commands()
    bridge(controller, {**QUICK, "arm.home": [0.29, 0.0, 0.2]})
    hand((0.5, 0.01, 0.2))
    controller.lines.wait(lambda line: line.data == command("300.0", "10.0", "200.0"))
    clamped = commands.wait(lambda message: list(message.altered_by) == ["clamped"])
    assert (clamped.position.x, clamped.position.y) == (0.3, 0.01)
    assert all(line.position[0] <= 0.3 for line in controller.lines)


def test_commands_lead_around_a_keep_out_box(controller, bridge, hand):
    post = [-0.02, -0.06, -1.0, 0.02, 0.14, 1.0]
    status = bridge(controller, {**QUICK, "arm.home": list(PLACE), "workspace.keep_out": post, "limits.max_jump": 0.0}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = (-0.12, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.data == command("-120.0", "35.5", "210.0"))
    positions = [line.position for line in controller.lines]
    for one, other in zip(positions, positions[1:]):
        for share in range(101):
            x, y = (a + (b - a) * share / 100 for a, b in zip(one[:2], other[:2]))
            assert not (-0.02 < x < 0.02 and -0.06 < y < 0.14), f"{one} to {other}"


def test_target_outside_is_reported_with_distance(controller, bridge, hand):
    status = bridge(controller, {**QUICK, "arm.home": [0.29, 0.0, 0.2]}).status
    hand((0.42, 0.01, 0.2))
    status.wait(motion="TRACKING", reason="following the target, clamped, 0.12 m outside the workspace")


def test_reject_policy_refuses_target_outside_workspace(controller, bridge, hand):
    status = bridge(controller, {**QUICK, "workspace.policy": "reject", "arm.home": list(PLACE)}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = (0.5, 0.01, 0.2)
    refused = status.wait(motion="HOLDING", reason=r"\[0\.500, 0\.010, 0\.200\] m .*outside the workspace")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert refused.dropped_input > 0
    tracker.position = (0.16, 0.0355, 0.21)
    status.wait(motion="APPROACH")


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_invalid_coordinate_is_refused_by_axis_name(controller, bridge, hand, axis):
    status = bridge(controller, {**QUICK, "arm.home": list(PLACE)}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = [float("nan") if name == axis else value for name, value in zip("xyz", PLACE)]
    status.wait(motion="HOLDING", reason=rf"target rejected: {axis} is NaN")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    tracker.position = PLACE
    status.wait(motion="TRACKING")


def test_targets_in_millimetres_are_refused(controller, bridge, hand):
    status = bridge(controller, QUICK).status
    hand([1000 * value for value in PLACE])
    status.wait(motion="DISARMED", reason="rejected: x is 120.* is the sender's unit metres")
    assert controller.mark() == 0


@pytest.mark.parametrize(
    ("stamp", "reason"),
    [
        (aged(1.0), r"stamp is 1\.\d+ s old, more than input.timeout 0\.500 s; are the clocks of the two machines"),
        (aged(-1.0), r"stamp is (0\.9|1\.0)\d+ s in the future, more than 0\.050 s; are the clocks of the two machines"),
    ],
    ids=["too old", "from the future"],
)
def test_invalid_stamp_holds_arm_and_is_named(controller, bridge, hand, stamp, reason):
    status = bridge(controller, {**QUICK, "arm.home": list(PLACE)}).status
    tracker = hand(PLACE)
    dropped = status.wait(motion="TRACKING").dropped_input
    tracker.stamp, tracker.position = stamp, (0.15, 0.0355, 0.21)
    held = status.wait(motion="HOLDING", reason=reason)
    assert held.dropped_input > dropped
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert controller.lines[-1].data == PLACE_LINE
    # After a stamp from the future, a good stamp is a jump back once.
    tracker.stamp = fresh
    status.wait(motion="TRACKING")


def test_tracker_without_stamps_is_followed(controller, bridge, hand):
    bridge(controller, {**QUICK, "arm.home": list(PLACE)})
    hand(PLACE, stamp=unstamped)
    controller.lines.wait(lambda line: line.data == PLACE_LINE)


def test_stream_late_within_timeout_is_followed(controller, bridge, hand):
    status = bridge(controller, {**QUICK, "input.timeout": 2.0, "arm.home": list(PLACE)}).status
    hand(PLACE, stamp=aged(0.5))
    assert 0.5 <= status.wait(motion="TRACKING").input_age < 2.0


def test_lost_hand_holds_and_return_approaches(controller, bridge, hand):
    status = bridge(controller, {"teleop.settle_time": 0.1, "arm.home": list(PLACE), **PLAIN}).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.stop()
    held = status.wait(motion="HOLDING", reason=r"holding: no new target for 0\.\d s")
    assert LINK_STATES[held.state] == "CONNECTED"
    after = controller.mark()
    controller.lines.assert_none(after=after)
    before = controller.lines[-1]
    tracker.position = (0.2, 0.0355, 0.21)
    tracker.start()
    status.wait(motion="APPROACH")
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == command("200.0", "35.5", "210.0"))
    lines = controller.lines[after:]
    assert distance(lines[0].position, before.position) <= 0.1 * 0.04 + 1e-6, "a jump"
    assert_slower_than(0.1, lines)


def test_status_reports_link_motion_and_counters(controller, bridge, hand, peer):
    # Without heartbeats, because they have round trips too.
    status = bridge(controller, {**QUICK, **PLAIN, "arm.home": list(PLACE)}).status
    waiting = status.wait(state="CONNECTED", motion="DISARMED", reason="no target received yet")
    assert (waiting.input_age, waiting.sent, waiting.rtt_last) == (-1.0, 0, 0.0)
    started = stamp_seconds(waiting.since)

    tracker = hand(PLACE)
    tracking = status.wait(lambda status: status.acknowledged > 0, motion="TRACKING")
    assert (LINK_STATES[tracking.state], MOTIONS[tracking.motion]) == ("CONNECTED", "TRACKING")
    assert tracking.peer == controller.peer
    assert (tracking.attempts, tracking.last_error, tracking.rejected, tracking.dropped_input) == (0, "", 0, 0)
    assert 0 <= tracking.input_age < 0.5
    assert abs(stamp_seconds(tracking.since) - started) < 0.1, "the link has changed since"
    assert stamp_seconds(tracking.since) <= stamp_seconds(tracking.stamp)
    assert abs(stamp_seconds(tracking.stamp) - peer.node.get_clock().now().nanoseconds * 1e-9) < 5

    tracker.stop()
    status.wait(motion="HOLDING")
    sent = controller.mark()
    held = status.wait(lambda status: status.acknowledged == status.sent == sent)
    assert 0 < held.rtt_last < 1 and 0 < held.rtt_mean < 1 and held.rtt_mean / 10 < held.rtt_p99 < 1
    again = status.wait(lambda status: stamp_seconds(status.stamp) > stamp_seconds(held.stamp))
    assert again.sent == held.sent and again.input_age > held.input_age


def test_status_is_published_without_changes(controller, bridge):
    status = bridge(controller, QUICK).status
    first = status.wait(state="CONNECTED")
    status.skip()
    messages = [status.skip().wait() for _ in range(3)]
    assert all(message.state == first.state == LinkStatus.CONNECTED for message in messages)
    assert all(abs(stamp_seconds(message.since) - stamp_seconds(first.since)) < 0.1 for message in messages)
    assert all(one.stamp != other.stamp for one, other in zip(messages, messages[1:]))
