"""Tests the gripper's input in its four types, the debounce, and a lost hand."""

import pytest
from controller import OK, command, error
from diagnostic_msgs.msg import DiagnosticArray
from harness import QUICK
from parameters import set_each
from rclpy.duration import Duration
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Float32, Float64, String
from std_srvs.srv import SetBool
from test_nothing_comes import gripper_topic

PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE), "gripper.close_debounce": 0.05, "gripper.open_debounce": 0.05}
OPEN, CLOSED = (command("120.0", "35.5", "210.0", state) for state in ("open", "closed"))
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
# The debounce is longer than the test, so a second decision has no effect.
STEADY = {**AT_PLACE, "gripper.close_debounce": 10.0, "gripper.open_debounce": 10.0}


@pytest.mark.parametrize(
    ("message_type", "closing", "opening"),
    [(Bool, True, False), (Float32, 0.1, 0.9), (Float64, 0.29, 0.51), (String, "closed", "open")],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_gripper_follows_its_topic(controller, bridge, hand, repeat, message_type, closing, opening):
    bridge(controller, {**AT_PLACE, "gripper.type": f"std_msgs/msg/{message_type.__name__}"})
    hand(PLACE)
    pinch = repeat(message_type, "/gripper", lambda: message_type(data=closing))
    index = controller.lines.find(lambda line: line.data == CLOSED)
    pinch.make = lambda: message_type(data=opening)
    index = controller.lines.find(lambda line: line.data == OPEN, index)
    pinch.make = lambda: message_type(data=closing)
    controller.lines.find(lambda line: line.data == CLOSED, index)


def test_gripper_stays_unchanged_between_thresholds(controller, bridge, hand, repeat):
    bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/Float32"})
    hand(PLACE)
    pinch = repeat(Float32, "/gripper", lambda: Float32(data=0.1))
    index = controller.lines.find(lambda line: line.gripper == "closed")
    pinch.make = lambda: Float32(data=0.45)
    # The commands of the hand have stopped: the arm has reached the target, and the target does not
    # move.
    controller.lines.assert_none(lambda line: line.gripper == "open", index)
    pinch.make = lambda: Float32(data=float("nan"))
    controller.lines.assert_none(lambda line: line.gripper == "open", index)


def test_unknown_gripper_text_is_ignored(controller, bridge, hand, repeat):
    bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/String"})
    hand(PLACE)
    pinch = repeat(String, "/gripper", lambda: String(data="closed"))
    index = controller.lines.find(lambda line: line.gripper == "closed")
    pinch.make = lambda: String(data="opne\x1b[2J")
    controller.lines.assert_none(lambda line: line.gripper == "open", index)


def test_change_shorter_than_debounce_moves_no_gripper(controller, bridge, hand, repeat):
    status = bridge(controller, {**AT_PLACE, "gripper.close_debounce": 1.0}).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    blip = [True, True, True]
    pinch = repeat(Bool, "/gripper", lambda: Bool(data=bool(blip and blip.pop())))
    controller.lines.assert_none(lambda line: line.gripper == "closed", within=1.5)
    assert not blip
    pinch.make = lambda: Bool(data=True)
    controller.lines.wait(lambda line: line.data == CLOSED)


def test_gripper_starts_in_initial_state(controller, bridge, hand):
    bridge(controller, {**AT_PLACE, "gripper.initial": "closed"})
    hand(PLACE)
    assert controller.lines.wait().data == CLOSED


def test_lost_hand_does_not_open_gripper(controller, bridge, hand, repeat):
    status = bridge(controller, {**AT_PLACE, "gripper.open_debounce": 0.3}).status
    tracker = hand(PLACE)
    pinch = repeat(Bool, "/gripper", lambda: Bool(data=True))
    index = controller.lines.find(lambda line: line.gripper == "closed")
    tracker.stop()
    status.wait(motion="HOLDING")
    # Trackers publish this when they have lost the hand: "open" for much longer than the debounce.
    pinch.make = lambda: Bool(data=False)
    after = controller.mark()
    controller.lines.assert_none(after=after)
    tracker.position = (0.13, 0.0355, 0.21)
    tracker.start()
    assert controller.lines.wait(after=after).gripper == "closed"
    # With the hand back, its decision counts again.
    controller.lines.wait(lambda line: line.gripper == "open", index)


@pytest.mark.parametrize("rate", [30.0, 2.0, 1.0])
@pytest.mark.parametrize(
    ("message_type", "closed"), [(Bool, True), (Float32, 0.1), (String, "closed")], ids=lambda value: getattr(value, "__name__", "")
)
def test_restarted_bridge_keeps_gripper_closed(
    controller, bridge, hand, repeat, message_type, closed, rate
):
    hand(PLACE)
    repeat(message_type, "/gripper", lambda: message_type(data=closed), rate=rate)
    # Use the default, because a loaded machine may discover the hand long before the publisher of
    # the gripper.
    settle = {"teleop.settle_time": 1.0}
    parameters = {**STEADY, **settle, "gripper.type": f"std_msgs/msg/{message_type.__name__}"}
    for _ in range(2):
        after = controller.mark()
        started = bridge(controller, parameters)
        started.status.wait(motion="TRACKING")
        controller.lines.wait(after=after)
        started.end()
    assert {line.gripper for line in controller.lines} == {"closed"}


def test_latched_message_before_start_sets_first_command(controller, bridge, hand, peer):
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=True))
    bridge(controller, STEADY)
    hand(PLACE)
    assert controller.lines.wait().data == CLOSED


def test_latched_message_in_motion_closes_gripper_permanently(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    fingers = peer.node.create_publisher(Bool, "/gripper", LATCHED)
    fingers.publish(Bool(data=True))
    index = controller.lines.find(lambda line: line.data == CLOSED)
    # A latched message stays valid for every later motion.
    tracker.stop()
    status.wait(motion="HOLDING")
    tracker.start()
    status.wait(motion="TRACKING")
    controller.lines.assert_none(lambda line: line.gripper == "open", index)
    fingers.publish(Bool(data=False))
    controller.lines.wait(lambda line: line.data == OPEN, index)


def test_newer_publisher_overrides_latched_message(controller, bridge, hand, repeat, peer):
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=True))
    repeat(Bool, "/gripper", lambda: Bool(data=False))
    # Without debounce, even a single wrong message would have an effect.
    status = bridge(controller, {**AT_PLACE, "gripper.close_debounce": 0.0, "teleop.settle_time": 1.0}).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    assert controller.lines.assert_none(lambda line: line.gripper == "closed") is None


def test_message_of_departed_publisher_changes_nothing_later(controller, bridge, hand, repeat, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    pinch = repeat(Bool, "/gripper", lambda: Bool(data=True))
    index = controller.lines.find(lambda line: line.gripper == "closed")
    tracker.stop()
    status.wait(motion="HOLDING")
    # The publisher loses the hand, publishes "open", and ends.
    published = peer.record(Bool, "/gripper")
    pinch.make = lambda: Bool(data=False)
    published.wait(lambda message: not message.data)
    wait_until_seen(peer)
    pinch.close()
    wait_until_left(peer)
    tracker.start()
    status.wait(motion="TRACKING")
    controller.lines.assert_none(lambda line: line.gripper == "open", index)


def test_short_lived_publisher_changes_nothing_later(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.stop()
    status.wait(motion="HOLDING")
    # The publisher lives for less than the time between two graph polls of the bridge.
    publisher = peer.node.create_publisher(Bool, "/gripper", 10)
    while publisher.get_subscription_count() < 1:
        status.skip().wait()
    publisher.publish(Bool(data=True))
    assert publisher.wait_for_all_acked(Duration(seconds=10))
    peer.node.destroy_publisher(publisher)
    # Diagnostics come once a second. The bridge has polled the graph between them.
    peer.record(DiagnosticArray, "/diagnostics").wait_count(3)
    after = controller.mark()
    tracker.start()
    status.wait(motion="TRACKING")
    assert controller.lines.wait(after=after).gripper == "open"
    controller.lines.assert_none(lambda line: line.gripper == "closed", after)


def wait_until_seen(peer):
    """Wait until the bridge has seen a publisher on the gripper's topic in the graph."""
    peer.record(DiagnosticArray, "/diagnostics").wait(lambda array: gripper_topic(array) == "ok")


def wait_until_left(peer):
    """Wait until the bridge has seen that no node publishes on the gripper's topic any more."""
    diagnostics = peer.record(DiagnosticArray, "/diagnostics")
    diagnostics.wait(lambda array: gripper_topic(array) == "no node publishes on /gripper")


def refuse_closing(controller):
    """Refuse every command with a closed gripper."""
    controller.reply = lambda line: error("no") if b"closed" in line.data else OK


def test_refused_decision_expires_with_its_publisher(controller, bridge, hand, repeat, peer):
    refuse_closing(controller)
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    pinch = repeat(Bool, "/gripper", lambda: Bool(data=True))
    controller.lines.wait(lambda line: line.data == CLOSED)
    wait_until_seen(peer)
    pinch.close()
    wait_until_left(peer)
    after = controller.mark()
    controller.reply = lambda line: OK
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=False).success
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    status.wait(motion="TRACKING")
    assert controller.lines.wait(after=after).gripper == "open"
    controller.lines.assert_none(lambda line: line.gripper == "closed", after)


def test_refused_decision_is_retried(controller, bridge, hand, repeat):
    refuse_closing(controller)
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    repeat(Bool, "/gripper", lambda: Bool(data=True))
    index = controller.lines.find(lambda line: line.data == CLOSED)
    index = controller.lines.find(lambda line: line.data == OPEN, index)
    controller.reply = lambda line: OK
    index = controller.lines.find(lambda line: line.data == CLOSED, index)
    controller.lines.assert_none(lambda line: line.gripper == "open", index)


def test_two_numbers_change_gripper_one_does_not(controller, bridge, hand, repeat, peer):
    status = bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/Float32"}).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    # The publisher stays, but publishes nothing more.
    fingers = peer.node.create_publisher(Float32, "/gripper", LATCHED)
    fingers.publish(Float32(data=0.1))
    controller.lines.assert_none(lambda line: line.gripper == "closed")
    repeat(Float32, "/gripper", lambda: Float32(data=0.1))
    controller.lines.wait(lambda line: line.data == CLOSED)


def test_infinity_and_nan_change_nothing(controller, bridge, hand, repeat):
    bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/Float64"})
    hand(PLACE)
    pinch = repeat(Float64, "/gripper", lambda: Float64(data=0.1))
    index = controller.lines.find(lambda line: line.gripper == "closed")
    pinch.make = lambda: Float64(data=float("inf"))
    controller.lines.assert_none(lambda line: line.gripper == "open", index)
    pinch.make = lambda: Float64(data=0.9)
    index = controller.lines.find(lambda line: line.gripper == "open", index)
    pinch.make = lambda: Float64(data=float("-inf"))
    controller.lines.assert_none(lambda line: line.gripper == "closed", index)


def test_changed_threshold_needs_new_numbers(controller, bridge, hand, peer):
    started = bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/Float32"})
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    fingers = peer.node.create_publisher(Float32, "/gripper", LATCHED)
    for _ in range(2):
        fingers.publish(Float32(data=0.4))
    controller.lines.assert_none(lambda line: line.gripper == "closed")
    # With the new threshold, the old numbers would have closed the gripper.
    assert set_each(peer, ("gripper.close_below", 0.45)) == [""]
    controller.lines.assert_none(lambda line: line.gripper == "closed")


def test_message_while_disarmed_sets_first_command(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=False).success
    after = controller.mark()
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=True))
    for _ in range(2):
        status.skip().wait()
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    assert controller.lines.wait(after=after).gripper == "closed"


def test_latched_open_of_idle_publisher_is_overridden(controller, bridge, hand, repeat, peer):
    """A panel has published "open" some time ago.

    The bridge restarts while another node publishes "closed" once a second.
    """
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=False))
    repeat(Bool, "/gripper", lambda: Bool(data=True), rate=1.0)
    hand(PLACE)
    status = bridge(controller, STEADY).status
    status.wait(motion="TRACKING")
    for _ in range(2):
        status.skip().wait()
    assert {line.gripper for line in controller.lines} == {"closed"}


def test_silent_publisher_does_not_hide_latched_message(controller, bridge, hand, repeat, peer):
    peer.node.create_publisher(Bool, "/gripper", LATCHED).publish(Bool(data=True))
    repeat(Bool, "/gripper", lambda: None)
    bridge(controller, STEADY)
    hand(PLACE)
    assert controller.lines.wait().data == CLOSED
