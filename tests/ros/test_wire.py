"""Tests the formats of lines and replies, with a real graph and a real socket."""

import json
import re

import pytest
from aether_bridge.msg import ArmState
from controller import OK, command
from geometry_msgs.msg import Quaternion
from harness import PLAIN, QUICK

PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
STOPPING = {"teleop.hold_behavior": "stop", "link.heartbeat.period": 0.1}


def words(text):
    """Return a reply function that sends this text."""
    return lambda line: text.encode() + b"\n"


def echo(line, **more):
    """Return a reply with the number of the line."""
    return json.dumps({"status": "ok", "seq": json.loads(line.data)["seq"], **more}).encode() + b"\n"


@pytest.mark.parametrize(
    ("parameters", "line", "reply"),
    [
        ({"wire.format": "text"}, "COMMAND MOVE 120.0 35.5 210.0 OPEN", "OK"),
        ({"wire.format": "text"}, "COMMAND MOVE 120.0 35.5 210.0 OPEN", "ok Command received"),
        (
            {"wire.format": "text", "wire.text.command": "G1 X{x} Y{y} Z{z} {gripper:M5|M3}", "wire.position_unit": "cm"},
            "G1 X12.0 Y3.55 Z21.0 M5",
            "ok",
        ),
        (
            {"wire.json.type": "", "wire.json.gripper": ""},
            '{"x":120.0,"y":35.5,"z":210.0}',
            '{"status":"ok"}',
        ),
        (
            {
                "wire.json.type": "cmd",
                "wire.json.gripper": "grip",
                "wire.json.open": "0",
                "wire.json.closed": "1",
                "wire.json.constant": '{"speed": 50}',
            },
            '{"cmd":"command","x":120.0,"y":35.5,"z":210.0,"grip":0,"speed":50}',
            '{"status":"ok"}',
        ),
        (
            {"wire.extra_fields": ["ttl", "quaternion", "rpy"], "wire.command_ttl": 0.25},
            '{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open",'
            '"rpy":[0.0,0.0,0.0],"quaternion":[0.0,0.0,0.0,1.0],"ttl":250}',
            '{"status":"ok"}',
        ),
    ],
    ids=["text", "text with words", "G-code", "bare", "wire.json.*", "extras"],
)
def test_controller_gets_lines_in_its_format(controller, bridge, hand, parameters, line, reply):
    controller.reply = words(reply)
    started = bridge(controller, {**AT_PLACE, **PLAIN, **parameters})
    hand(PLACE)
    status = started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == f"{line}\n".encode()
    started.status.wait(lambda status: status.acknowledged > 0)
    assert status.rejected == 0 and len(controller.connections) == 1


def test_text_format_defines_refusals_stops_and_heartbeats(controller, bridge, hand, peer):
    controller.reply = words("ERROR out of reach")
    started = bridge(controller, {**AT_PLACE, "arm.assume_position": "home", **STOPPING, "wire.format": "text", "teleop.max_consecutive_errors": 2, "teleop.settle_time": 0.5})
    controller.lines.wait(lambda line: line.data == b"HEARTBEAT\n")
    hand(PLACE)
    started.status.wait(motion="HOLDING", reason="rejected 2 commands in a row, last reply: 'out of reach'")
    controller.lines.wait(lambda line: line.data == b"STOP\n")


def test_invalid_text_reply_ends_the_connection(controller, bridge, hand):
    controller.reply = words("MOVING")
    started = bridge(controller, {**AT_PLACE, **PLAIN, "wire.format": "text"})
    hand(PLACE)
    wanted = "begins with neither OK nor ERROR"
    started.status.wait(lambda status: wanted in status.last_error, state="BACKOFF")


def test_lines_are_numbered_and_replies_echo_numbers(controller, bridge, hand):
    controller.reply = controller.heartbeat_reply = echo
    started = bridge(controller, {**AT_PLACE, "arm.assume_position": "home", "wire.extra_fields": ["seq", "stamp"], "link.heartbeat.period": 0.1})
    controller.lines.wait()
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    tracker.position = (0.15, 0.0355, 0.21)
    started.status.wait(lambda status: status.acknowledged >= 10)
    lines = [json.loads(line.data) for line in controller.lines]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["type"] for line in lines} == {"command", "heartbeat"}
    stamps = [line["stamp"] for line in lines]
    assert stamps == sorted(stamps) and abs(stamps[0] - tracker._node.get_clock().now().nanoseconds * 1e-9) < 60
    assert len(controller.connections) == 1


def test_reply_to_another_line_ends_connection(controller, bridge, hand):
    controller.reply = lambda line: b'{"status":"ok","seq":4711}\n'
    started = bridge(controller, {**AT_PLACE, "wire.extra_fields": ["seq"]})
    hand(PLACE)
    wanted = re.compile(r"replied to line 4711, but line \d+ was next: replies must come in order")
    started.status.wait(lambda status: wanted.search(status.last_error), state="BACKOFF")


def test_tool_rotates_like_hand_with_limited_speed(controller, bridge, hand, peer):
    commands = peer.commands()
    turn = {"wire.extra_fields": ["rpy"], "limits.angular_speed": 1.0, "arm.home_rpy": [0.0, 0.0, 0.5]}
    started = bridge(controller, {**AT_PLACE, **PLAIN, **turn})
    tracker = hand(PLACE)
    started.status.wait(motion="TRACKING")
    yaws = lambda: [json.loads(line.data)["rpy"][2] for line in controller.lines]  # noqa: E731
    controller.lines.wait(lambda line: json.loads(line.data)["rpy"] == [0.0, 0.0, 0.0])
    assert 0.47 <= yaws()[0] <= 0.5
    tracker.orientation = Quaternion(z=0.5**0.5, w=0.5**0.5)
    controller.lines.wait(lambda line: abs(json.loads(line.data)["rpy"][2] - 1.570796) < 2e-6)
    rotations = [(line.at, json.loads(line.data)["rpy"][2]) for line in controller.lines]
    # In a tenth of a second. A busy machine may delay a part of it.
    for (then, before), (now, after) in zip(rotations, rotations[5:]):
        assert abs(after - before) <= 1.0 * (now - then) + 0.1
    sent = commands.wait(lambda message: abs(message.orientation.z - 0.5**0.5) < 1e-5)
    assert abs(sent.orientation.w - 0.5**0.5) < 1e-5
    assert any("turn_limited" in message.altered_by for message in commands)


def test_joint_positions_are_published(controller, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state")
    controller.reply = lambda line: b'{"status":"ok","joints":[0.5,-1.25]}\n'
    bridge(controller, AT_PLACE)
    hand(PLACE)
    # The first reply reports the arm's position, without joints.
    states.wait(lambda state: list(state.joint_positions) == [0.5, -1.25])


def test_unsolicited_state_is_accepted_if_configured(controller, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state")
    started = bridge(controller, {**QUICK, **PLAIN, "arm.assume_position": "none", "wire.accept_state": True})
    started.status.wait(state="CONNECTED")
    controller.connections.wait()
    controller.send(b'{"type":"state","position":[120.0,35.5,210.0],"gripper":"closed","moving":true}\n')
    state = states.wait()
    assert (state.position.x, state.gripper, state.moving) == (0.12, "closed", True)
    hand(PLACE)
    started.status.wait(motion="DISARMED", reason="something else moves the arm")
    controller.lines.assert_none()
    controller.send(b'{"type":"state","position":[120.0,35.5,210.0],"gripper":"closed","moving":false}\n')
    # The approach starts at the reported position, and the gripper stays as reported.
    started.status.wait(motion="TRACKING")
    assert controller.lines.wait().data == command("120.0", "35.5", "210.0", "closed")
    controller.send(b'{"type":"event","what":"door open"}\n' + OK)
    assert states.wait(lambda state: "door open" in state.raw).fault == ""


def test_unexpected_state_ends_the_connection(controller, bridge):
    started = bridge(controller, QUICK)
    started.status.wait(state="CONNECTED")
    controller.connections.wait()
    controller.send(b'{"type":"state","moving":true}\n')
    started.status.wait(lambda status: "missing field `status`" in status.last_error, state="BACKOFF")


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"wire.format": "text", "wire.text.command": "G1 X{px}"}, "'{px}' is not a placeholder; the placeholders of this line are {x}, {y}, {z}"),
        ({"wire.json.open": "yes"}, "'wire.json.open' is 'yes'; it must be a JSON value"),
        ({"link.transport": "udp"}, "'wire.extra_fields' is ['none']; it must contain 'seq' while 'link.transport' is 'udp'"),
        ({"wire.extra_fields": ["seq", "time"]}, "it must be ['none'] or any of 'seq', 'stamp', 'rpy', 'quaternion', 'ttl'"),
        ({"wire.json.type": "", "teleop.hold_behavior": "stop"}, "'wire.json.type' is ''; it must be a name"),
    ],
)
def test_invalid_line_format_is_refused_at_start(launch, parameters, expected):
    started = launch(parameters)
    assert started.wait() == 2
    assert expected in "\n".join(started.log), list(started.log)
