"""If no target can arrive, the bridge names the topic, the type and the alternatives."""

import signal
import subprocess

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Pose, PoseStamped
from harness import EXECUTABLES, QUICK
from std_msgs.msg import Bool, Float32

PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
POSE_STAMPED = "geometry_msgs/msg/PoseStamped"


def gripper_topic(array):
    return next((pair.value for status in array.status for pair in status.values if pair.key == "gripper_topic"), None)


def test_missing_publisher_is_named(controller, bridge):
    started = bridge(controller, AT_PLACE)
    started.status.wait(state="CONNECTED", reason="no target received yet: no node publishes on /target_pose$")


def test_targets_on_another_topic_are_named(controller, bridge, hand, peer):
    tracker = hand(PLACE, "/hand_pose")
    started = bridge(controller, AT_PLACE)
    reason = f"no node publishes on /target_pose; /hand_pose has {POSE_STAMPED}$"
    started.status.wait(state="CONNECTED", reason=reason)
    started.log.wait(lambda line: "WARN" in line and "no target can arrive: no node publishes on /target_pose; /hand_pose" in line)
    tracker.close()
    started.status.wait(reason="no node publishes on /target_pose$")


def test_targets_of_another_type_are_named(controller, bridge, peer):
    peer.node.create_publisher(Pose, "/target_pose", 10)
    started = bridge(controller, AT_PLACE)
    reason = rf"/target_pose has geometry_msgs/msg/Pose from /tester; this bridge expects {POSE_STAMPED} \(input.type\)$"
    started.status.wait(state="CONNECTED", reason=reason)
    started.log.wait(lambda line: "WARN" in line and "this bridge expects" in line)
    # It does not count as a second hand. A process has one type for a topic, so this hand is
    # another process.
    with subprocess.Popen([EXECUTABLES / "hand_sim"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracker:
        started.status.wait(motion="TRACKING")
        tracker.send_signal(signal.SIGINT)
    assert not [line for line in started.log if "2 publishers" in line]


def test_silent_publisher_is_named(controller, bridge, peer):
    peer.node.create_publisher(PoseStamped, "/target_pose", 10)
    started = bridge(controller, AT_PLACE)
    started.status.wait(reason="no target received yet: /tester publishes on /target_pose, and has sent nothing yet$")


def test_departed_publisher_is_reported(controller, bridge, hand):
    started = bridge(controller, AT_PLACE)
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.close()
    started.status.wait(motion="HOLDING", reason=r"no new target for \d+\.\d s; no node publishes on /target_pose$")


def test_gripper_of_wrong_type_is_reported_only(controller, bridge, hand, peer, repeat):
    diagnostics = peer.record(DiagnosticArray, "/diagnostics")
    wrong = repeat(Float32, "/gripper", lambda: Float32(data=0.2))
    started = bridge(controller, AT_PLACE)
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    words = "/gripper has std_msgs/msg/Float32 from /tester; this bridge expects std_msgs/msg/Bool (gripper.type)"
    diagnostics.wait(lambda array: gripper_topic(array) == words)
    started.log.wait(lambda line: "WARN" in line and words in line)
    wrong.close()
    diagnostics.wait(lambda array: gripper_topic(array) == "no node publishes on /gripper")
    repeat(Bool, "/gripper", lambda: Bool(data=True))
    diagnostics.wait(lambda array: gripper_topic(array) == "ok")
