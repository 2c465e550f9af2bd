"""Texts from outside cannot control the terminal, log or rqt of the reader.

test_replies.py tests the replies of controllers, and test_tf.py tests child frames of TF.
"""

import itertools

import pytest
from aether_bridge.msg import ArmState
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, Pose, PoseStamped, Quaternion
from harness import LATCHED, QUICK
from parameters import set_each, set_together
from rcl_interfaces.msg import Log
from std_msgs.msg import Header, String

# Clears the screen, starts a new line, reverses the writing direction. A ROS string ends at a NUL.
HOSTILE = "a\x1b[2J\n\u202eb\x9b"
INERT = "a\ufffd[2J\ufffd\ufffdb\ufffd"
PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
TALKATIVE = ["--log-level", "debug"]


class Output:
    """All texts that a bridge publishes, logs or prints."""

    def __init__(self, peer):
        self._states = peer.record(ArmState, "/aether_bridge/arm_state")
        self._diagnostics = peer.record(DiagnosticArray, "/diagnostics")
        self._rosout = peer.record(Log, "/rosout", LATCHED)

    def texts(self, started):
        for state in self._states:
            yield from (state.header.frame_id, state.fault, state.raw)
        for part in itertools.chain.from_iterable(array.status for array in self._diagnostics):
            yield from (part.name, part.message, part.hardware_id, *(value.value for value in part.values))
        for seen in started.status.seen:
            yield from (seen.message.peer, seen.message.last_error, seen.message.reason)
        for log in self._rosout:
            yield from (log.msg, log.name)
        yield from started.log

    def assert_inert(self, started, words):
        """Check that no text has control characters, once ROS and the terminal have shown `words`.
        """
        self._rosout.wait(lambda log: words in log.msg)
        started.log.wait(lambda line: words in line)
        assert not started.ended()
        for text in self.texts(started):
            assert not any(character in text for character in "\0\x1b\n\r\x9b\u202e"), repr(text)


@pytest.fixture
def output(peer):
    return Output(peer)


def pose(frame_id):
    orientation = Quaternion(w=1.0)
    x, y, z = PLACE
    return PoseStamped(header=Header(frame_id=frame_id), pose=Pose(position=Point(x=x, y=y, z=z), orientation=orientation))


# Typed messages, and field paths through JSON: two ways through the node.
@pytest.mark.parametrize("fields", [{}, {"input.position": [f"pose.position.{axis}" for axis in "xyz"]}])
def test_frame_name_is_sanitised(controller, bridge, repeat, output, fields):
    started = bridge(controller, {**AT_PLACE, **fields}, TALKATIVE)
    repeat(PoseStamped, "/target_pose", lambda: pose(HOSTILE))
    started.status.wait(reason=r"frame_id 'a\ufffd\[2J")
    output.assert_inert(started, f"frame_id '{INERT}'")


def test_gripper_text_is_sanitised(controller, bridge, repeat, output):
    started = bridge(controller, {**AT_PLACE, "gripper.type": "std_msgs/msg/String"}, TALKATIVE)
    repeat(String, "/gripper", lambda: String(data=HOSTILE))
    output.assert_inert(started, f"gripper input '{INERT}' ignored")


@pytest.mark.parametrize("expect_reply", [True, False])
def test_unexpected_banner_is_sanitised(controllers, bridge, output, expect_reply):
    controller = controllers(greeting=b"a\0\x1b[2J\xe2\x80\xae\xff\n" + b"\x1b[2J\r" * 1000)
    started = bridge(controller, {**AT_PLACE, "link.expect_reply": expect_reply}, TALKATIVE)
    output.assert_inert(started, "a line is not UTF-8")


def test_start_parameters_are_sanitised(launch, output):
    parameters = {"link.host": "no-such-host.invalid", "arm.base_frame": HOSTILE, "wire.json.x": HOSTILE}
    started = launch({**parameters, "link.backoff.max": 0.1}, TALKATIVE)
    started.status.wait(state="BACKOFF", reason="no connection")
    output.assert_inert(started, "cannot resolve host 'no-such-host.invalid'")


@pytest.mark.parametrize("name", ["link.host", "input.type"])
def test_refused_start_value_is_sanitised(launch, name):
    started = launch({name: HOSTILE})
    assert started.wait() == 2
    (line,) = started.log
    assert f"parameter '{name}' is '{INERT}'" in line
    assert not any(character in line for character in "\0\x1b\x9b\u202e"), repr(line)


def test_changed_parameters_are_sanitised(controller, bridge, peer, repeat, output):
    started = bridge(controller, {**AT_PLACE, "teleop.arming": "operator"}, TALKATIVE)
    wanted = [(name, HOSTILE) for name in ("link.transport", "link.port", "link.host")]
    refused = set_each(peer, (HOSTILE, 1), *wanted)
    # The refusal does not repeat a value that must not change.
    assert "read-only" in set_each(peer, ("input.type", HOSTILE))[0]
    refused.append(set_together(peer, wire__json__x=HOSTILE, wire__json__y=HOSTILE))
    refused.append(set_together(peer, wire__format="text", wire__text__command=HOSTILE))
    for reason in refused:
        assert INERT in reason, repr(reason)
    assert set_each(peer, ("arm.base_frame", HOSTILE), ("retarget.frame", HOSTILE + "c"), ("wire.json.x", HOSTILE)) == ["", "", ""]
    repeat(PoseStamped, "/target_pose", lambda: pose("elsewhere"))
    started.log.wait(lambda line: "input rejected" in line)
    output.assert_inert(started, f"parameter wire.json.x: 'x' → '{INERT}'")
