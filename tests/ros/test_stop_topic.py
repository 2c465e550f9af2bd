"""Tests one button that stops every subscribed bridge (`stop.topic`)."""

import pytest
from harness import LATCHED, QUICK
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
BUTTON = "/e_stop"
AT_PLACE = {**QUICK, "arm.home": list(PLACE), "stop.topic": BUTTON}
# For a button that publishes only when it is pressed.
SILENT = {"stop.timeout": 0.0}
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


def following(controller, bridge, hand, parameters=None, *arguments, **options):
    started = bridge(controller, {**AT_PLACE, **(parameters or {})}, *arguments, **options)
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    return started


def released(peer, name="/aether_bridge"):
    reset = peer.call(Trigger, f"{name}/reset")
    assert reset.success == (not reset.message.startswith("not released: still stopped by")), reset
    return peer.call(SetBool, f"{name}/set_armed", data=True)


@pytest.mark.parametrize("qos", [10, BEST_EFFORT, LATCHED], ids=["reliable", "best effort", "latched"])
def test_true_stops_and_false_releases_nothing(controller, bridge, hand, peer, qos):
    started = following(controller, bridge, hand, SILENT)
    button = peer.node.create_publisher(Bool, BUTTON, qos)
    peer.session.run(lambda: None)
    while button.get_subscription_count() < (2 if qos is LATCHED else 1):
        started.status.skip().wait()
    button.publish(Bool(data=True))
    started.status.wait(motion="STOPPED", reason="stopped by stop.topic.*~/reset.*~/set_armed")
    after = controller.mark()
    button.publish(Bool(data=False))
    controller.lines.assert_none(after=after)
    assert released(peer).success
    started.status.wait(motion="TRACKING")


def test_latched_true_before_start_stops(controller, bridge, hand, peer):
    peer.node.create_publisher(Bool, BUTTON, LATCHED).publish(Bool(data=True))
    started = bridge(controller, {**AT_PLACE, **SILENT})
    hand(PLACE)
    started.status.wait(state="CONNECTED", motion="STOPPED", reason="stop.topic")
    # The button still publishes true.
    refused = released(peer)
    assert not refused.success and "~/reset" in refused.message, refused
    controller.lines.assert_none()


def test_silence_after_first_message_stops(controller, bridge, hand, peer, repeat):
    # The topic has had no message yet.
    started = following(controller, bridge, hand)
    button = repeat(Bool, BUTTON, lambda: Bool(data=False), rate=20.0)
    started.status.skip().wait()
    button.close()
    started.status.wait(motion="STOPPED", reason=r"stopped by stop.topic: no message for stop.timeout 0.50 s")
    assert not released(peer).success
    started.status.skip().wait(motion="STOPPED", reason="no message for stop.timeout")
    button = repeat(Bool, BUTTON, lambda: Bool(data=False), rate=20.0)
    started.status.skip().wait()
    assert released(peer).success
    started.status.wait(motion="TRACKING")


def test_one_button_stops_every_bridge(controllers, bridge, hand, peer, repeat):
    names = ["/left/aether_bridge", "/right/aether_bridge"]
    started = []
    for name in names:
        space = name.rpartition("/")[0]
        started.append(bridge(controllers(), AT_PLACE, ["-r", f"__ns:={space}"], name=name))
        hand(PLACE, f"{space}/target_pose")
        started[-1].status.wait(motion="TRACKING")
    # The messages of another publisher make no difference.
    repeat(Bool, BUTTON, lambda: Bool(data=False))
    repeat(Bool, BUTTON, lambda: Bool(data=True), rate=5.0)
    for each in started:
        each.status.wait(motion="STOPPED", reason="stop.topic")


def test_invalid_stop_topic_is_refused(launch):
    started = launch({"stop.topic": "no topic"})
    assert started.wait() == 2
    started.log.wait(lambda line: "the topic 'no topic' cannot be subscribed to" in line)
