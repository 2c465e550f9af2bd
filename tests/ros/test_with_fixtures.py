"""Tests messages that are not part of ROS.

Needs a bridge with the packages in tests/fixtures, as tools/build makes it.
"""

import itertools
import json
import pathlib

from aether_interfaces.msg import HandState
from ament_index_python.packages import get_package_share_directory
from controller import command
from geometry_msgs.msg import TransformStamped
from harness import PLAIN
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool
from tf2_msgs.msg import TFMessage

RECORDING = pathlib.Path(__file__).parents[1] / "data" / "handstates_2hz_solo.jsonl"
PRESET = pathlib.Path(get_package_share_directory("aether_bridge"), "config", "aether_handstate.yaml")


def test_aether_zeros_hold_the_arm(controller, bridge, repeat):
    here = HandState(x=10.0, y=20.0, z=5.0, hand_closed=True)
    # A live hand never repeats a sample exactly for long.
    there = HandState(x=10.0, y=20.0, z=5.5, hand_closed=True)
    live = itertools.cycle([here, there])
    started = bridge(controller, {**PLAIN, "arm.home": [0.16, -0.02, 0.24]}, ["--params-file", PRESET])
    tracker = repeat(HandState, "/HandStates", lambda: next(live), rate=2.0)
    started.status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == command("160.0", "-20.0", "240.0", "closed"))
    after = controller.mark()
    tracker.make = HandState
    started.status.wait(motion="HOLDING", reason="all zero")
    # The tracker has lost the hand, so it publishes an open hand.
    assert all(b'"closed"' in line.data for line in controller.lines[after:])
    tracker.make = lambda: next(live)
    started.status.wait(motion="TRACKING")
    tracker.make = lambda: here
    started.status.wait(motion="HOLDING", reason="exactly the same")


def test_lost_left_aether_hand_drops_nothing(controller, bridge, repeat, peer):
    live = itertools.cycle([5.0, 5.5])
    started = bridge(controller, {**PLAIN, "arm.home": [0.16, -0.02, 0.24]}, ["--params-file", PRESET])
    tracker = repeat(HandState, "/HandStates", lambda: HandState(x=10.0, y=20.0, z=next(live), hand_closed=True), rate=2.0)
    started.status.wait(motion="TRACKING")
    index = controller.lines.find(lambda line: line.gripper == "closed")
    # The right hand is still there.
    tracker.make = lambda: HandState(x=10.0, y=20.0, z=next(live))
    controller.lines.assert_none(lambda line: line.gripper == "open", index, within=3.0)
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.node.create_publisher(Bool, "/gripper", latched).publish(Bool(data=False))
    controller.lines.wait(lambda line: line.gripper == "open", index)


def test_extra_messages_need_no_sourcing(controller, bridge, repeat):
    samples = itertools.cycle(HandState(x=10.0, y=20.0, z=z) for z in (5.0, 5.5))
    under = ["env", *(f"--unset={name}" for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "LD_LIBRARY_PATH"))]
    started = bridge(controller, {**PLAIN, "arm.home": [0.16, -0.02, 0.24]}, ["--params-file", PRESET], under=under)
    repeat(HandState, "/HandStates", lambda: next(samples), rate=2.0)
    started.status.wait(motion="TRACKING")


def recorded(start, end):
    """Return the tracker's messages in a part of the recorded minute, in seconds."""
    rows = [json.loads(line) for line in RECORDING.read_text().splitlines()]
    fields = ("x", "y", "z", "wrist_x", "wrist_y", "hand_closed")
    part = [row for row in rows if start <= row["t"] < end]
    return [HandState(**{field: row[field] for field in fields}) for row in part]


def test_recorded_aether_tracker_moves_arm_when_seen(controller, bridge, repeat):
    started = bridge(controller, {**PLAIN, "teleop.settle_time": 1.0}, ["--params-file", PRESET])
    # The hand reaches out, then leaves for 3 s while the tracker repeats the last sample. It comes
    # back and then leaves: the tracker repeats the last sample for 5 s and then sends zeros.
    samples = recorded(40.0, 48.0) + recorded(55.5, 65.0)
    played = iter(samples)
    repeat(HandState, "/HandStates", lambda: next(played, HandState()), rate=2.0)
    started.status.wait(motion="TRACKING")
    started.status.wait(motion="HOLDING", reason="exactly the same")
    after = controller.mark()
    controller.lines.assert_none(after=after)
    started.status.wait(motion="TRACKING")
    started.status.wait(motion="HOLDING", reason="exactly the same")
    started.status.wait(motion="HOLDING", reason="all zero")
    # The zeros are at the middle of the picture. The hand was at its right side.
    ends = controller.lines[-1].position
    right = 0.15, -0.002 * samples[-12].x, 0.2 + 0.002 * samples[-12].y
    assert max(abs(one - other) for one, other in zip(ends, right)) < 0.02, ends
    for line, following in zip(controller.lines, controller.lines[1:]):
        moved = max(abs(one - other) for one, other in zip(line.position, following.position))
        # A busy machine adds to the time between two lines.
        assert moved <= 0.25 * (following.at - line.at) + 0.02
    assert {line.gripper for line in controller.lines} == {"open"}


def test_message_arrays_are_read_by_paths(controller, bridge, repeat):
    transform = TransformStamped()
    translation = transform.transform.translation
    translation.x, translation.y, translation.z = 0.12, 0.0355, 0.21
    source = {
        "input.topic": "/hands",
        "input.type": "tf2_msgs/msg/TFMessage",
        "input.position": [f"transforms[1].transform.translation.{axis}" for axis in "xyz"],
    }
    started = bridge(controller, {"arm.home": [0.12, 0.0355, 0.21], "teleop.settle_time": 0.1, **PLAIN, **source})
    repeat(TFMessage, "/hands", lambda: TFMessage(transforms=[TransformStamped(), transform]))
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == command("120.0", "35.5", "210.0")
