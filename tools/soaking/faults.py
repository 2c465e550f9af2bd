"""The faults of a soak.

One random generator draws each fault and its duration, so a seed is a sequence.
"""

import dataclasses
import math
import time
import typing

from .graph import CENTRE, Graph, Guest, describe
from .processes import ArmSim, Bridge, Failure

BURST = 300  # poses between two checks of the clock
READ_TIMEOUT = 15.0  # s, until commands arrive
DEEP = "[" * 1000 + "]" * 1000


# Settings that the bridge must refuse in mid-motion: one needs disarming, one is out of range, one
# excludes the home position, one does not exist.
REFUSED = ({"link.host": "192.0.2.1"}, {"limits__speed": -1.0}, {"workspace__min": [0.25, -0.3, 0.0]}, {"nonsense": 1})


@dataclasses.dataclass
class Rig:
    """All participants of a soak."""

    bridge: Bridge
    arm: ArmSim
    graph: Graph
    # The value to which a fault resets the parameter.
    hold_behavior: str

    def check_alive(self):
        self.bridge.check_alive()
        self.arm.check_alive()
        self.graph.check_alive()

    def pass_time(self, seconds):
        """Wait while a fault lasts, and check that all participants are alive."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check_alive()
            time.sleep(min(left, 0.5))

    def tighten(self, **values):
        """Set narrower limits, and give them to the monitor once it has read all earlier commands.

        Return whether the bridge accepted the limits.
        """
        if self.graph.set(**values):
            return False
        read = self.arm.commands() + 2
        deadline = time.monotonic() + READ_TIMEOUT
        while self.arm.commands() < read:
            if time.monotonic() > deadline:
                raise Failure(f"no command came after {values}; the last status: {describe(self.graph.status)}")
            self.pass_time(0.05)
        self.arm.judge_by(**values)
        return True

    def widen(self, **values):
        self.arm.judge_by(**values)
        if reason := self.graph.set(**values):
            raise Failure(f"{values} refused: {reason}")


@dataclasses.dataclass(frozen=True)
class Fault:
    """A fault of some duration.

    If `holds`, the arm must have stopped following the hand meanwhile.
    """

    name: str
    # Plays the fault from its beginning to its end.
    play: typing.Callable[[Rig, float], None]
    # The range in seconds from which the duration is drawn.
    lasts: tuple[float, float] = (0.3, 1.5)
    holds: bool = True

    def draw(self, random):
        return round(random.uniform(*self.lasts), 2)


def controller(name, fault, lasts=(0.3, 1.5), holds=True):
    """Return a fault that arm_sim plays until it gets the console command `ok`."""

    def play(rig, seconds):
        rig.arm.type_line(fault)
        rig.pass_time(seconds)
        rig.arm.type_line("ok")

    return Fault(f"controller: {name}", play, lasts, holds)


def sends(name, text):
    return controller(name, f"say:{text}")


def suspended(name, who):
    def play(rig, seconds):
        process = getattr(rig, who)
        process.suspend()
        time.sleep(seconds)
        process.resume()

    return Fault(f"process: {name}", play, (0.8, 2.5))


def hand(name, alter, lasts=(0.6, 1.5), holds=True):
    """Return a fault in which `alter` changes each pose of the hand."""

    def play(rig, seconds):
        rig.graph.alter = lambda pose: alter(rig.graph, pose)
        rig.pass_time(seconds)
        rig.graph.alter = None

    return Fault(f"input: {name}", play, lasts, holds)


def placed(pose, x=None, frame=None):
    if x is not None:
        pose.pose.position.x = x
    if frame is not None:
        pose.header.frame_id = frame
    return pose


def zero(_graph, pose):
    position = pose.pose.position
    position.x = position.y = position.z = 0.0
    return pose


def burst(rig, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rig.graph.burst(BURST)


def flicker(rig, seconds):
    rig.graph.gripper_rate = 50
    rig.pass_time(seconds)
    rig.graph.gripper_rate = 1


def second_hand(rig, seconds):
    def elsewhere():
        pose = rig.graph.pose()
        return placed(pose, pose.pose.position.x - 0.05)

    # The bridge cannot distinguish two hands at the same position.
    guest = Guest(elsewhere)
    rig.graph.wait("held for a second publisher", lambda status: "publish" in status.reason, 10.0)
    rig.pass_time(seconds)
    guest.close()


def subscribers(rig, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        guest = Guest()
        rig.pass_time(0.2)
        guest.close()


def stop_request(rig, seconds):
    rig.graph.call("stop")
    rig.pass_time(seconds)
    rig.graph.call("reset")
    rig.graph.call("set_armed", data=True)


def disarm(rig, seconds):
    rig.graph.call("set_armed", data=False)
    rig.pass_time(seconds)
    rig.graph.call("set_armed", data=True)


def link_settings(rig, seconds):
    """Change a parameter that makes a new connection. The bridge accepts it only while disarmed."""
    rig.graph.call("set_armed", data=False)
    for timeout in (2.0, 1.5):
        if reason := rig.graph.set(link__timeout=timeout):
            raise Failure(f"link.timeout refused: {reason}")
        rig.pass_time(seconds / 2)
    rig.graph.call("set_armed", data=True)


def reconnect(rig, _seconds):
    rig.graph.call("reconnect")


def slower(rig, seconds):
    if rig.tighten(limits__speed=0.08, limits__approach_speed=0.04):
        rig.pass_time(seconds)
        rig.widen(limits__speed=0.25, limits__approach_speed=0.1)


def narrower(rig, seconds):
    """Make the workspace narrower. The bridge refuses it if the arm is outside."""
    if rig.tighten(workspace__max=[0.22, 0.3, 0.4], arm__home=[0.2, 0.0, 0.2]):
        rig.pass_time(seconds)
        rig.widen(workspace__max=[0.3, 0.3, 0.4], arm__home=[0.2, 0.0, 0.2])


def stop_lines(rig, seconds):
    """Hold the arm with `teleop.hold_behavior: stop`, so that the hold is a stop line."""
    rig.widen(teleop__hold_behavior="stop")
    rig.graph.alter = lambda pose: None
    rig.pass_time(seconds)
    rig.graph.alter = None
    rig.tighten(teleop__hold_behavior=rig.hold_behavior)


def refused_settings(rig, _seconds):
    for values in REFUSED:
        if not rig.graph.set(**values):
            raise Failure(f"{values} was accepted in mid-motion")


def vanished_client(rig, _seconds):
    rig.graph.leave_call()


FAULTS = [
    controller("silence", "silence", (0.8, 3.0)),
    controller("reads nothing", "half-open", (0.8, 3.0)),
    controller("slow replies", "delay:0.05", holds=False),
    controller("replies half a second late", "delay:0.65", (1.0, 2.0)),
    controller("byte by byte", "split", holds=False),
    controller("every reply twice", "twice"),
    controller("three errors", "error:no@0x3", holds=False),
    controller("errors", "error:no\x1b[2J way", (0.5, 1.0)),
    sends("bare words", "OK"),
    sends("unknown status", '{"status":"done"}'),
    sends("a member twice", '{"status":"ok","status":"ok"}'),
    sends("deep JSON", f'{{"status":"ok","a":{DEEP}}}'),
    controller("not UTF-8", "binary"),
    controller("a megabyte without a newline", "flood"),
    controller("a slow drip", "drip", (1.0, 2.5)),
    controller("reset in mid-line", "reset-mid-line@0x1"),
    controller("end in mid-line", "close-mid-line@0x1"),
    controller("gone", "crash"),
    controller("restart", "restart:0.2"),
    suspended("bridge stopped", "bridge"),
    suspended("controller stopped", "arm"),
    hand("none", lambda graph, pose: None),
    hand("NaN", lambda graph, pose: placed(pose, math.nan)),
    hand("infinite", lambda graph, pose: placed(pose, math.inf)),
    hand("unknown frame", lambda graph, pose: placed(pose, frame="elsewhere")),
    hand("zeros", zero),
    hand("old stamps", lambda graph, pose: graph.aged(pose, 3600.0)),
    hand("stamps from the future", lambda graph, pose: graph.aged(pose, -3600.0)),
    hand("a jump", lambda graph, pose: placed(pose, CENTRE[0] - 0.3), (0.6, 1.5)),
    hand("beyond the workspace", lambda graph, pose: placed(pose, pose.pose.position.x + 0.08), holds=False),
    Fault("input: burst", burst, (0.3, 1.0), holds=False),
    Fault("input: gripper flicker", flicker, (0.5, 2.0), holds=False),
    Fault("input: second publisher", second_hand),
    Fault("operator: stop and reset", stop_request),
    Fault("operator: disarm and arm", disarm),
    Fault("operator: reconnect", reconnect),
    Fault("operator: link settings", link_settings),
    Fault("operator: slower", slower, (0.5, 2.0), holds=False),
    Fault("operator: narrower", narrower, (0.5, 2.0), holds=False),
    Fault("operator: stop lines", stop_lines),
    Fault("operator: refused settings", refused_settings, holds=False),
    Fault("graph: subscribers come and go", subscribers, (0.5, 2.0), holds=False),
    Fault("graph: a client that is gone", vanished_client, holds=False),
]


def sequence(random):
    """Yield faults and their durations without end.

    Each round plays every fault once, in a new order.
    """
    while True:
        deck = random.sample(FAULTS, len(FAULTS))
        for fault in deck:
            yield fault, fault.draw(random)
