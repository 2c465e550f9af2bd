"""Tests who can start motion: an operator, and the publisher for which the arm was armed."""

import pathlib
import re
import signal
import threading
import time

import pytest
from geometry_msgs.msg import PoseStamped
from harness import PLAIN, QUICK, unstamped
from preloaded import Preloaded
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
NEAR = (0.13, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
# A source that is read by field paths, for any message type.
BY_PATHS = {"input.position": ["pose.position.x", "pose.position.y", "pose.position.z"]}


class Caller:
    """Calls services without waiting for the responses."""

    def __init__(self, peer):
        names = {"set_armed": SetBool, "go_home": Trigger, "stop": Trigger, "reset": Trigger}
        self._clients = {name: peer.node.create_client(kind, f"/aether_bridge/{name}") for name, kind in names.items()}
        for client in self._clients.values():
            assert client.wait_for_service(20)

    def call(self, name, request):
        received, future = threading.Event(), self._clients[name].call_async(request)
        future.add_done_callback(lambda _: received.set())

        def response():
            assert received.wait(20), f"no response from {name}"
            return future.result()

        return response


def stopped(process):
    """Stop a process, and wait until all its threads have stopped."""
    process.send_signal(signal.SIGSTOP)
    threads = lambda: pathlib.Path(f"/proc/{process.pid}/task").glob("*/stat")  # noqa: E731
    while any(stat.read_text().rpartition(")")[2].split()[0] != "T" for stat in threads()):
        time.sleep(0.001)


def set_armed(peer):
    return peer.call(SetBool, "/aether_bridge/set_armed", data=True)


def disarmed(controller, bridge, hand, parameters=None):
    """Start a bridge that waits for an operator, with a visible hand."""
    started = bridge(controller, {**AT_PLACE, "teleop.arming": "operator", **(parameters or {})})
    hand(PLACE, stamp=unstamped)
    started.status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="DISARMED")
    return started


def following(controller, bridge, hand, parameters=None):
    started = bridge(controller, {**AT_PLACE, **(parameters or {})})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    return started, tracker


def test_arming_delayed_by_sigstop_does_not_arm(controller, bridge, hand, peer):
    started = disarmed(controller, bridge, hand)
    caller = Caller(peer)
    stopped(started.process)
    response = caller.call("set_armed", SetBool.Request(data=True))
    time.sleep(3.5)  # the request waits: this delay is under test
    started.process.send_signal(signal.SIGCONT)
    refused = response()
    assert not refused.success and "was sent" in refused.message and "call it again" in refused.message, refused
    started.status.skip().wait(motion="DISARMED")
    controller.lines.assert_none()
    assert set_armed(peer).success


def test_arming_sent_before_stop_does_not_arm(controller, bridge, hand, peer):
    started = disarmed(controller, bridge, hand)
    caller = Caller(peer)
    stopped(started.process)
    arm = caller.call("set_armed", SetBool.Request(data=True))
    others = [caller.call("stop", Trigger.Request()), caller.call("reset", Trigger.Request())]
    time.sleep(0.5)  # until the requests are on their way
    started.process.send_signal(signal.SIGCONT)
    assert all(response().success for response in others)
    refused = arm()
    # The bridge may handle any of the three requests first.
    assert not refused.success and re.search("before the|held up", refused.message), refused
    assert peer.call(Trigger, "/aether_bridge/reset").success
    started.status.skip().wait(motion="DISARMED")
    controller.lines.assert_none()
    assert set_armed(peer).success
    started.status.wait(motion="TRACKING")


def test_second_call_before_response_confirms_nothing(controller, bridge, hand, peer):
    """Two calls confirm that the arm may go home from any position.

    The second call must come after the first response.
    """
    started = disarmed(controller, bridge, hand, {**PLAIN, "arm.assume_position": "none"})
    caller = Caller(peer)
    stopped(started.process)
    responses = [caller.call("set_armed", SetBool.Request(data=True)) for _ in range(4)]
    time.sleep(0.1)  # until the requests are on their way, but not too old
    started.process.send_signal(signal.SIGCONT)
    assert not any(response().success for response in responses)
    controller.lines.assert_none()
    # The bridge may have sent the response by now.
    first = set_armed(peer)
    assert first.success or "again within" in first.message and set_armed(peer).success
    started.status.wait(motion="TRACKING")


@pytest.mark.parametrize("ahead, words", [(10, r"was sent 1\d\.\d s ago"), (-10, "in the future")])
def test_arming_is_refused_while_clocks_disagree(controller, bridge, hand, peer, tmp_path, ahead, words):
    faults = Preloaded(tmp_path)
    started = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"}, environment=faults.environment)
    hand(PLACE, stamp=unstamped)
    started.status.wait(lambda status: status.input_age >= 0, motion="DISARMED")
    faults.set(ahead=ahead)
    refused = set_armed(peer)
    assert not refused.success and re.search(words, refused.message) and "clocks" in refused.message, refused
    # A request that ends motion is executed anyway.
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=False).success
    assert peer.call(Trigger, "/aether_bridge/stop").success
    assert peer.call(Trigger, "/aether_bridge/reset").success
    faults.set()
    assert set_armed(peer).success


@pytest.mark.parametrize("parameters", [{}, BY_PATHS], ids=["typed", "by paths"])
def test_restarted_tracker_waits_for_operator(controller, bridge, hand, peer, parameters):
    started, tracker = following(controller, bridge, hand, parameters)
    tracker.close()
    second = hand(NEAR)
    started.status.wait(motion="DISARMED", reason="another publisher sends targets .*~/set_armed")
    controller.lines.assert_none(after=controller.mark())
    assert {line.position for line in controller.lines} == {PLACE}
    assert set_armed(peer).success
    started.status.wait(motion="TRACKING")
    # The restarted tracker is now the hand.
    second.stop()
    started.status.wait(motion="HOLDING")
    second.start()
    started.status.wait(motion="TRACKING")


def test_recording_does_not_move_armed_arm(controller, bridge, hand):
    started, tracker = following(controller, bridge, hand)
    tracker.stop()
    started.status.wait(motion="HOLDING")
    after = controller.mark()
    recording = hand(NEAR)
    started.status.wait(motion="DISARMED", reason="another publisher")
    recording.close()
    # The hand for which the arm was armed does not replace the operator either.
    tracker.start()
    controller.lines.assert_none(after=after, within=1.0)


def test_no_target_of_second_publisher_is_followed(controller, bridge, hand, repeat):
    """Even a short publisher that the graph shows late cannot move the arm."""
    started, _ = following(controller, bridge, hand)
    x, y, z = PLACE
    for step in range(4):
        pose = PoseStamped()
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = x, y + 0.001 * (step + 1), z
        pose.pose.orientation.w = 1.0
        second = repeat(PoseStamped, "/target_pose", lambda pose=pose: pose, rate=100.0)
        started.status.wait(motion="HOLDING", reason="2 publishers")
        second.close()
        started.status.wait(motion="TRACKING")
    assert {line.position for line in controller.lines} == {PLACE}


def test_publishers_may_change_before_automatic_arming(controllers, bridge, hand):
    controller = controllers(up=False)
    started = bridge(controller, AT_PLACE)
    hand(PLACE).close()
    tracker = hand(PLACE)
    started.status.wait(lambda status: status.input_age >= 0)
    controller.restart()
    started.status.wait(motion="TRACKING")
    assert "DISARMED" not in started.status.motions()[1:]
    tracker.stop()


def test_early_arming_applies_to_first_publisher(controller, bridge, hand, peer):
    started = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"})
    assert set_armed(peer).success
    started.status.wait(motion="HOLDING")
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.close()
    hand(NEAR)
    started.status.wait(motion="DISARMED", reason="another publisher")
