"""What is done to a running bridge. Each fault and its time are drawn from one generator: a seed is a sequence."""

import dataclasses
import math
import time
import typing

from .graph import CENTRE, Graph, Guest, told
from .processes import ArmSim, Bridge, Failure

BURST = 300  # poses, between two looks at the clock
READ_TIMEOUT = 15.0  # s, for commands to flow
DEEP = "[" * 1000 + "]" * 1000


# In mid-motion: one that waits for disarming, one out of range, one that excludes home, and none at all.
REFUSED = ({"link.host": "192.0.2.1"}, {"limits__speed": -1.0}, {"workspace__min": [0.25, -0.3, 0.0]}, {"nonsense": 1})


@dataclasses.dataclass
class Rig:
    """All that takes part."""

    bridge: Bridge
    arm: ArmSim
    graph: Graph
    # What the bridge is set to where a fault changes it.
    hold_behavior: str

    def check_alive(self):
        self.bridge.check_alive()
        self.arm.check_alive()
        self.graph.check_alive()

    def pass_time(self, seconds):
        """Lets a fault last."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check_alive()
            time.sleep(min(left, 0.5))

    def tighten(self, **values):
        """Sets what the judge is to go by once all that was sent before has been read. Returns whether it was taken."""
        if self.graph.set(**values):
            return False
        read = self.arm.commands() + 2
        deadline = time.monotonic() + READ_TIMEOUT
        while self.arm.commands() < read:
            if time.monotonic() > deadline:
                raise Failure(f"no command comes after {values}; the last status: {told(self.graph.status)}")
            self.pass_time(0.05)
        self.arm.judge_by(**values)
        return True

    def widen(self, **values):
        self.arm.judge_by(**values)
        if reason := self.graph.set(**values):
            raise Failure(f"{values} refused: {reason}")


@dataclasses.dataclass(frozen=True)
class Fault:
    """Something that happens for a while. `holds`: the arm must have been let go of meanwhile."""

    name: str
    # Plays it from begin to end, with the generator's numbers.
    play: typing.Callable[[Rig, float], None]
    # In seconds; drawn from this range.
    lasts: tuple[float, float] = (0.3, 1.5)
    holds: bool = True

    def draw(self, random):
        return round(random.uniform(*self.lasts), 2)


def controller(name, fault, lasts=(0.3, 1.5), holds=True):
    """A fault that arm_sim plays, until it is told to end it."""

    def play(rig, seconds):
        rig.arm.say(fault)
        rig.pass_time(seconds)
        rig.arm.say("ok")

    return Fault(f"controller: {name}", play, lasts, holds)


def says(name, text):
    return controller(name, f"say:{text}")


def suspended(name, who):
    def play(rig, seconds):
        process = getattr(rig, who)
        process.suspend()
        time.sleep(seconds)
        process.resume()

    return Fault(f"process: {name}", play, (0.8, 2.5))


def hand(name, alter, lasts=(0.6, 1.5), holds=True):
    """A hand that is altered: what is made of each pose."""

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

    # Two hands at the same place are not told apart.
    guest = Guest(elsewhere)
    rig.graph.wait("held for a second publisher", lambda status: "publish" in status.reason, 10.0)
    rig.pass_time(seconds)
    guest.close()


def listeners(rig, seconds):
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
    """What makes a new connection, and may be set while disarmed."""
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
    """Refused where the arm is outside of it."""
    if rig.tighten(workspace__max=[0.22, 0.3, 0.4], arm__home=[0.2, 0.0, 0.2]):
        rig.pass_time(seconds)
        rig.widen(workspace__max=[0.3, 0.3, 0.4], arm__home=[0.2, 0.0, 0.2])


def stop_lines(rig, seconds):
    """A hold that is told by a line."""
    rig.widen(teleop__hold_behavior="stop")
    rig.graph.alter = lambda pose: None
    rig.pass_time(seconds)
    rig.graph.alter = None
    rig.tighten(teleop__hold_behavior=rig.hold_behavior)


def refused_settings(rig, _seconds):
    for values in REFUSED:
        if not rig.graph.set(**values):
            raise Failure(f"{values} was taken in mid-motion")


def impatient(rig, _seconds):
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
    says("bare words", "OK"),
    says("unknown status", '{"status":"done"}'),
    says("a member twice", '{"status":"ok","status":"ok"}'),
    says("deep JSON", f'{{"status":"ok","a":{DEEP}}}'),
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
    hand("a leap", lambda graph, pose: placed(pose, CENTRE[0] - 0.3), (0.6, 1.5)),
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
    Fault("graph: listeners come and go", listeners, (0.5, 2.0), holds=False),
    Fault("graph: a client that is gone", impatient, holds=False),
]


def sequence(random):
    """Faults without end, each with how long it lasts: all of them in one order, then all in another."""
    while True:
        deck = random.sample(FAULTS, len(FAULTS))
        for fault in deck:
            yield fault, fault.draw(random)
