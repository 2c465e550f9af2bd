"""Faults on real sockets, in the input and in the process, in mid-motion: what each does to link and motion, that nothing
forbidden is sent meanwhile, and that the arm is followed again when it is over. `make faults` prints the table.
"""

import dataclasses
import itertools
import math
import resource
import signal
import threading
import time
import typing

import pytest
from controller import OK, error
from geometry_msgs.msg import PoseStamped
from harness import LINK_STATES, MOTIONS, QUICK, aged, distance, fresh
from record import FAULTS

CENTRE = (0.2, 0.0, 0.2)
SPEED = 0.25
# What a busy machine may take from the time between two lines, in seconds.
LATENESS = 0.1


class Sweep:
    """A hand that never rests."""

    def __init__(self, peer):
        self.on, self.stamp, self._node = True, fresh, peer.node
        self._start = time.monotonic()

    def __call__(self):
        if not self.on:
            return None
        pose = PoseStamped()
        pose.header.stamp = self.stamp(self._node.get_clock().now())
        x, y, z = CENTRE
        # At a fifth of a hertz, so that it is slower than the arm may be.
        y += 0.08 * math.sin(0.4 * math.pi * (time.monotonic() - self._start))
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = x, y, z
        pose.pose.orientation.w = 1.0
        return pose


class Rig:
    """Controller, bridge and hand, in mid-motion."""

    def __init__(self, controller, bridge, peer):
        self.controller, self.bridge, self.peer = controller, bridge, peer
        self.status = bridge.status
        self.hand = Sweep(peer)
        self.ending = threading.Event()

    def answer(self, reply):
        self.controller.reply = (lambda line: reply) if reply else None

    def drip(self):
        """A byte now and then, and never a newline."""
        self.answer(None)

        def run():
            while not self.ending.wait(0.05):
                try:
                    self.controller.send(b".")
                except OSError:
                    return

        threading.Thread(target=run, name="drip", daemon=True).start()

    def exhaust_descriptors(self):
        pid = self.bridge.process.pid
        self.limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        self.controller.kill()
        # Of what it has it needs one for a socket.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, self.limits[1]))
        self.controller.restart()

    def heal(self):
        self.ending.set()
        self.controller.reply = lambda line: OK
        self.hand.on, self.hand.stamp = True, fresh


@dataclasses.dataclass
class Fault:
    """What happens, and what link and motion are then, in words that the status has to have."""

    name: str
    begin: typing.Callable
    state: str
    motion: str = "HOLDING"
    reason: str = ""
    last_error: str = ""
    end: typing.Callable = lambda rig: None
    parameters: dict = dataclasses.field(default_factory=dict)


def answers(name, reply, last_error):
    """A controller that answers every command with this, which is no reply."""
    return Fault(name, lambda rig: rig.answer(reply), "BACKOFF", last_error=last_error)


def killed(after=b"", reset=True):
    def begin(rig):
        if after:
            rig.controller.send(after)
        rig.controller.kill(reset)

    return begin


def restarted(rig):
    rig.controller.restart()


def stop_process(rig):
    """For longer than a target may be old."""
    rig.bridge.process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)  # the fault itself
    rig.bridge.process.send_signal(signal.SIGCONT)


DEEP = b'{"status":"ok","a":' + b"[" * 1000 + b"]" * 1000 + b"}\n"
ROWS = [
    Fault("silence", lambda rig: rig.answer(None), "UNRESPONSIVE", reason="does not answer"),
    Fault("half a reply, then silence", lambda rig: rig.answer(OK[:10]), "UNRESPONSIVE", reason="does not answer"),
    Fault(
        "silence, until it is given up",
        lambda rig: rig.answer(None),
        "BACKOFF",
        last_error="no reply for link_timeout 0.8 s",
        parameters={"link_timeout": 0.8},
    ),
    Fault(
        "a byte now and then",
        Rig.drip,
        "BACKOFF",
        last_error="no reply for link_timeout 0.8 s",
        parameters={"link_timeout": 0.8},
    ),
    Fault("killed, with a reset", killed(), "BACKOFF", reason="no connection", end=restarted),
    Fault("killed, with an end", killed(reset=False), "BACKOFF", last_error="closed the connection", end=restarted),
    Fault("reset in the middle of a line", killed(b'{"sta'), "BACKOFF", reason="no connection", end=restarted),
    Fault(
        "end in the middle of a line", killed(b'{"sta', False), "BACKOFF", last_error="in the middle of a line", end=restarted
    ),
    answers("two replies to one command", OK + OK, "no command was waiting for"),
    answers("a megabyte without a newline", b"x" * 1_000_000, "longer than 4096 bytes"),
    answers("not UTF-8", b'{"status":"\xff"}\n', "not UTF-8"),
    answers("JSON a thousand deep", DEEP, "recursion limit"),
    answers("a member twice", b'{"status":"ok","status":"ok"}\n', "duplicate field"),
    answers("an unknown status", b'{"status":"done"}\n', 'the status "done"'),
    answers("bare words", b"OK\n", "is no reply"),
    Fault(
        "a storm of error replies",
        lambda rig: rig.answer(error("no \x00\x1b[2J way")),
        "CONNECTED",
        reason="refused 5 commands in a row, lastly with 'no \ufffd\ufffd\\[2J way'",
    ),
    Fault("input stops", lambda rig: setattr(rig.hand, "on", False), "CONNECTED", reason="no new target"),
    Fault("stamps jump back", lambda rig: setattr(rig.hand, "stamp", aged(3600.0)), "CONNECTED", reason="stamp is"),
    Fault(
        "stamps jump ahead",
        lambda rig: setattr(rig.hand, "stamp", aged(-3600.0)),
        "CONNECTED",
        reason="in the future",
    ),
    Fault("the bridge is stopped for a second", stop_process, "CONNECTED", reason="held up|no new target"),
    Fault(
        "out of descriptors",
        Rig.exhaust_descriptors,
        "BACKOFF",
        last_error="Too many open files",
        end=lambda rig: resource.prlimit(rig.bridge.process.pid, resource.RLIMIT_NOFILE, rig.limits),
    ),
]


@pytest.mark.parametrize("fault", ROWS, ids=lambda fault: fault.name)
def test_a_fault_holds_the_arm_and_is_got_over(controller, bridge, peer, repeat, fault):
    rig = Rig(controller, bridge(controller, {**QUICK, "home": list(CENTRE), **fault.parameters}), peer)
    repeat(PoseStamped, "/target_pose", rig.hand)
    rig.status.wait(motion="TRACKING")
    rig.status.skip()
    begun = time.monotonic()
    fault.begin(rig)
    status = rig.status.wait(
        lambda status: fault.last_error in status.last_error, fault.state, fault.motion, fault.reason or None
    )
    FAULTS.seconds(fault.name, rig.status.at - begun, f"{LINK_STATES[status.state]} {MOTIONS[status.motion]}")
    rig.heal()
    fault.end(rig)
    rig.status.wait(state="CONNECTED", motion="TRACKING")
    judge(controller.lines)


def judge(lines):
    """Every line is a command inside the workspace, near the one before it, and none is faster than it may be."""
    for one, other in itertools.pairwise(lines):
        apart, seconds = distance(one.position, other.position), other.at - one.at
        assert apart <= SPEED * (seconds + LATENESS), f"{apart} m in {seconds} s: {one} {other}"
        if one.connection != other.connection:
            # An approach from the last acknowledged position, which is at most one command away.
            assert apart <= SPEED * LATENESS, f"{apart} m: {one} {other}"
