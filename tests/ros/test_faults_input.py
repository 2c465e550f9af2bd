"""Faults of input and time in mid-motion: lost, late and second hands, and clock jumps."""

import subprocess
import threading
import time

import shared_memory
from faults import Fault, Harmless, Sweep, play, rows
from geometry_msgs.msg import PoseStamped
from harness import EXECUTABLES, aged, unstamped
from preloaded import Preloaded
from simulation import Simulation
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

HOUR = 3600
BUTTON = "/e_stop"
# Messages a second, and the duration in seconds.
BURST, BURST_SECONDS = 10_000, 2.0


def loses_the_hand(rig):
    rig.hand.on = False


def stamps(seconds):
    def begin(rig):
        rig.hand.stamp = aged(seconds)

    return begin


def with_clock(rig):
    rig.faults = Preloaded(rig.folder)
    rig.options["environment"] = rig.faults.environment


def with_clock_alone(rig):
    with_clock(rig)
    rig.stamp = unstamped


def clock_ahead(seconds):
    return lambda rig: rig.faults.set(ahead=seconds)


def simulated(rig):
    rig.simulation = Simulation(rig.repeat)
    rig.stamp = rig.simulation.stamp


def simulation_stops(rig):
    """Stop simulated time and the hand, which is part of the simulation."""
    rig.simulation.pause()
    rig.hand.on = False


def simulation_goes_on(rig):
    rig.simulation.run()


def simulation_starts_again(rig):
    rig.simulation.pause()
    rig.simulation.now = 1.0
    rig.simulation.run()


def burst(rig):
    """Send a burst of poses, with a stop request in the middle."""
    sent = []

    def run():
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < BURST_SECONDS:
            while len(sent) < BURST * passed:
                rig.tracker.publish()
                sent.append(None)
            time.sleep(0.001)  # the pace of a burst

    rig.burst, rig.burst_sent = threading.Thread(target=run, name="burst"), sent
    rig.burst.start()
    rig.status.wait(lambda status: len(sent) > BURST)
    rig.status.skip()
    rig.begun = time.monotonic()
    rig.call("stop")


def is_over(rig):
    """Check that no command is sent after the stop. The monitor checks the rest."""
    rig.burst.join()
    assert len(rig.burst_sent) > BURST, f"{len(rig.burst_sent)} messages are not a burst"
    rig.status.skip().wait(motion="STOPPED")


def allowed_again(rig):
    rig.call("reset")
    rig.call("set_armed", data=True)


def second_publisher(rig):
    """Add a publisher that sends nothing, as an idle panel does."""
    rig.peer.node.create_publisher(PoseStamped, "/target_pose", 10)
    rig.bridge.log.wait(lambda line: "2 publishers on /target_pose" in line)


def second_hand(rig):
    """Add a second, slower hand at another position."""
    pose = PoseStamped()
    pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = 0.25, 0.05, 0.15
    pose.pose.orientation.w = 1.0
    rig.second = rig.repeat(PoseStamped, "/target_pose", lambda: pose, rate=10.0)


def second_hand_ends(rig):
    rig.second.close()


def second_tracker_dies(rig):
    """Kill a second tracker.

    DDS keeps it in the graph until its lease expires. The bridge does not wait for that.
    """
    with subprocess.Popen([EXECUTABLES / "hand_sim"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracker:
        rig.status.wait(motion="HOLDING", reason="2 publishers")
        rig.peer.session.left_behind |= shared_memory.mapped(tracker.pid)
        rig.begun = time.monotonic()
        tracker.kill()
    rig.status.skip()


def is_followed_again(rig):
    """The arm usually follows long before the dead tracker leaves the graph."""
    rig.status.wait(motion="APPROACH")


def tracker_starts_again(rig):
    rig.tracker.close()
    rig.tracker = rig.repeat(PoseStamped, "/target_pose", rig.hand)


def armed_again(rig):
    rig.call("set_armed", data=True)


def recording_is_played(rig):
    """Play a recording while the hand is out of sight."""
    rig.hand.on = False
    rig.status.wait(motion="HOLDING")
    rig.recording = rig.repeat(PoseStamped, "/target_pose", Sweep(rig.peer.node))


def recording_ends(rig):
    """The operator arms again. At that time only the hand publishes."""
    rig.hand.on = False
    rig.recording.close()
    rig.status.skip().wait(lambda status: status.input_age > 1.0)
    rig.hand.on = True
    rig.status.wait(lambda status: 0 <= status.input_age < 0.5)
    armed_again(rig)


def with_button(rig):
    rig.button = rig.repeat(Bool, BUTTON, lambda: Bool(data=False))


def button_is_pressed(rig):
    rig.button.make = lambda: Bool(data=True)


def button_is_released(rig):
    rig.button.make = lambda: Bool(data=False)
    released = lambda: rig.peer.call(Trigger, "/aether_bridge/reset").success  # noqa: E731  a true may still be on its way
    assert any(released() for _ in range(100)), "never released"
    armed_again(rig)


def button_is_gone(rig):
    rig.button.close()


def button_is_back(rig):
    with_button(rig)
    button_is_released(rig)


ROWS = [
    Fault("input stops", loses_the_hand, shows="no new target", within="input.timeout"),
    Fault("stamps jump back an hour", stamps(HOUR), shows="stamp is"),
    Fault("stamps jump ahead an hour", stamps(-HOUR), shows="in the future"),
    Fault("the bridge's clock jumps ahead", clock_ahead(HOUR), shows="s old", end=clock_ahead(0), setup=with_clock),
    Fault(
        "the bridge's clock jumps back",
        clock_ahead(-HOUR),
        shows="in the future",
        end=clock_ahead(0),
        setup=with_clock,
    ),
    Harmless("the bridge's clock jumps; targets have no stamps", clock_ahead(-HOUR), setup=with_clock_alone),
    Fault(
        "simulated time and the hand stop",
        simulation_stops,
        shows="no new target",
        within="input.timeout",
        end=simulation_goes_on,
        parameters={"use_sim_time": True},
        setup=simulated,
    ),
    Fault(
        "simulated time starts again at 1 s",
        simulation_starts_again,
        shows="target rejected: its stamp is",
        parameters={"use_sim_time": True},
        setup=simulated,
    ),
    Fault(
        "targets at 10 kHz, with a stop request among them",
        burst,
        motion="STOPPED",
        shows="stopped by ~/stop",
        check=is_over,
        end=allowed_again,
    ),
    Harmless("a second publisher that sends nothing", second_publisher),
    Fault(
        "a second hand",
        second_hand,
        shows="2 publishers on /target_pose",
        within="a graph poll (every 0.25 s) and some targets of the slower hand",
        end=second_hand_ends,
    ),
    Fault(
        "the tracker is restarted",
        tracker_starts_again,
        motion="DISARMED",
        shows="another publisher sends targets",
        within="1 s after the last target of the old publisher",
        end=armed_again,
    ),
    Fault(
        "a recording is played while the hand is out of sight",
        recording_is_played,
        motion="DISARMED",
        shows="another publisher sends targets",
        within="a second after the hand's last target",
        end=recording_ends,
    ),
    Fault(
        "true on the stop topic",
        button_is_pressed,
        motion="STOPPED",
        shows="stopped by stop.topic",
        end=button_is_released,
        parameters={"stop.topic": BUTTON},
        setup=with_button,
    ),
    Fault(
        "the stop topic falls silent",
        button_is_gone,
        motion="STOPPED",
        shows="no message for stop.timeout",
        within="stop.timeout",
        end=button_is_back,
        parameters={"stop.topic": BUTTON},
        setup=with_button,
    ),
    Fault(
        "a second tracker is killed",
        second_tracker_dies,
        shows="2 publishers on /target_pose",
        within="3 s after its last target",
        check=is_followed_again,
    ),
]


@rows(ROWS)
def test_input_fault_holds_arm_and_bridge_recovers(rig, fault):
    play(rig, fault)
