"""The table of reasons in docs/troubleshooting.md: each row as an operator sees it."""

import pathlib
import re
import signal

import pytest
from controller import error, report
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, Quaternion
from harness import PLAIN, QUICK, aged, unstamped
from preloaded import Preloaded
from std_msgs.msg import Bool, Float64MultiArray
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
NEAR = (0.13, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
NOWHERE = (float("nan"), 0.0, 0.0)
PAGE = pathlib.Path(__file__).parents[2] / "docs/troubleshooting.md"


def _rows():
    """Return the beginning of the line as a regular expression, by the short name of the reason."""
    section = PAGE.read_text().partition("## Why does it not move?")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| .* \|$", section, re.MULTILINE)
    return {name: ".*".join(map(re.escape, text.split("…"))) for name, text in rows}


ROWS = _rows()
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


@pytest.fixture
def scene(controllers, arm_sim, bridge, hand, repeat, peer, tmp_path):
    return Scene(controllers, arm_sim, bridge, hand, repeat, peer, tmp_path)


class Scene:
    """A running bridge, which the cases disturb."""

    def __init__(self, controllers, arm_sim, bridge, hand, repeat, peer, folder):
        self.folder, self.environment = folder, None
        self.controllers, self.arm_sim, self.repeat, self.peer = controllers, arm_sim, repeat, peer
        self.hand, self._bridge = hand, bridge
        self.controller = self.tracker = self.bridge = None

    def start(self, parameters=None, controller=None, hand=True, **options):
        self.controller = controller or self.controllers()
        self.bridge = self._bridge(self.controller, {**AT_PLACE, **(parameters or {})}, environment=self.environment)
        if hand:
            self.tracker = self.hand(PLACE, **options)
        return self

    def follow(self, parameters=None, **options):
        self.start(parameters, **options)
        self.bridge.status.wait(motion="TRACKING")
        return self

    def call(self, name, service_type=Trigger, **fields):
        assert self.peer.call(service_type, f"/aether_bridge/{name}", **fields).success


@pytest.mark.parametrize("reason", ROWS)
def test_status_and_diagnostics_show_the_reason(reason, scene):
    diagnostics = scene.peer.record(DiagnosticArray, "/diagnostics")
    seen_before = CASES[reason](scene)
    status = scene.bridge.status
    shown = status.wait(reason=ROWS[reason])
    if not seen_before:
        diagnostics.wait(lambda array: _short_name(array) == reason)
    still = reason not in ("tracking", "approaching", "going_home")
    moving = shown.motion in (1, 2)
    assert moving != still, shown


def test_every_row_has_a_case():
    assert set(CASES) == set(ROWS)


def _short_name(array):
    return next(
        pair.value for status in array.status if status.name.endswith(": motion") for pair in status.values
        if pair.key == "reason"
    )


@case
def tracking(scene):
    scene.follow()


@case
def approaching(scene):
    scene.start({"arm.home": [0.2, 0.2, 0.3], "limits.approach_speed": 0.02})


@case
def going_home(scene):
    controller = scene.controllers()
    controller.heartbeat_reply = lambda line: report((120.0, 35.5, 210.0))
    scene.start({"arm.home": [0.2, 0.2, 0.3], "limits.approach_speed": 0.02}, controller, hand=False)
    scene.bridge.status.wait(state="CONNECTED")
    controller.heartbeats.wait()
    scene.call("go_home")


@case
def no_input(scene):
    scene.start(hand=False)


@case
def gripper_awaited(scene):
    scene.peer.node.create_publisher(Bool, "/gripper", 10)
    scene.start()


@case
def settling(scene):
    scene.start({"teleop.settle_time": 3.0})


@case
def input_stale(scene):
    scene.follow().tracker.stop()


@case
def rate_too_low(scene):
    scene.follow({"input.timeout": 5.0, "input.min_rate": 10.0}).tracker.rate = 4.0


@case
def input_zero(scene):
    scene.follow().tracker.position = (0.0, 0.0, 0.0)


@case
def hand_not_detected(scene):
    # The rotation gives the validity: its w is 1 for a valid hand.
    scene.follow({"input.valid": "pose.orientation.w"}).tracker.orientation = Quaternion(x=1.0, w=0.0)


@case
def malformed_message(scene):
    # This type accepts arrays of any length.
    scene.start({"input.type": "std_msgs/msg/Float64MultiArray", "input.position": [f"data[{i}]" for i in range(3)]},
                hand=False)
    scene.repeat(Float64MultiArray, "/target_pose", lambda: Float64MultiArray())


@case
def input_frozen(scene):
    scene.start({"input.frozen_timeout": 1.0})


@case
def input_jump(scene):
    scene.follow({"limits.jump_confirm_time": 10.0}).tracker.position = (-0.2, 0.0355, 0.21)


@case
def multiple_publishers(scene):
    scene.follow()
    scene.hand(NEAR)


@case
def input_invalid(scene):
    scene.follow().tracker.position = NOWHERE


@case
def orientation_invalid(scene):
    scene.follow().tracker.orientation = Quaternion(w=0.0)


@case
def unknown_frame(scene):
    scene.follow({"tf.enabled": False, "retarget.frame": "camera"}).tracker.frame = "map"


@case
def no_transform(scene):
    scene.follow({"retarget.frame": "camera"}).tracker.frame = "map"


@case
def outside_workspace(scene):
    scene.follow({"workspace.policy": "reject", "limits.max_jump": 0.0}).tracker.position = (0.12, 0.0355, 0.5)


@case
def target_far_outside(scene):
    # Millimetres instead of metres would be even farther.
    scene.follow({"limits.max_jump": 0.0}).tracker.position = (0.12, 0.0355, 1.0)


@case
def no_way(scene):
    # A wall from side to side between the arm and the hand.
    wall = [0.2, -1.0, -1.0, 0.22, 1.0, 1.0]
    scene.follow({"workspace.keep_out": wall, "limits.max_jump": 0.0}).tracker.position = (0.28, 0.0355, 0.21)


@case
def stamp_too_old(scene):
    scene.follow().tracker.stamp = aged(5.0)


@case
def stamp_from_future(scene):
    scene.follow().tracker.stamp = aged(-5.0)


@case
def stamp_backwards(scene):
    # Each stamp is older than the one before, by more than the time between them, and still young
    # enough.
    ages = iter(0.05 * count for count in range(200))
    scene.follow({"input.timeout": 10.0}).tracker.stamp = lambda now: aged(next(ages))(now)


@case
def process_stalled(scene):
    scene.follow(stamp=unstamped)
    scene.bridge.process.send_signal(signal.SIGSTOP)
    published = scene.peer.record(PoseStamped, "/target_pose")
    try:
        # How long the bridge is stopped, in messages of the hand: longer than the maximum age of a
        # target, and shorter than the second after which Fast DDS considers a shared memory reader
        # dead and delivers nothing.
        published.wait_count(int(1.6 * QUICK["input.timeout"] * 30))
        scene.tracker.stop()
    finally:
        scene.bridge.process.send_signal(signal.SIGCONT)
    # The reason lasts until input.timeout, and /diagnostics comes once a second.
    return True


@case
def computer_slept(scene):
    clocks = Preloaded(scene.folder)
    scene.environment = clocks.environment
    scene.follow(stamp=unstamped)
    published = scene.peer.record(PoseStamped, "/target_pose")
    clocks.set(sleeps=True)
    # A second, in messages of the hand.
    published.wait_count(30)
    scene.tracker.stop()
    clocks.set()
    # Until then the link is down for the same reason.
    scene.bridge.status.wait(state="CONNECTED", motion="HOLDING")


@case
def no_clock(scene):
    scene.start({"use_sim_time": True})


@case
def link_down(scene):
    scene.follow().controller.kill()


@case
def unresponsive(scene):
    scene.follow({"link.timeout": 60.0}).controller.reply = None
    scene.tracker.position = NEAR


@case
def error_replies(scene):
    scene.follow({"teleop.settle_time": 3.0}).controller.reply = lambda line: error("joint 3 is out of range")
    scene.tracker.position = NEAR


@case
def arm_outside_workspace(scene):
    controller = scene.controllers()
    controller.heartbeat_reply = lambda line: report((900.0, 0.0, 200.0))
    scene.start(controller=controller)


@case
def position_unknown(scene):
    scene.start({**PLAIN, "arm.assume_position": "none"})


@case
def arm_moved(scene):
    scene.follow({"link.heartbeat.period": 0.05}).tracker.stop()
    scene.bridge.status.wait(motion="HOLDING")
    scene.controller.heartbeat_reply = lambda line: report((150.0, 35.5, 210.0), moving=True)
    scene.controller.heartbeats.wait_count(len(scene.controller.heartbeats) + 2)
    scene.tracker.start()


@case
def arm_lags(scene):
    scene.follow({"link.heartbeat.period": 0.05, "limits.following_error": 0.005, "limits.following_error_time": 0.1})
    stuck = scene.controller.position
    scene.controller.reply = scene.controller.heartbeat_reply = lambda line: report(stuck, moving=True)
    scene.tracker.position = NEAR


@case
def arm_fault(scene):
    scene.follow().controller.reply = lambda line: report(None, fault="joint 3 is hot")
    scene.tracker.position = NEAR


@case
def awaiting_operator(scene):
    scene.start({"teleop.arming": "operator"})
    scene.bridge.status.wait(reason=ROWS["awaiting_operator"])
    scene.call("set_armed", SetBool, data=True)
    scene.bridge.status.wait(motion="TRACKING")
    scene.call("set_armed", SetBool, data=False)


@case
def stop_refused(scene):
    scene.follow({"teleop.hold_behavior": "stop"}).controller.stop_reply = lambda line: error("joint 3 is busy")
    scene.call("stop")
    shown = scene.bridge.status.wait(reason=ROWS["stop_refused"])
    assert shown.reason.startswith("stopped by ~/stop, but the controller rejected the stop line; call ~/reset")
    scene.bridge.log.wait(lambda line: "ERROR" in line and "but the controller rejected the stop line" in line)


@case
def stop_unsent(scene):
    scene.follow({"teleop.hold_behavior": "stop"}).controller.kill()
    scene.bridge.status.wait(state="BACKOFF")
    scene.call("stop")


@case
def stop_unanswered(scene):
    scene.follow({"teleop.hold_behavior": "stop", "link.timeout": 60.0}).controller.stop_reply = None
    scene.tracker.stop()
    shown = scene.bridge.status.wait(reason=ROWS["stop_unanswered"])
    assert shown.reason.startswith("holding, but the controller has not replied to the stop line: ")


@case
def stopped(scene):
    scene.follow().call("stop")


@case
def shutting_down(scene):
    scene.follow().bridge.end()
    # There is no time for the diagnostics, which come once a second.
    return True

