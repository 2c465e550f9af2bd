"""Tests targets in frames that only /tf and /tf_static define.

Needs a bridge with tf2_msgs, as tools/build makes it.
"""

import math
import threading

import pytest
from builtin_interfaces.msg import Time
from controller import command
from geometry_msgs.msg import PoseStamped, TransformStamped
from harness import LATCHED, QUICK, fresh, unstamped
from parameters import set_each
from rcl_interfaces.msg import Log
from rclpy.duration import Duration
from record import PATIENCE
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header
from test_reasons import ROWS
from tf2_msgs.msg import TFMessage

# The position of the hand for the camera, and for the arm if the camera is at CAMERA and rotated to
# the left.
SEEN = (0.1, 0.3, 0.05)
CAMERA = (0.5, 0.0, 0.2)
PLACE = (0.2, 0.1, 0.25)
PLACE_LINE = command("200.0", "100.0", "250.0")
LEFT = math.pi / 2
# Long timeouts for a busy machine.
AT_PLACE = {**QUICK, "arm.home": list(PLACE), "tf.timeout": 0.4}


def transform(parent, child, translation=(0.0, 0.0, 0.0), yaw=0.0, stamp=None):
    message = TransformStamped(header=Header(frame_id=parent, stamp=stamp or Time()), child_frame_id=child)
    to, rotation = message.transform.translation, message.transform.rotation
    to.x, to.y, to.z = map(float, translation)
    rotation.z, rotation.w = math.sin(yaw / 2), math.cos(yaw / 2)
    return message


def camera(stamp=None):
    return transform("arm_base", "camera", CAMERA, LEFT, stamp)


@pytest.fixture
def fixed(peer):
    """Publish transforms on /tf_static, once."""

    def publish(*transforms):
        publisher = peer.node.create_publisher(TFMessage, "/tf_static", LATCHED)
        publisher.publish(TFMessage(transforms=transforms))

    return publish


@pytest.fixture
def moving(peer, repeat):
    """Publish on /tf, again and again, where the camera was a moment ago: moving(lag, rate)."""

    def start(lag=0.0, rate=50.0):
        stamp = lambda: (peer.node.get_clock().now() - Duration(seconds=lag)).to_msg()  # noqa: E731
        return repeat(TFMessage, "/tf", lambda: TFMessage(transforms=[camera(stamp())]), rate=rate)

    return start


@pytest.fixture
def seen(hand):
    """A hand in the camera's frame."""

    def start(**options):
        tracker = hand(SEEN, **options)
        tracker.frame = "camera"
        return tracker

    return start


def test_static_frame_from_before_start_is_used(controller, bridge, seen, fixed):
    fixed(transform("arm_base", "rig", (0.5, 0.0, 0.0), LEFT), transform("rig", "/camera", (0.0, 0.0, 0.2)))
    # Only poses in retarget.frame are retargeted.
    started = bridge(controller, {**AT_PLACE, "retarget.frame": "hand", "retarget.translation": [0.0, 0.0, 0.1]})
    tracker = seen()
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE
    tracker.frame, tracker.position = "hand", (0.2, 0.1, 0.15)
    passed = len(controller.lines) + 5
    assert all(line.data == PLACE_LINE for line in controller.lines.wait_count(passed))
    tracker.frame, tracker.position = "/arm_base", PLACE
    passed = len(controller.lines) + 5
    assert all(line.data == PLACE_LINE for line in controller.lines.wait_count(passed))


def test_ignored_child_frame_is_sanitised_in_log(controller, bridge, peer, repeat):
    rosout = peer.record(Log, "/rosout", LATCHED)
    started = bridge(controller, AT_PLACE, ["--log-level", "debug"])
    # The child frame is its own parent.
    child = transform("a\x1b[2J\n\u202eb", "a\x1b[2J\n\u202eb")
    repeat(TFMessage, "/tf", lambda: TFMessage(transforms=[child]))
    warning = "a transform of 'a\ufffd[2J\ufffd\ufffdb' on /tf is ignored"
    rosout.wait(lambda log: warning in log.msg)
    started.log.wait(lambda line: warning in line)
    for text in [log.msg for log in rosout] + list(started.log):
        assert not any(character in text for character in "\x1b\n\u202e"), repr(text)


class Swing:
    """A camera that swings to and fro, and a hand that it sees half-way between two transforms."""

    PERIOD = 0.05

    def __init__(self, peer):
        self._node = peer.node
        self._tf = peer.node.create_publisher(TFMessage, "/tf", 10)
        self._hand = peer.node.create_publisher(PoseStamped, "/target_pose", 10)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="swing")
        self._thread.start()

    def close(self):
        self._end.set()
        self._thread.join(PATIENCE)

    def _run(self):
        there = False
        before = None
        while not self._end.wait(self.PERIOD):
            now = self._node.get_clock().now()
            x, yaw = (0.2, LEFT) if there else (0.1, 0.0)
            self._tf.publish(TFMessage(transforms=[transform("arm_base", "camera", (x, 0.0, 0.2), yaw, now.to_msg())]))
            if before is not None:
                half = before + Duration(nanoseconds=(now - before).nanoseconds // 2)
                pose = PoseStamped(header=Header(frame_id="camera", stamp=half.to_msg()))
                pose.pose.position.x = 0.1
                pose.pose.orientation.w = 1.0
                self._hand.publish(pose)
            there, before = not there, now


def test_moving_frame_is_interpolated_at_stamp(controller, bridge, peer):
    # Half-way: 0.15 m, and 45 degrees.
    away = 0.1 * math.cos(math.pi / 4)
    position = [0.15 + away, away, 0.2]
    started = bridge(controller, {**AT_PLACE, "arm.home": position})
    swing = Swing(peer)
    try:
        started.status.wait(motion="TRACKING")
        lines = controller.lines.wait_count(20)
    finally:
        swing.close()
    for line in lines:
        # An error of half a nanosecond in the stamp is less than half a micrometre.
        assert line.position == pytest.approx(position, abs=1.5e-6)


@pytest.mark.parametrize("fields", [{}, {"input.position": [f"pose.position.{axis}" for axis in "xyz"]}])
def test_unknown_frame_holds_the_arm(controller, bridge, seen, fixed, fields):
    fixed(camera())
    # With field paths the message takes another way through the node.
    started = bridge(controller, {**AT_PLACE, **fields})
    tracker = seen()
    started.status.wait(motion="TRACKING")
    tracker.frame = "nowhere"
    held = started.status.wait(motion="HOLDING")
    assert held.reason == (
        "holding: target rejected: no transform from frame_id 'nowhere' to arm.base_frame 'arm_base': neither /tf nor "
        "/tf_static has 'nowhere'"
    )
    fixed(transform("room", "nowhere"))
    started.status.wait(motion="HOLDING", reason=ROWS["no_transform"] + ".*do not connect the two")
    tracker.frame = "camera"
    started.status.wait(motion="TRACKING")


@pytest.mark.parametrize(
    ("stamp", "words"), [(fresh, "s older than the stamp"), (unstamped, "s old, more than input.timeout")]
)
def test_stopped_broadcaster_holds_until_it_returns(controller, bridge, seen, moving, stamp, words):
    started = bridge(controller, AT_PLACE)
    broadcaster = moving()
    seen(stamp=stamp)
    started.status.wait(motion="TRACKING")
    broadcaster.close()
    started.status.wait(motion="HOLDING", reason=f"the newest transform of 'camera' is .*{words}")
    controller.lines.assert_none(after=controller.mark())
    moving()
    started.status.wait(motion="TRACKING")
    assert all(line.data == PLACE_LINE for line in controller.lines)


def test_target_waits_for_late_transform_and_ages(controller, bridge, seen, moving, peer):
    started = bridge(controller, AT_PLACE)
    commands = peer.commands()
    # Transforms come more slowly than targets. With one slot, each target would replace the one
    # before, and none would get a transform.
    moving(lag=0.06, rate=20.0)
    seen(rate=100.0)
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == PLACE_LINE
    ages = [command.input_age for command in commands.wait_count(20)]
    assert min(ages) > 0.055, ages
    # Without waiting, no target gets a transform.
    assert set_each(peer, ("tf.timeout", 0.0)) == [""]
    started.status.wait(motion="HOLDING", reason=ROWS["no_transform"] + ".*s older than the stamp")


def test_zero_and_repetition_are_detected_before_transform(controller, bridge, seen, peer, repeat):
    # The frame moves, so that every target is at another position.
    phase = iter(range(10**9))

    def waver():
        offset = 0.0005 * (next(phase) % 2)
        there = (CAMERA[0] + offset, *CAMERA[1:])
        stamp = peer.node.get_clock().now().to_msg()
        return TFMessage(transforms=[transform("arm_base", "camera", there, LEFT, stamp)])

    started = bridge(controller, {**AT_PLACE, "input.frozen_timeout": 1.0, "limits.max_jump": 0.0})
    repeat(TFMessage, "/tf", waver, rate=50.0)
    tracker = seen()
    started.status.wait(motion="TRACKING")
    started.status.wait(motion="HOLDING", reason="exactly the same for")
    tracker.position = (0.0, 0.0, 0.0)
    started.status.wait(motion="HOLDING", reason="all zero")


def test_invalid_transform_is_logged_once(controller, bridge, seen, fixed, repeat, peer):
    fixed(camera())
    started = bridge(controller, AT_PLACE)
    seen()
    # The bridge knows the camera, so a later transform is the second one.
    started.status.wait(motion="TRACKING")
    garbage = [
        transform("arm_base", "nan", (float("nan"), 0.0, 0.0)),
        transform("arm_base", ""),
        transform("self", "self"),
        transform("arm_base", "old"),
        camera(),
    ]
    garbage[0].header.stamp = garbage[1].header.stamp = garbage[4].header.stamp = peer.node.get_clock().now().to_msg()
    turned = transform("arm_base", "zero")
    turned.transform.rotation.w = 0.0
    repeat(TFMessage, "/tf", lambda: TFMessage(transforms=[*garbage, turned]), rate=10.0)
    fixed(transform("camera", "arm_base"))
    for words in [
        "'nan' on /tf is ignored: its numbers are not a transform: translation \\[NaN, 0.0, 0.0\\]".replace("\\", ""),
        "'' on /tf is ignored: one of its frames has no name",
        "'self' on /tf is ignored: it is its own parent",
        "'old' on /tf is ignored: its stamp is",
        "'camera' on /tf is ignored: it comes on /tf and on /tf_static",
        "'arm_base' on /tf_static is ignored: its parent 'camera' is its own descendant",
    ]:
        started.log.wait(lambda line: "WARN" in line and words in line)
    passed = len(controller.lines) + 30
    assert all(line.data == PLACE_LINE for line in controller.lines.wait_count(passed))
    assert sum("is ignored" in line for line in started.log) == 6, list(started.log)


def test_restarted_simulation_is_followed(controller, bridge, hand, repeat):
    started = bridge(controller, {**AT_PLACE, "use_sim_time": True})
    simulated = Simulated()
    repeat(Clock, "/clock", simulated.tick, rate=50.0)
    repeat(TFMessage, "/tf", lambda: TFMessage(transforms=[camera(simulated.stamp())]), rate=50.0)
    tracker = hand(SEEN, stamp=lambda _: simulated.stamp())
    tracker.frame = "camera"
    started.status.wait(motion="TRACKING")
    simulated.now = 10.0
    started.status.wait(motion="HOLDING")
    started.status.wait(motion="TRACKING")
    assert all(line.data == PLACE_LINE for line in controller.lines)


class Simulated:
    """Simulated time."""

    def __init__(self):
        self.now = 100.0

    def tick(self):
        self.now += 0.02
        return Clock(clock=self.stamp())

    def stamp(self):
        return Time(sec=int(self.now), nanosec=int(self.now % 1 * 1e9))
