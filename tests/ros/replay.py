"""Plays samples through the real node, and records input and output."""

import contextlib
import dataclasses

from controller import Controller
from harness import MOTIONS, Bridge, Peer, stamp_seconds
from recording import NO_HAND, RETARGET
from stream import Stream

# Long timeouts for a busy machine. A tracker that reports zeros or repeats a sample still publishes
# every frame. So only a machine that stands still could reach these timeouts.
PATIENT = {"input.timeout": 1.0, "input.min_rate": 0.0}


@dataclasses.dataclass(frozen=True)
class Run:
    """The record of one bridge. Commands are numbered from 0: `lines[n]` has `seq` n + 1."""

    inputs: list
    # The lines that the controller received.
    lines: list
    # The messages of ~/command, by number.
    commands: dict
    # The messages of ~/link_status, in order. The bridge publishes every change of motion or
    # reason, in order with the commands. `status.sent` is the number of commands before the change.
    # That holds on a machine of any speed.
    statuses: list

    def phases(self):
        """Return the motions in order, each with its commands."""
        phases = []
        for status in self.statuses:
            motion = MOTIONS[status.motion]
            if not phases or phases[-1].motion != motion:
                if phases:
                    phases[-1] = dataclasses.replace(phases[-1], end=status.sent)
                phases.append(Phase(motion, status.sent, len(self.lines)))
        return phases

    def at_most(self, before, after):
        """Return the longest possible time between two commands, given by number.

        The bridge plans a command after the controller has replied to the previous command, and
        before the controller receives the planned command. Both share the steady clock, so this
        holds on a machine of any speed.
        """
        return self.lines[after].at - self.lines[max(0, before - 1)].at

    def at_least(self, before, after):
        """Return the shortest possible time between two commands, given by number."""
        return max(0.0, self.lines[after - 1].at - self.lines[before].at)

    def stamped(self):
        """Return the commands with a received message as (seconds of ROS time, position in metres).
        """
        messages = (self.commands[number] for number in sorted(self.commands))
        return [(stamp_seconds(message.header.stamp), xyz(message.position)) for message in messages]


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of one motion, with the commands from number `start` to before `end`."""

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
        """End the bridge and return the record."""
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


def replay(session, samples, parameters, log_folder, ready="all zero", idle=NO_HAND):
    """Start a bridge, play samples to it and return the record.

    The stream first publishes `idle`, until the status of the bridge gives the reason `ready`.
    """
    with Rig(session, parameters, idle, log_folder) as rig:
        rig.status.wait(state="CONNECTED", reason=ready)
        rig.stream.play(samples)
        return rig.finish()


def xyz(point):
    return (point.x, point.y, point.z)
