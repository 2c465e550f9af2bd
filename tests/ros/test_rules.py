"""Tests rules of motion through the real node: frames, clutch, holds on the wire, two hands."""

import contextlib
import re

import pytest
from controller import command, error
from geometry_msgs.msg import PoseStamped
from harness import MOTIONS, PLAIN, QUICK
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}


def test_only_tracker_frame_poses_are_retargeted(controller, bridge, hand):
    retarget = {"retarget.frame": "camera", "retarget.translation": [0.01, 0.0, 0.0], "limits.max_jump": 0.0}
    status = bridge(controller, {**AT_PLACE, **retarget}).status
    tracker = hand(PLACE)
    tracker.frame = "arm_base"
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == PLACE_LINE)
    for frame in ("camera", ""):
        tracker.frame = frame
        controller.lines.wait(lambda line: line.data == command("130.0", "35.5", "210.0"), after=controller.mark())
        tracker.frame = "arm_base"
        controller.lines.wait(lambda line: line.data == PLACE_LINE, after=controller.mark())


def test_relative_mode_follows_from_arming_position(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "retarget.mode": "relative", "limits.max_jump": 0.0}).status
    tracker = hand((3.0, -2.0, 1.0))
    status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE
    tracker.position = (3.01, -2.0, 1.02)
    controller.lines.wait(lambda line: line.data == command("130.0", "35.5", "230.0"))
    # While the bridge is disarmed, the hand moves and the arm stays.
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=False).success
    status.wait(motion="DISARMED")
    tracker.position = (-1.0, 0.0, 0.0)
    after = controller.mark()
    controller.lines.assert_none(after=after)
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    status.wait(motion="TRACKING")
    tracker.position = (-1.01, 0.0, 0.0)
    controller.lines.wait(lambda line: line.data == command("120.0", "35.5", "230.0"), after=after)
    assert all(0.1199 <= line.position[0] <= 0.1301 for line in controller.lines[after:])


def test_hold_sends_one_stop_line(controller, bridge, hand, peer):
    started = bridge(controller, {**AT_PLACE, "teleop.hold_behavior": "stop"})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    assert len(controller.stops) == 0
    tracker.stop()
    started.status.wait(motion="HOLDING")
    controller.stops.wait_count(1)
    controller.lines.assert_none(after=controller.mark())
    assert len(controller.stops) == 1
    # Motion continues after the hold, although the stop line was refused.
    controller.stop_reply = lambda line: error("what is a stop?")
    tracker.start()
    started.status.wait(motion="TRACKING")
    assert peer.call(Trigger, "/aether_bridge/stop").success
    controller.stops.wait_count(2)
    started.log.wait(lambda line: "rejected the stop line" in line and "what is a stop?" in line)
    after = controller.mark()
    started.end()
    controller.stops.wait_count(3)
    assert controller.mark() == after


def test_hold_repeats_the_last_command(controller, bridge, hand, peer):
    commands = peer.commands()
    started = bridge(controller, {**AT_PLACE, "teleop.hold_behavior": "repeat"})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.position = (0.13, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.position[0] > 0.122)
    tracker.stop()
    started.status.wait(motion="HOLDING")
    after = controller.mark()
    controller.lines.wait_count(after + 20)
    assert len({line.data for line in controller.lines[after - 1 :]}) == 1
    commands.wait(lambda message: list(message.altered_by) == ["repeated"])


def test_second_tracker_holds_until_one_leaves(controller, launch, hand):
    started = launch({**AT_PLACE, **PLAIN, "link.port": controller.port}, ["-r", "target_pose:=/ik/pose", "-r", "__ns:=/lab"],
                     name="/lab/aether_bridge")
    hand(PLACE, "/ik/pose")
    # A hand on another topic has no effect.
    hand((-0.2, 0.2, 0.1), "/lab/target_pose")
    started.status.wait(motion="TRACKING")
    second = hand((0.13, 0.0355, 0.21), "/ik/pose")
    started.status.wait(motion="HOLDING", reason="2 publishers on /ik/pose: /tester, /tester; stop all but one")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    second.close()
    started.status.wait(motion="TRACKING")
    started.log.wait(lambda line: "WARN" in line and "2 publishers on /ik/pose" in line)


def test_duplicate_node_name_is_reported_by_both(controllers, bridge, peer):
    both = [controllers(), controllers()]
    bridges = [bridge(controller, AT_PLACE) for controller in both]
    for started in bridges:
        started.log.wait(lambda line: "WARN" in line and "another node has the same name" in line)
    missing = {controller.peer for controller in both}

    def all_stopped(seen):
        if MOTIONS[seen.message.motion] == "STOPPED":
            missing.discard(seen.message.peer)
        return not missing

    # A service call reaches only the servers that its client has found by then.
    for _ in range(20):
        peer.call(Trigger, "/aether_bridge/stop")
        with contextlib.suppress(AssertionError):
            bridges[0].status.seen.wait(all_stopped, timeout=1.0)
        if not missing:
            return
    raise AssertionError(f"never stopped: {missing}")


def test_silent_second_publisher_does_not_hold(controller, bridge, hand, repeat, peer):
    silent = [peer.node.create_publisher(PoseStamped, "/target_pose", 10), peer.node.create_publisher(Bool, "/gripper", 10)]
    started = bridge(controller, AT_PLACE)
    tracker = hand(PLACE)
    repeat(Bool, "/gripper", lambda: Bool(data=True))
    started.status.wait(motion="TRACKING")
    # A publisher that comes later has no effect either.
    silent.append(peer.node.create_publisher(PoseStamped, "/target_pose", 10))
    started.log.wait(lambda line: "3 publishers on /target_pose" in line)
    started.log.wait(lambda line: "2 publishers on /gripper" in line)
    first = len(started.status.seen)
    tracker.position = (0.15, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.data == command("150.0", "35.5", "210.0", "closed"))
    started.status.seen.wait_count(first + 2)
    assert {MOTIONS[seen.message.motion] for seen in started.status.seen[first:]} == {"TRACKING"}


@pytest.mark.parametrize("rate", [30.0, 5.0, 1.0])
@pytest.mark.parametrize("away", [0.01, 0.1], ids=["near", "far"])
def test_second_publisher_at_another_rate_holds(controller, bridge, hand, rate, away):
    x, y, z = PLACE
    started = bridge(controller, AT_PLACE)
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    second = hand((x + away, y, z), rate=rate)
    started.status.wait(motion="HOLDING", reason="2 publishers on /target_pose")
    # The hold lasts while it publishes, however seldom.
    after = controller.mark()
    controller.lines.assert_none(after=after, within=3.0)
    second.stop()
    # The graph still shows the second publisher.
    started.status.wait(motion="APPROACH")
    started.status.wait(motion="TRACKING")


def test_contradicting_gripper_publishers_hold_the_arm(controller, bridge, hand, repeat):
    started = bridge(controller, AT_PLACE)
    hand(PLACE)
    repeat(Bool, "/gripper", lambda: Bool(data=False))
    started.status.wait(motion="TRACKING")
    second = repeat(Bool, "/gripper", lambda: Bool(data=True))
    held = started.status.wait(motion="HOLDING", reason="2 publishers on /gripper: /tester, /tester")
    assert re.search("stop all but one", held.reason)
    controller.lines.assert_none(after=controller.mark())
    assert all(line.gripper == "open" for line in controller.lines)
    second.close()
    started.status.wait(motion="TRACKING")
