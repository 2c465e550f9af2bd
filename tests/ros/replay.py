"""Samples through the real node: what went in, and all that came out."""

import contextlib
import dataclasses

from controller import Controller
from harness import MOTIONS, Bridge, Peer, stamp_seconds
from recording import NOBODY, RETARGET
from stream import Stream

# Patience with a busy machine. A tracker that says zero, or the same again, still sends a message for every frame:
# nothing but a machine that stands still turns on these.
PATIENT = {"input.timeout": 1.0, "input.min_rate": 0.0}


@dataclasses.dataclass(frozen=True)
class Run:
    """A bridge's life. Commands are numbered from 0 here: `lines[n]` is the one with `seq` n + 1."""

    inputs: list
    # As the controller received them.
    lines: list
    # Of ~/command, by number.
    commands: dict
    # Of ~/link_status, in order. Every change of motion or reason is told, in the order of the commands, and
    # `status.sent` is how many commands went before it: that holds on a machine of any speed.
    statuses: list

    def phases(self):
        """The motions in order, each with the commands sent in it."""
        phases = []
        for status in self.statuses:
            motion = MOTIONS[status.motion]
            if not phases or phases[-1].motion != motion:
                if phases:
                    phases[-1] = dataclasses.replace(phases[-1], end=status.sent)
                phases.append(Phase(motion, status.sent, len(self.lines)))
        return phases

    def at_most(self, before, after):
        """The longest time that there can have been between two commands, given by number.

        A command is planned after the controller has answered the one before it, and before the controller has it. That
        is so on the steady clock, which both share, on a machine of any speed.
        """
        return self.lines[after].at - self.lines[max(0, before - 1)].at

    def at_least(self, before, after):
        """The shortest time, likewise."""
        return max(0.0, self.lines[after - 1].at - self.lines[before].at)

    def stamped(self):
        """The commands whose messages came as (seconds of ROS time, position in metres)."""
        messages = (self.commands[number] for number in sorted(self.commands))
        return [(stamp_seconds(message.header.stamp), xyz(message.position)) for message in messages]


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of one motion: the numbers of its commands are from `start`, and less than `end`."""

    motion: str
    start: int
    end: int


class Rig:
    """A bridge between a stream of samples and a controller."""

    def __init__(self, session, parameters, idle, log_folder):
        with contextlib.ExitStack() as closing:
            self.peer = Peer(session)
            closing.callback(self.peer.close)
            self.controller = Controller()
            closing.callback(self.controller.close)
            self._commands = self.peer.commands()
            asking = {"link.heartbeat.period": 60.0}
            parameters = {"link.port": self.controller.port, **asking, **RETARGET, **(parameters or {})}
            self.controller.stand_at(parameters)
            self.bridge = Bridge(self.peer, parameters, log_folder=log_folder)
            closing.callback(self._end_bridge)
            self.status = self.bridge.status
            self.status.wait()
            self.stream = Stream(self.peer, idle)
            closing.callback(self.stream.close)
            self._closing = closing.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._closing.close()

    def finish(self):
        """Ends the bridge, and returns what there has been."""
        self._end_bridge()
        lines = self.controller.lines[: self.controller.mark()]
        if lines:
            self._commands.wait(lambda command: command.seq == len(lines))
        statuses = [seen.message for seen in self.status.seen]
        commands = {command.seq - 1: command for command in self._commands}
        return Run(list(self.stream.published), lines, commands, statuses)

    def _end_bridge(self):
        if not self.bridge.ended():
            self.bridge.end()


def replay(session, samples, parameters, log_folder, ready="all zero", idle=NOBODY):
    """Plays samples to a bridge of its own once its status gives the reason `ready` for `idle`."""
    with Rig(session, parameters, idle, log_folder) as rig:
        rig.status.wait(state="CONNECTED", reason=ready)
        rig.stream.play(samples)
        return rig.finish()


def xyz(point):
    return (point.x, point.y, point.z)
