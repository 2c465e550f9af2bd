"""Faults of replies in mid-motion: invalid, in pieces, late, repeated, or unsolicited."""

import queue
import socket
import time

from controller import OK, Receiver, error, report
from faults import Fault, Harmless, play, rows

DATAGRAMS = {"link.transport": "udp", "wire.extra_fields": ["seq"], "link.max_in_flight": 8, "link.heartbeat.period": 0.1}
DEEP = b'{"status":"ok","a":' + b"[" * 1000 + b"]" * 1000 + b"}\n"


def answers(name, reply, shows):
    """Return a fault in which the controller sends this invalid reply to every command."""
    return Fault(name, lambda rig: rig.answer(reply), "BACKOFF", shows=shows)


def byte_by_byte(rig):
    """Send replies byte by byte. A reply begins after the previous one has ended."""
    missing = queue.SimpleQueue()

    def pieces():
        while True:
            try:
                missing.get(timeout=0.1)
            except queue.Empty:
                yield b""
            else:
                yield from (OK[index : index + 1] for index in range(len(OK)))

    rig.send_pieces(pieces(), 0.0005, reply=missing.put)


def three_at_a_time(rig):
    owed = []

    def reply(line):
        owed.append(OK)
        return b"".join(owed.pop() for _ in range(3)) if len(owed) == 3 else None

    rig.controller.reply = reply


def sends_unsolicited_reply(rig):
    """Send a reply while no command waits for one."""
    rig.hand.on = False
    rig.status.wait(lambda status: status.sent == status.acknowledged, motion="HOLDING", reason="no new target")
    rig.controller.send(OK)


def by_datagrams(rig):
    rig.make_controller(kind=Receiver)


def number(which):
    def begin(rig):
        rig.controller.answers = which

    return begin


def loses_every_third(rig):
    rig.controller.accepts = lambda message: message["seq"] % 3


def stranger(rig):
    """Another program knows the bridge's port and sends refusals with all possible numbers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        for seq in range(1, 2000):
            other.sendto(b'{"status":"error","message":"no","seq":%d}' % seq, rig.controller.sender)


def reports(**more):
    """Report these members, with the arm's position, in all replies."""

    def begin(rig):
        controller = rig.controller
        controller.reply = controller.heartbeat_reply = lambda line: report(controller.position, **more)

    return begin


def armed_again(rig):
    rig.status.wait(motion="DISARMED", reason="the controller reported a fault")
    rig.call("set_armed", data=True)


def does_not_move(rig):
    """Accept all commands, but do not move."""
    rig.stuck = rig.controller.position
    rig.controller.reply = rig.controller.heartbeat_reply = lambda line: report(rig.stuck, moving=True)


def moves_again(rig):
    """The arm rests where it stayed."""
    rig.controller.position = rig.stuck


def is_moved_by_hand(rig):
    """Move the arm by hand while motion is held."""
    rig.hand.on = False
    rig.status.wait(lambda status: status.sent == status.acknowledged, motion="HOLDING", reason="no new target")
    rig.controller.position = [250.0, -50.0, 150.0]
    rig.controller.heartbeat_reply = lambda line: report(rig.controller.position, moving=True)
    rig.controller.heartbeats.wait_count(len(rig.controller.heartbeats) + 2)
    rig.begun = time.monotonic()
    rig.hand.on = True


OFTEN = {"link.heartbeat.period": 0.1}

ROWS = [
    answers("two replies to one command", OK + OK, "no command was waiting for"),
    answers("a megabyte without a newline", b"x" * 1_000_000, "longer than 4096 bytes"),
    answers("a reply that is not UTF-8", b'{"status":"\xff"}\n', "not UTF-8"),
    answers("JSON nested a thousand levels", DEEP, "recursion limit"),
    answers("a reply with the same JSON member twice", b'{"status":"ok","status":"ok"}\n', "duplicate field"),
    answers("an unknown status", b'{"status":"done"}\n', 'the status "done"'),
    answers("plain text instead of JSON", b"OK\n", "is not a reply"),
    answers("a status of NUL and escape characters", b'{"status":"\\u0000\\u001b[2J"}\n', "\ufffd\ufffd[2J"),
    answers("a NUL before each reply", b"\0" + OK, "NUL (byte 0) at its byte 0"),
    Fault(
        "a reply that ends with NUL",
        lambda rig: rig.answer(OK[:-1] + b"\0"),
        "UNRESPONSIVE",
        shows="with NUL (byte 0) where a newline",
        within="link.reply_timeout",
        parameters={"link.timeout": 0.8},
    ),
    Fault("an unsolicited reply", sends_unsolicited_reply, "BACKOFF", shows="no command was waiting for"),
    Fault(
        "many error replies, with NUL and escapes",
        lambda rig: rig.answer(error("no \x00\x1b[2J way")),
        shows="rejected 5 commands in a row, last reply: 'no \ufffd\ufffd[2J way'",
        within="the fifth error reply",
    ),
    Fault(
        "the controller reports a fault",
        reports(fault="joint 3 is hot"),
        shows="the controller reports the fault 'joint 3 is hot'",
        parameters=OFTEN,
        end=armed_again,
    ),
    Fault(
        "the arm does not move, but all commands are accepted",
        does_not_move,
        shows="behind its commands, more than limits.following_error",
        within="limits.following_error_time + the time to move limits.following_error",
        parameters={"limits.following_error": 0.03, "limits.following_error_time": 0.2, **OFTEN},
        end=moves_again,
    ),
    Fault(
        "the arm is moved by hand while motion is held",
        is_moved_by_hand,
        shows="something else moves the arm",
        parameters={"limits.following_error": 0.03, "limits.following_error_time": 0.2, **OFTEN},
    ),
    Harmless("replies byte by byte", byte_by_byte),
    Harmless("three replies in one segment", three_at_a_time, parameters={"link.max_in_flight": 3}),
    Harmless("datagrams: every reply twice", number(lambda seq: [seq, seq]), parameters=DATAGRAMS, setup=by_datagrams),
    Harmless("datagrams: every third line lost", loses_every_third, parameters=DATAGRAMS, setup=by_datagrams),
    Harmless("datagrams: replies from another program", stranger, parameters=DATAGRAMS, setup=by_datagrams),
    Fault(
        "datagrams: each reply is for ten lines before",
        number(lambda seq: [seq - 10]),
        "UNRESPONSIVE",
        shows="the controller does not reply",
        within="link.reply_timeout",
        end=number(lambda seq: [seq]),
        parameters=DATAGRAMS,
        setup=by_datagrams,
    ),
]


@rows(ROWS)
def test_reply_fault_is_named_and_bridge_recovers(rig, fault):
    play(rig, fault)
