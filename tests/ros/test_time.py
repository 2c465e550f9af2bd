"""Tests simulated time: what depends on it, and the deadlines that do not."""

import signal
import time

from controller import OK, command
from geometry_msgs.msg import PoseStamped
from harness import LINK_STATES, QUICK, aged, stamp_seconds, unstamped
from simulation import Simulation, clock_time

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
SIMULATED = {**QUICK, "arm.home": list(PLACE), "use_sim_time": True}


def test_arm_follows_after_the_first_clock(controller, bridge, hand, repeat):
    status = bridge(controller, SIMULATED).status
    tracker = hand(PLACE, stamp=lambda _: clock_time(100.0))
    refused = status.wait(
        lambda status: status.dropped_input > 0, state="CONNECTED", motion="DISARMED", reason="no /clock"
    )
    assert stamp_seconds(refused.stamp) == 0.0
    controller.lines.assert_none()

    simulation = Simulation(repeat)
    tracker.stamp = simulation.stamp
    tracking = status.wait(motion="TRACKING")
    assert 100 <= stamp_seconds(tracking.stamp) < 200
    controller.lines.wait(lambda line: line.data == PLACE_LINE)


def test_wall_clock_stamp_is_refused_in_simulation(controller, bridge, hand, repeat):
    status = bridge(controller, SIMULATED).status
    Simulation(repeat)
    hand(PLACE)
    status.wait(motion="DISARMED", reason="s in the future.* use_sim_time is true here; set use_sim_time: true at the sender")
    controller.lines.assert_none()


def test_simulated_stamp_is_refused_in_system_time(controller, bridge, hand):
    status = bridge(controller, {**QUICK, "arm.home": list(PLACE)}).status
    hand(PLACE, stamp=lambda _: clock_time(100.0))
    status.wait(motion="DISARMED", reason="s old.* use_sim_time is false here; set use_sim_time: true here too")
    controller.lines.assert_none()


def test_hour_offset_advises_clock_synchronisation(controller, bridge, hand):
    status = bridge(controller, {**QUICK, "arm.home": list(PLACE)}).status
    hand(PLACE, stamp=aged(3600.0))
    status.wait(motion="DISARMED", reason="3600.* s old, .*are the clocks of the two machines synchronised")


def test_stopped_clock_does_not_stop_watchdogs(controller, bridge, hand, repeat):
    status = bridge(controller, {**SIMULATED, "link.reply_timeout": 0.3, "link.timeout": 1.0}).status
    simulation = Simulation(repeat)
    tracker = hand(PLACE, stamp=simulation.stamp)
    status.wait(motion="TRACKING")
    simulation.pause()
    tracker.stop()
    held = status.wait(motion="HOLDING", reason="no new target")
    frozen = stamp_seconds(held.stamp)
    controller.lines.assert_none(after=controller.mark())

    # The link does the same: no reply, reconnect, new attempt.
    simulation.run()
    tracker.position = (0.15, 0.0355, 0.21)
    controller.reply = None
    tracker.start()
    status.wait(state="UNRESPONSIVE")
    simulation.pause()
    assert stamp_seconds(status.wait(state="BACKOFF").stamp) >= frozen
    controller.connections.wait_count(2)
    controller.reply = lambda line: OK
    status.wait(state="CONNECTED")


def test_watchdogs_use_real_time_in_fast_simulation(controller, bridge, hand, repeat):
    # The simulation is thirty times faster than reality. A simulated second is 33 ms, so fresh
    # stamps count as fresh.
    status = bridge(controller, {**SIMULATED, "input.timeout": 5.0}).status
    simulation = Simulation(repeat)
    tick = simulation._tick
    simulation._clock.make = lambda: [tick() for _ in range(30)][-1]
    hand(PLACE, stamp=simulation.stamp)
    tracking = status.wait(lambda status: stamp_seconds(status.stamp) > 130, motion="TRACKING")
    assert LINK_STATES[tracking.state] == "CONNECTED"


def test_bridge_discards_old_target_after_sigstop(controller, bridge, hand, peer):
    started = bridge(controller, {**QUICK, "arm.home": list(PLACE)})
    published = peer.record(PoseStamped, "/target_pose")
    # Without stamps, only the bridge itself can detect that it was stopped.
    tracker = hand(PLACE, stamp=unstamped)
    started.status.wait(motion="TRACKING")
    started.process.send_signal(signal.SIGSTOP)
    try:
        tracker.position = (0.15, 0.0355, 0.21)
        published.wait(lambda pose: pose.pose.position.x == 0.15)
        tracker.stop()
        after = controller.mark()
        time.sleep(2 * QUICK["input.timeout"])  # the target gets older by this time
    finally:
        started.process.send_signal(signal.SIGCONT)
    started.status.skip().wait(motion="HOLDING")
    controller.lines.assert_none(lambda line: line.data != PLACE_LINE, after=after)
    tracker.start()
    started.status.wait(motion="TRACKING")
