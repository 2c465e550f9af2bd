"""Faults in mid-motion: their effect on link and motion, the text that reports them, and the
deadline. Also the rig, which plays them.

Each row is played against its own bridge, controller and hand, on real sockets. After every row,
the monitor checks every line that the controller received. The bridge must send nothing while
motion is held. `make faults` prints the rows as the table of docs/faults.md.
"""

import dataclasses
import itertools
import json
import math
import pathlib
import re
import subprocess
import threading
import time
import typing

import pytest
from controller import Controller
from geometry_msgs.msg import PoseStamped
from harness import EXECUTABLES, LINK_STATES, MOTIONS, QUICK, fresh
from record import PATIENCE
from std_srvs.srv import SetBool, Trigger

CENTRE = (0.2, 0.0, 0.2)
# Radius of the hand's circle in metres, and angular speed in rad/s.
RADIUS, ROUND = 0.05, 0.4 * math.pi
# The parameters that the monitor of `arm_sim` knows and that a fault sets.
JUDGED = ("arm.home", "input.timeout", "link.reply_timeout", "link.timeout", "link.max_in_flight", "link.expect_reply", "teleop.hold_behavior", "link.heartbeat.period", "wire.extra_fields")
# Number of commands that prove that motion continues.
SOME = 20
MOVING = ("APPROACH", "TRACKING")

CONFIG = pathlib.Path(__file__).parents[2] / "config" / "bridge.yaml"
DEFAULTS = dict(re.findall(r"^    ([a-z_.]+): ([0-9.]+)$", CONFIG.read_text(), re.MULTILINE))


class Sweep:
    """A hand on a circle, for a Repeater. So the direction of motion changes all the time."""

    def __init__(self, node):
        self.on, self.stamp, self._node = True, fresh, node
        self._start = time.monotonic()

    def __call__(self):
        if not self.on:
            return None
        pose = PoseStamped()
        pose.header.stamp = self.stamp(self._node.get_clock().now())
        # Slower than limits.approach_speed.
        angle = ROUND * (time.monotonic() - self._start)
        x, y, z = CENTRE
        y, z = y + RADIUS * math.sin(angle), z + RADIUS * math.cos(angle)
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = x, y, z
        pose.pose.orientation.w = 1.0
        return pose


class Rig:
    """Controller, bridge and hand, in mid-motion."""

    def __init__(self, make_controller, launch, peer, repeat, folder, cleanup):
        self.launch, self.peer, self.repeat, self.folder, self._cleanup = launch, peer, repeat, folder, cleanup
        self._make_controller = make_controller
        # The `setup` of a fault may change these before the start: the controller, another host
        # name, options of the bridge process, the stamps of the hand.
        self.controller = self.host = None
        self.options = {}
        self.stamp = fresh
        # Set at the start.
        self.bridge = self.bridge_parameters = self.status = self.hand = self.tracker = None
        # All controllers that have received commands from this bridge.
        self.controllers = []
        # When the fault began.
        self.begun = None
        self.ending = threading.Event()

    def start(self, fault):
        fault.setup(self)
        if not self.controllers:
            self.make_controller()
        self.controller = self.controllers[0]
        self.host = self.host or self.controller.host
        where = {"link.host": self.host, "link.port": self.controller.port}
        parameters = {**QUICK, "arm.home": list(CENTRE), **where, **fault.LENIENCE, **fault.parameters}
        for controller in self.controllers:
            controller.stand_at(parameters)
        self.bridge_parameters = parameters
        self.bridge = self.launch(parameters, **self.options)
        self.status = self.bridge.status
        self.hand = Sweep(self.peer.node)
        self.hand.stamp = self.stamp
        self.tracker = self.repeat(PoseStamped, "/target_pose", self.hand)
        self.status.wait(state="CONNECTED", motion="TRACKING")
        self.status.skip()
        self.begun = time.monotonic()

    def make_controller(self, *arguments, kind=Controller, **options):
        self.controllers.append(self._make_controller(kind(*arguments, **options)))
        return self.controllers[-1]

    def keep(self, context):
        """Enter a context that ends with the test."""
        return self._cleanup.enter_context(context)

    def answer(self, reply):
        if reply:
            self.controller.reply = lambda line: reply
        else:
            self.controller.fall_silent()

    def send_pieces(self, pieces, period, reply=None):
        """Make the controller send one piece after another, besides the replies of `reply`."""
        self.controller.reply = reply

        def run():
            for piece in pieces:
                if self.ending.wait(period):
                    return
                try:
                    self.controller.send(piece)
                except OSError:
                    return

        thread = threading.Thread(target=run, name="controller's pieces")
        thread.start()
        self._cleanup.callback(thread.join)
        self._cleanup.callback(self.ending.set)

    def call(self, service, **fields):
        kind = SetBool if service == "set_armed" else Trigger
        assert self.peer.call(kind, f"/aether_bridge/{service}", **fields).success

    def heal(self):
        self.ending.set()
        if isinstance(self.controller, Controller):
            self.controller.recover()
        self.hand.on, self.hand.stamp = True, self.stamp

    def judge(self, fault):
        """Check that the bridge has sent nothing forbidden."""
        if not self.bridge.ended():
            received = sum(len(commands(controller)) for controller in self.controllers)
            sent = self.status.skip().wait().sent
            assert sent >= received, f"the controller received {received} commands, but the status counts {sent}"
        judge_lines(self.controllers, {"arm.home": list(CENTRE), **QUICK, **fault.LENIENCE, **fault.parameters})
        for one, other in itertools.pairwise(seen.message for seen in self.status.seen):
            if not {MOTIONS[one.motion], MOTIONS[other.motion]} & set(MOVING):
                assert other.sent == one.sent, f"sent while held: {one} {other}"


def commands(controller):
    """Return all lines except stop lines and heartbeats: valid and invalid commands."""
    return [line for line in controller.lines if not line.data.startswith((b'{"type":"stop"', b'{"type":"heartbeat"'))]


def judge_lines(controllers, parameters):
    """Check with the monitor of `arm_sim` that a controller may rely on every line."""
    # Datagrams may be lost. So a recording does not show which datagram had its reply when the next
    # was sent.
    parameters = {**parameters, "link.expect_reply": parameters.get("link.expect_reply", True) and parameters.get("link.transport") != "udp"}
    settings = [f"{name}:={json.dumps(value)}" for name, value in parameters.items() if name in JUDGED]
    events = [
        {**event, "connection": 1000 * number + event["connection"]}
        for number, controller in enumerate(controllers)
        for event in list(controller.journal.events)
    ]
    events.sort(key=lambda event: event["at"])
    recording = "".join(json.dumps(event) + "\n" for event in events)
    command = [EXECUTABLES / "arm_sim", "--replay", "-", "--judge", *settings]
    judged = subprocess.run(command, input=recording, capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr


@dataclasses.dataclass
class Fault:
    """A fault, and the states of link and motion until it is over."""

    LENIENCE: typing.ClassVar = {}

    name: str
    begin: typing.Callable
    link: str = "CONNECTED"
    motion: str = "HOLDING"
    # Text in the reason or the last error. If there are several, one of them is enough.
    shows: str | tuple = ""
    # The parameters that set the deadline, or other words for it.
    within: str = "immediately"
    end: typing.Callable = lambda rig: None
    parameters: dict = dataclasses.field(default_factory=dict)
    setup: typing.Callable = lambda rig: None
    # Other checks while the fault lasts.
    check: typing.Callable = lambda rig: None
    # Seconds that the recovery may take.
    patience: float = PATIENCE

    def does(self):
        return f"{self.link}, {self.motion}"

    def words(self):
        return (self.shows,) if isinstance(self.shows, str) else self.shows

    def cells(self):
        """Return the cells of the row without the measurement."""
        texts = " or ".join(f"`{words}`" for words in self.words() if words)
        return (self.name, self.does(), texts, self.promise())

    def promise(self):
        values = {**DEFAULTS, **QUICK, **self.parameters}
        parts = [f"`{part}`, {float(values[part])} s" if part in values else part for part in self.within.split(" + ")]
        return " + ".join(parts)

    def play(self, rig):
        """Play the fault and return the measurement."""
        # If the fault concerns another bridge, `begin` returns the status of that bridge.
        status = self.begin(rig) or rig.status
        status.wait(self._shows, self.link, self.motion)
        measured = status.at - rig.begun
        self.check(rig)
        rig.heal()
        self.end(rig)
        rig.status.wait(state="CONNECTED", motion="TRACKING", timeout=self.patience)
        rig.judge(self)
        return f"{measured:.2f} s"

    def _shows(self, status):
        return any(words in text for words in self.words() for text in (status.reason, status.last_error))


@dataclasses.dataclass
class Harmless(Fault):
    """A fault during which motion continues on the same connection."""

    # Hand and controller run in this process. If a busy machine delays them, this must not count as
    # another fault.
    LENIENCE: typing.ClassVar = {"input.timeout": 5.0, "input.min_rate": 0.0, "link.reply_timeout": 5.0, "link.timeout": 9.0}

    def does(self):
        return "continues"

    def promise(self):
        return ""

    def play(self, rig):
        from_, before = len(rig.status.seen), rig.status.newest().acknowledged
        self.begin(rig)
        rig.status.wait(lambda status: status.acknowledged >= before + SOME)
        self.check(rig)
        seen = rig.status.seen[from_:]
        for status in (entry.message for entry in seen):
            assert LINK_STATES[status.state] == "CONNECTED" and MOTIONS[status.motion] in MOVING, status
        self.end(rig)
        rig.judge(self)
        return f"{seen[-1].message.acknowledged - before} commands"


@dataclasses.dataclass
class Fatal(Fault):
    """A fault that ends the process with an exit code, after the stop line."""

    exit: int = 1

    def does(self):
        return f"ends, exit code {self.exit}"

    def play(self, rig):
        self.begin(rig)
        code = rig.bridge.wait()
        took = time.monotonic() - rig.begun
        assert code == self.exit, f"exit code {code}"
        if self.shows:
            rig.bridge.log.wait(lambda line: self.shows in line)
        rig.controller.closed.wait()
        last = rig.controller.stops[-1]
        assert not [line for line in rig.controller.lines if line.at > last.at], "commands after the stop line"
        self.check(rig)
        rig.judge(self)
        return f"{took:.2f} s"


def rows(faults):
    """Return a decorator for a test that plays each of these faults."""
    ORDER.extend(fault.name for fault in faults)
    return pytest.mark.parametrize("fault", faults, ids=lambda fault: fault.name)


def play(rig, fault):
    rig.start(fault)
    TABLE.append((ORDER.index(fault.name), *fault.cells(), fault.play(rig)))


# The names of all rows, in the order of docs/faults.md.
ORDER = []
# The played rows: the index in ORDER, the cells, and the measurement.
TABLE = []
HEAD = ("fault", "link and motion", "text", "deadline", "measured")


def table():
    """Return the played rows as a table in Markdown."""
    played = [cells for _, *cells in sorted(TABLE)]
    width = [max(map(len, column)) for column in zip(HEAD, *played)]
    lines = [[cell.ljust(size) for cell, size in zip(row, width)] for row in (HEAD, *played)]
    lines.insert(1, ["-" * size for size in width])
    return [f"| {' | '.join(cells)} |" for cells in lines] if TABLE else []
