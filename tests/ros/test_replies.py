"""Tests replies: in pieces, several together, unsolicited, with errors, and invalid ones."""

import re

import pytest
from aether_bridge.msg import ArmState
from controller import COMMAND, OK, command, error
from harness import LINK_STATES, PLAIN, QUICK
from rcl_interfaces.msg import Log
from std_srvs.srv import SetBool

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}


def test_reply_in_pieces_is_one_reply(controllers, bridge, hand):
    controller = controllers(reply=None)
    status = bridge(controller, {**AT_PLACE, "link.reply_timeout": 9.0, "link.timeout": 9.0}).status
    hand(PLACE)
    controller.lines.wait()
    for piece in (OK[:1], OK[1:20], OK[20:-2]):
        controller.send(piece)
        # When the bridge has published a later status, it has seen the piece.
        status.skip().wait()
        unchanged = status.skip().wait()
        assert (unchanged.acknowledged, LINK_STATES[unchanged.state]) == (0, "CONNECTED")
    controller.send(OK[-2:])
    status.wait(lambda status: status.acknowledged == 1)


def test_replies_in_one_segment_match_their_commands(controllers, bridge, hand):
    controller = controllers(reply=None)
    parameters = {**AT_PLACE, "link.max_in_flight": 3, "link.reply_timeout": 9.0, "link.timeout": 9.0}
    status = bridge(controller, parameters).status
    hand((0.2, 0.0355, 0.21))
    controller.lines.wait_count(3)
    controller.lines.assert_none(after=3)
    controller.send(OK + error("out of reach") + OK)
    answered = status.wait(lambda status: status.acknowledged + status.rejected == 3)
    assert (answered.acknowledged, answered.rejected) == (2, 1)
    controller.lines.wait_count(6)
    controller.send(OK[:10])
    controller.reply = lambda line: OK
    controller.send(OK[10:] + OK + OK)
    status.wait(lambda status: status.acknowledged > 10)
    assert len(controller.connections) == 1


def test_unsolicited_reply_ends_the_connection(controller, bridge):
    status = bridge(controller, QUICK).status
    status.wait(state="CONNECTED")
    controller.connections.wait()
    controller.send(b'{"status":"ok","message":"hello there"}\n')
    ended = status.wait(state="BACKOFF")
    assert "no command was waiting for" in ended.last_error and "hello there" in ended.last_error
    assert ended.last_error in ended.reason
    controller.connections.wait_count(2)


def test_banner_lines_are_skipped_on_every_connection(controllers, bridge, hand):
    controller = controllers(greeting=b"ARM 1.2 ready\r\n{}\n")
    started = bridge(controller, {**AT_PLACE, "link.banner_lines": 2})
    hand(PLACE)
    for connections in (1, 2):
        started.status.wait(state="CONNECTED", motion="TRACKING")
        controller.lines.wait(lambda line: line.connection == connections and line.data == PLACE_LINE)
        controller.kill()
        started.status.wait(state="BACKOFF")
        controller.restart()
    # As a reply the banner is invalid, and the error shows it.
    other = controllers(greeting=b"ARM 1.2 ready\n")
    unaware = bridge(other, QUICK, ["-r", "__node:=unaware"], "/unaware")
    assert "ARM 1.2 ready" in unaware.status.wait(state="BACKOFF").last_error


def test_two_replies_to_one_command_end_connection(controller, bridge, hand):
    status = bridge(controller, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    controller.reply = lambda line: OK + OK
    tracker.position = (0.13, 0.0355, 0.21)
    ended = status.wait(motion="HOLDING", reason="no command was waiting for")
    assert ended.last_error
    controller.reply = lambda line: OK
    status.wait(state="CONNECTED", motion="TRACKING")


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (b"Command received\n", "Command received"),
        (b"\n", "blank"),
        (b'{"status":"fine"}\n', "fine"),
        (b'{"message":"Command received"}\n', "status"),
        (b'{"status":"ok"\xff}\n', "not UTF-8"),
        (b'{"status":"ok","message":"' + b"m" * 5000 + b'"}\n', "longer than 4096 bytes"),
        (b"m" * 5000, "longer than 4096 bytes"),
    ],
    ids=["words", "blank", "unknown status", "no status", "not UTF-8", "over-long", "without an end"],
)
def test_invalid_reply_ends_connection_and_is_named(controllers, bridge, hand, reply, named):
    controller = controllers(reply=lambda line: reply)
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    ended = status.wait(state="BACKOFF")
    assert named in ended.last_error and len(ended.last_error) < 1000, ended.last_error
    status.wait(lambda status: status.last_error in status.reason, state="BACKOFF", reason=r"no connection")
    controller.reply = lambda line: OK
    status.wait(state="CONNECTED", motion="TRACKING")
    assert all(COMMAND.fullmatch(line.data) for line in controller.lines)


@pytest.mark.parametrize(
    ("reply", "codec", "quoted"),
    [
        (b"OK", "text", r'"OK" was received without the newline (\n)'),
        (b"OK\r", "text", r'"OK\r" was received with a carriage return (\r) where a newline (\n) has to end the line'),
        (b'{"status":"ok"}\0', "json", r'"{"status":"ok"}\0" was received with NUL (byte 0) where a newline'),
        (b'{"status":"ok"};', "json", '"{"status":"ok"};" was received with a semicolon'),
        (b'{"status":', "json", '"{"status":" was received without the rest of the reply'),
    ],
    ids=["no newline", "carriage return", "NUL", "semicolon", "half"],
)
def test_incomplete_reply_is_quoted(controllers, bridge, hand, reply, codec, quoted):
    controller = controllers(reply=lambda line: reply)
    status = bridge(controller, {**AT_PLACE, **PLAIN, "wire.format": codec, "link.reply_timeout": 0.3, "link.timeout": 1.5}).status
    hand(PLACE)
    overdue = status.wait(state="UNRESPONSIVE", motion="HOLDING", reason=": " + re.escape(quoted))
    assert "link.expect_reply" not in overdue.reason
    given_up = status.wait(lambda status: quoted in status.last_error, state="BACKOFF")
    assert "link.timeout 1.5 s" in given_up.last_error and "link.expect_reply" not in given_up.last_error


def test_byte_order_mark_before_reply_is_skipped(controllers, bridge, hand):
    controller = controllers()
    controller.reply = lambda line: (b"\xef\xbb\xbf" if len(controller.lines) == 0 else b"") + OK
    status = bridge(controller, {**AT_PLACE, **PLAIN}).status
    hand(PLACE)
    status.wait(lambda status: status.acknowledged > 5, motion="TRACKING")
    assert len(controller.connections) == 1


def test_nul_between_replies_is_named(controllers, bridge, hand):
    # A program in C that also sends the end of the string.
    controller = controllers(reply=lambda line: OK + b"\0")
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    ended = status.wait(lambda status: "NUL (byte 0) at its byte 0" in status.last_error, state="BACKOFF")
    assert "in C send strlen(reply) bytes" in ended.last_error
    controller.reply = lambda line: OK
    status.wait(state="CONNECTED", motion="TRACKING")


def test_repeated_refusals_hold_arm_until_retry(controllers, bridge, hand):
    controller = controllers(reply=lambda line: error("joint limit"))
    started = bridge(controller, {**AT_PLACE, "teleop.max_consecutive_errors": 3})
    hand((0.2, 0.0355, 0.21))
    held = started.status.wait(motion="HOLDING", reason="the controller rejected 3 commands in a row")
    assert (held.rejected, held.acknowledged, held.sent) == (3, 0, 3)
    assert LINK_STATES[held.state] == "CONNECTED"
    controller.reply = lambda line: OK
    started.status.wait(motion="APPROACH")
    controller.lines.wait(lambda line: line.data == command("200.0", "35.5", "210.0"))
    assert len(controller.connections) == 1


def test_hold_reason_quotes_the_refusal(controllers, bridge, hand):
    controller = controllers(reply=lambda line: error("joint limit"))
    status = bridge(controller, {**AT_PLACE, "teleop.max_consecutive_errors": 3}).status
    hand((0.2, 0.0355, 0.21))
    assert "joint limit" in status.wait(motion="HOLDING", reason="rejected 3 commands").reason


def test_single_refusal_does_not_stop_motion(controllers, bridge, hand):
    controller = controllers()
    # This is the sixth command. Before any command is accepted, the arm's position is uncertain.
    controller.reply = lambda line: error("busy") if len(controller.lines) == 5 else OK
    status = bridge(controller, AT_PLACE).status
    hand((0.2, 0.0355, 0.21))
    controller.lines.wait(lambda line: line.data == command("200.0", "35.5", "210.0"))
    assert status.wait(lambda status: status.rejected == 1)
    assert "HOLDING" not in status.motions()


def test_refused_first_command_sends_another_heartbeat(controllers, bridge, hand):
    controller = controllers()
    controller.reply = lambda line: error("busy") if len(controller.lines) == 0 else OK
    status = bridge(controller, AT_PLACE).status
    hand((0.2, 0.0355, 0.21))
    status.wait(motion="TRACKING")
    refused, taken = controller.lines.wait_count(2)[:2]
    asked = [heartbeat.at for heartbeat in controller.heartbeats]
    # On a slow machine the bridge may have asked twice before the first command.
    assert asked[0] < refused.at and any(refused.at < at < taken.at for at in asked), (asked, refused, taken)


def test_control_characters_in_replies_are_removed(controllers, bridge, hand, peer):
    states, rosout = peer.record(ArmState, "/aether_bridge/arm_state"), peer.record(Log, "/rosout", 1000)
    nasty = r'a\u0000b\u001b[2J\u202ec'
    replies = iter(
        [
            f'{{"status":"error","message":"{nasty}"}}\n'.encode(),
            f'{{"status":"ok","message":"{nasty}","fault":"{nasty}","moving":true}}\n'.encode(),
            b'{"status":"\x00\x1b[2J"}\n',
            b"\x00\x1b[2J\xe2\x80\xae\n",
            f'{{"status":"ok","message":"{nasty}"}}\n'.encode() * 2,
            f'{{"status":"{nasty}"}}\n'.encode(),
        ]
    )
    controller = controllers()
    controller.reply = lambda line: next(replies, OK)
    started = bridge(controller, AT_PLACE, ["--log-level", "debug"])
    # A moving target gives a command after each reply.
    tracker = hand((0.2, 0.0355, 0.21))
    # After a fault only an operator arms. A call that is sent before the fault ends may be refused.
    started.status.wait(motion="HOLDING", reason="the controller reports the fault")
    started.status.wait(motion="DISARMED", reason="the controller reported a fault")
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    controller.connections.wait_count(5)
    started.status.skip().wait(state="CONNECTED", motion="TRACKING")
    tracker.stop()
    started.status.wait(motion="HOLDING")
    texts = [text for state in states for text in (state.fault, state.raw)]
    texts += [text for seen in started.status.seen for text in (seen.message.last_error, seen.message.reason)]
    texts += [log.msg for log in rosout]
    texts += list(started.log)
    assert any("[2J" in state.fault for state in states), "the rest of the text is kept"
    for text in texts:
        assert not any(character in text for character in "\0\x1b\u202e"), repr(text)
    assert not started.ended()
