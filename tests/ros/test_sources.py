"""Tests targets from other message types: typed ones, and any type by field paths."""

import pathlib
import re

import pytest
from ament_index_python.packages import get_package_share_directory
from builtin_interfaces.msg import Time
from controller import command
from geometry_msgs.msg import (
    Point,
    PointStamped,
    Pose,
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    Quaternion,
    TransformStamped,
    TwistStamped,
)
from harness import PLAIN, QUICK
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Float64MultiArray, Header

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
IN_HUNDREDTHS = tuple(100 * coordinate for coordinate in PLACE)


def point(x, y, z):
    return Point(x=x, y=y, z=z)


def transform():
    message = TransformStamped()
    translation = message.transform.translation
    translation.x, translation.y, translation.z = PLACE
    message.transform.rotation.w = 1.0
    return message


def pose():
    return Pose(position=point(*PLACE), orientation=Quaternion(w=1.0))


def in_frame(frame_id):
    return lambda: PoseStamped(header=Header(frame_id=frame_id), pose=pose())


def landmarks():
    """Return 21 normalised landmarks. With the preset, the tip of the index finger is at PLACE."""
    x, y, z = PLACE
    tip = point((0.2 - y) / 0.4, (0.4 - z) / 0.4, (0.2 - x) / 0.4)
    return PoseArray(poses=[Pose(position=tip if number == 8 else point(0.5, 0.5, 0.0)) for number in range(21)])


def with_covariance():
    message = PoseWithCovarianceStamped()
    message.pose.pose = pose()
    return message


def twist(x=PLACE[0], y=PLACE[1], z=PLACE[2], seen=1.0, opening=1.0):
    message = TwistStamped()
    linear, angular = message.twist.linear, message.twist.angular
    linear.x, linear.y, linear.z = x, y, z
    angular.x, angular.y = seen, opening
    return message


TWIST = {
    "input.topic": "/hand",
    "input.type": "geometry_msgs/msg/TwistStamped",
    "input.position": [f"twist.linear.{axis}" for axis in "xyz"],
    "input.valid": "twist.angular.x",
    "input.gripper": "twist.angular.y",
}


@pytest.mark.parametrize(
    ("message_type", "make", "parameters"),
    [
        (PoseStamped, lambda: PoseStamped(pose=pose()), {}),
        (Pose, pose, {}),
        (PointStamped, lambda: PointStamped(point=point(*PLACE)), {}),
        (Point, lambda: point(*IN_HUNDREDTHS), {"input.unit": "cm"}),
        (TransformStamped, transform, {}),
        (PoseWithCovarianceStamped, with_covariance, {}),
        (
            Float64MultiArray,
            lambda: Float64MultiArray(data=[0.0, PLACE[2], PLACE[0], PLACE[1]]),
            {"input.position": ["data[2]", "data[3]", "data[1]"]},
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_source_of_any_type_moves_the_arm(controller, bridge, repeat, message_type, make, parameters):
    package = message_type.__module__.partition(".")[0]
    source = {"input.topic": "/hand", "input.type": f"{package}/msg/{message_type.__name__}"}
    started = bridge(controller, {**AT_PLACE, **source, **parameters})
    repeat(message_type, "/hand", make)
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE


def test_fields_give_validity_and_gripper(controller, bridge, repeat):
    started = bridge(controller, {**AT_PLACE, **TWIST, "gripper.open_debounce": 0.0})
    hand = repeat(TwistStamped, "/hand", twist)
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE
    hand.make = lambda: twist(opening=0.1)
    closed = command("120.0", "35.5", "210.0", "closed")
    controller.lines.wait(lambda line: line.data == closed)
    # If the tracker does not see the hand, the arm holds, and the opening has no effect.
    after = controller.mark()
    hand.make = lambda: twist(x=0.2, seen=0.0, opening=1.0)
    started.status.wait(motion="HOLDING", reason=r"the message reports no hand \(input.valid\)")
    hand.make = lambda: twist(opening=0.4)
    started.status.wait(motion="TRACKING")
    # A single zero does not disturb motion either. Between the thresholds, the opening has no
    # effect.
    blip = [twist(0.0, 0.0, 0.0)]
    hand.make = lambda: blip.pop() if blip else twist(x=0.13, opening=0.4)
    returned = command("130.0", "35.5", "210.0", "closed")
    controller.lines.wait(lambda line: line.data == returned)
    assert all(b'"closed"' in line.data for line in controller.lines[after:])
    hand.make = twist
    controller.lines.wait(lambda line: line.data == PLACE_LINE, after=controller.mark())


def test_unseen_gripping_hand_never_opens_gripper(controller, bridge, repeat):
    fields = {"input.valid": "none", "gripper.valid": "twist.angular.x", "gripper.open_debounce": 0.1}
    started = bridge(controller, {**AT_PLACE, **TWIST, **fields})
    hand = repeat(TwistStamped, "/hand", lambda: twist(opening=0.1))
    started.status.wait(motion="TRACKING")
    index = controller.lines.find(lambda line: line.gripper == "closed")
    # The gripping hand is lost, and its tracker publishes "open". The hand that gives the position
    # is still there.
    hand.make = lambda: twist(x=0.13, seen=0.0, opening=1.0)
    moved = command("130.0", "35.5", "210.0", "closed")
    controller.lines.wait(lambda line: line.data == moved, index)
    controller.lines.assert_none(lambda line: line.gripper == "open", index)
    # The gripping hand is back, and its message counts again.
    hand.make = lambda: twist(x=0.13, opening=1.0)
    controller.lines.wait(lambda line: line.gripper == "open", index)


def test_only_topic_opens_gripper_closed_by_target(controller, bridge, repeat, peer):
    fields = {"input.valid": "none", "gripper.opened_by": "topic", "gripper.open_debounce": 0.1}
    started = bridge(controller, {**AT_PLACE, **TWIST, **fields})
    hand = repeat(TwistStamped, "/hand", lambda: twist(opening=0.1))
    started.status.wait(motion="TRACKING")
    index = controller.lines.find(lambda line: line.gripper == "closed")
    hand.make = twist
    controller.lines.assert_none(lambda line: line.gripper == "open", index)
    # The operator opens the gripper on the topic.
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=False))
    index = controller.lines.find(lambda line: line.gripper == "open", index)
    hand.make = lambda: twist(opening=0.1)
    controller.lines.wait(lambda line: line.gripper == "closed", index)


def test_message_without_field_holds_until_next(controller, bridge, repeat):
    source = {
        "input.topic": "/hand",
        "input.type": "std_msgs/msg/Float64MultiArray",
        "input.position": ["data[0]", "data[1]", "data[2]"],
    }
    started = bridge(controller, {**AT_PLACE, **source})
    hand = repeat(Float64MultiArray, "/hand", lambda: Float64MultiArray(data=PLACE))
    started.status.wait(motion="TRACKING")
    hand.make = Float64MultiArray
    started.status.wait(motion="HOLDING", reason=r"input.position: there is no 'data\[0\]': 'data' is an array of 0")
    hand.make = lambda: Float64MultiArray(data=PLACE)
    started.status.wait(motion="TRACKING")


@pytest.mark.parametrize("fields", [{}, {"input.position": [f"pose.position.{axis}" for axis in "xyz"]}])
def test_stamp_is_ignored_if_disabled(controller, bridge, hand, fields):
    # With field paths the message takes another way through the node.
    started = bridge(controller, {**AT_PLACE, **fields, "input.stamp": "none", "input.frame": "none"})
    tracker = hand(PLACE, stamp=lambda now: Time(sec=1))
    tracker.frame = "somewhere"
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE


@pytest.mark.parametrize("fields", [{}, {"input.position": [f"pose.position.{axis}" for axis in "xyz"]}])
def test_bridge_without_tf_refuses_other_frames(controller, bridge, hand, fields):
    started = bridge(controller, {**AT_PLACE, **fields, "retarget.frame": "camera", "tf.enabled": False})
    started.log.wait(lambda line: "INFO" in line and "tf.enabled is false" in line)
    tracker = hand(PLACE)
    tracker.frame = "/camera"
    started.status.wait(motion="TRACKING")
    tracker.frame = "map"
    held = started.status.wait(motion="HOLDING")
    assert held.reason == (
        "holding: target rejected: its frame_id 'map' is neither retarget.frame nor arm.base_frame 'arm_base'; set "
        "retarget.frame to this frame and retarget.* to its pose in the arm's base frame, or use /tf: set tf.enabled to "
        "true in a bridge that is built with tf2_msgs"
    )


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"input.type": "hands/msg/Hand"}, "'hands/msg/Hand', which this bridge was not built with"),
        ({"input.type": "std_msgs/msg/Bool"}, "std_msgs/msg/Bool has no position.*Its fields: data \\(bool\\)"),
        (
            {"input.type": "geometry_msgs/msg/TwistStamped", "input.position": ["twist.x", "twist.y", "twist.z"]},
            "there is no 'twist.x': 'twist' has angular, linear. Its fields: header.frame_id \\(string\\), .*twist.linear.z",
        ),
        ({"input.stamp": "header"}, "input.stamp: 'header' is a message; it must be a builtin_interfaces/Time"),
        ({"input.unit": "inch"}, "parameter 'input.unit' is 'inch'; it must be 'm', 'cm', 'mm'"),
        ({"input.position": ["x", "y"]}, "'input.position' is \\['x', 'y'\\]; it must be"),
        ({"gripper.valid": "seen"}, "'gripper.valid' is 'seen'; it must be 'none' while input.gripper is 'none'"),
    ],
)
def test_unreadable_source_is_refused_with_alternatives(launch, source, words):
    started = launch(source)
    assert started.wait() == 2
    assert re.search(words, "\n".join(started.log)), list(started.log)


@pytest.mark.parametrize(
    ("preset", "message_type", "topic", "make"),
    [
        ("pose_stamped", PoseStamped, "/target_pose", lambda: PoseStamped(pose=pose())),
        ("hand_xyz", Point, "/hand_xyz", lambda: point(*PLACE)),
        ("mediapipe_landmarks", PoseArray, "/hand_landmarks", landmarks),
        ("servo_pose", PoseStamped, "/servo_node/pose_target_cmds", in_frame("base_link")),
    ],
    ids=lambda value: value if isinstance(value, str) and "/" not in value else "",
)
def test_preset_fits_its_publisher(controller, bridge, repeat, preset, message_type, topic, make):
    file = pathlib.Path(get_package_share_directory("aether_bridge"), "config", f"{preset}.yaml")
    started = bridge(controller, {**PLAIN, "arm.home": list(PLACE)}, ["--params-file", file])
    repeat(message_type, topic, make)
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE


def test_every_preset_is_tested():
    folder = pathlib.Path(get_package_share_directory("aether_bridge"), "config")
    here = {"pose_stamped", "hand_xyz", "servo_pose", "mediapipe_landmarks"}
    elsewhere = {"bridge": "tests/config_yaml.rs", "aether_handstate": "test_with_fixtures.py"}
    assert {file.stem for file in folder.glob("*.yaml")} == here | set(elsewhere)
