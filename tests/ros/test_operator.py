"""Tests the operator's services: stop, reset, arm, disarm.

Only an operator undoes an operator's action.
"""

import re

from controller import command
from harness import LINK_STATES, MOTIONS, QUICK, call_without_response, distance
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import GetParameters, ListParameters
from rclpy.qos import QoSProfile
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
ELSEWHERE = (0.2, 0.0355, 0.21)
ELSEWHERE_LINE = command("200.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
# At 0.1 m/s the first step of a ramp is 2 mm. After a rest a step may be twice as long.
STEP = 0.1 * 0.04 + 1e-6


def set_armed(peer, armed):
    return peer.call(SetBool, "/aether_bridge/set_armed", data=armed)


def test_only_reset_and_arming_end_a_stop(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = ELSEWHERE
    controller.lines.wait(lambda line: line.position[0] > 0.14)

    stopped = peer.call(Trigger, "/aether_bridge/stop")
    after = controller.mark()
    assert stopped.success and "~/reset" in stopped.message
    status.wait(state="CONNECTED", motion="STOPPED", reason=r"~/stop.*~/reset.*~/set_armed")
    controller.lines.assert_none(after=after)
    last = controller.lines[after - 1]

    refused = set_armed(peer, True)
    assert not refused.success and "~/reset" in refused.message
    controller.lines.assert_none(after=after)
    assert MOTIONS[status.newest().motion] == "STOPPED"

    reset = peer.call(Trigger, "/aether_bridge/reset")
    assert reset.success and "~/set_armed" in reset.message
    status.wait(motion="DISARMED", reason="~/set_armed")
    controller.lines.assert_none(after=after)

    assert set_armed(peer, True).success
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=after).position, last.position) <= STEP
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == ELSEWHERE_LINE, after)


def test_stop_without_controller_is_latched(controllers, bridge, hand, peer):
    controller = controllers(up=False)
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    assert peer.call(Trigger, "/aether_bridge/stop").success
    controller.restart()
    status.wait(state="CONNECTED", motion="STOPPED")
    controller.lines.assert_none()


def test_stop_survives_link_loss(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    peer.call(Trigger, "/aether_bridge/stop")
    controller.kill()
    status.wait(state="BACKOFF", motion="STOPPED")
    controller.restart()
    status.wait(state="CONNECTED", motion="STOPPED")
    assert controller.lines.assert_none(lambda line: line.connection == 2) is None


def test_stop_works_among_unreachable_clients(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    given_up = peer.record(Log, "/rosout", QoSProfile(depth=1000))
    # The bridge drops each response after 0.1 s. So there are far more requests than it can respond
    # to.
    call_without_response(peer, ListParameters, "/aether_bridge/list_parameters", period=0.02)
    call_without_response(peer, GetParameters, "/aether_bridge/get_parameters", period=0.02)
    seen = -1
    for _ in range(10):
        seen = given_up.find(lambda log: "call the service again" in log.msg, seen + 1)
    assert peer.call(Trigger, "/aether_bridge/stop").success
    after = controller.mark()
    status.wait(motion="STOPPED")
    controller.lines.assert_none(after=after)


def test_stop_works_if_response_is_undeliverable(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    call_without_response(peer, Trigger, "/aether_bridge/stop")
    status.wait(motion="STOPPED")
    controller.lines.assert_none(after=controller.mark())


def test_reset_in_motion_disarms(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    reset = peer.call(Trigger, "/aether_bridge/reset")
    after = controller.mark()
    assert reset.success and re.search("no stop was latched; disarmed: .*~/set_armed", reset.message), reset
    status.wait(motion="DISARMED", reason="disarmed by ~/reset; call ~/set_armed")
    tracker.position = ELSEWHERE
    controller.lines.assert_none(after=after)
    again = peer.call(Trigger, "/aether_bridge/reset")
    assert again.success and "already disarmed" in again.message
    assert set_armed(peer, True).success
    status.wait(motion="APPROACH")


def test_disarming_ends_motion_and_arming_approaches(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    assert set_armed(peer, False).success
    after = controller.mark()
    status.wait(state="CONNECTED", motion="DISARMED", reason="~/set_armed")
    tracker.position = ELSEWHERE
    controller.lines.assert_none(after=after)

    armed = set_armed(peer, True)
    assert armed.success and armed.message
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=after).position, PLACE) <= STEP
    again = set_armed(peer, True)
    assert again.success and "already" in again.message


def test_disarming_survives_link_loss_with_automatic_arming(controller, bridge, hand, peer):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    set_armed(peer, False)
    after = controller.mark()
    controller.kill()
    tracker.stop()
    status.wait(state="BACKOFF", motion="DISARMED")
    controller.restart()
    tracker.start()
    status.wait(state="CONNECTED", motion="DISARMED")
    controller.lines.assert_none(after=after)


def test_operator_mode_needs_arming_after_link_loss(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"}).status
    tracker = hand(PLACE)
    status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="DISARMED", reason="~/set_armed")
    controller.lines.assert_none()

    assert set_armed(peer, True).success
    status.wait(motion="TRACKING")
    controller.lines.wait()

    before = controller.mark()
    controller.kill()
    status.wait(state="BACKOFF", motion="DISARMED", reason="link was lost.*~/set_armed")
    tracker.position = ELSEWHERE
    controller.restart()
    status.wait(state="CONNECTED", motion="DISARMED")
    controller.lines.assert_none(after=before)

    assert set_armed(peer, True).success
    status.wait(motion="APPROACH")
    assert distance(controller.lines.wait(after=before).position, PLACE) <= STEP


def test_operator_mode_resumes_after_lost_hand(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"}).status
    tracker = hand(PLACE)
    status.wait(state="CONNECTED", reason="~/set_armed")
    set_armed(peer, True)
    status.wait(motion="TRACKING")
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target")
    tracker.position = ELSEWHERE
    tracker.start()
    status.wait(motion="APPROACH")
    status.wait(motion="TRACKING")


def test_early_arming_holds_and_names_the_cause(controllers, bridge, hand, peer):
    controller = controllers(up=False)
    status = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"}).status
    armed = set_armed(peer, True)
    assert armed.success and "no connection" in armed.message
    status.wait(motion="HOLDING", reason="no connection")
    controller.restart()
    status.wait(state="CONNECTED", motion="HOLDING", reason="no target received yet")
    hand(PLACE)
    tracking = status.wait(motion="TRACKING")
    assert LINK_STATES[tracking.state] == "CONNECTED"
