"""Tests the messages in Python.

Other packages depend on the names, the order and the types of the fields.
"""

import pytest
from aether_bridge.msg import ArmCommand, ArmState, LinkStatus

FIELDS = {
    LinkStatus: {
        "stamp": "builtin_interfaces/Time",
        "state": "uint8",
        "peer": "string",
        "since": "builtin_interfaces/Time",
        "attempts": "uint32",
        "last_error": "string",
        "motion": "uint8",
        "reason": "string",
        "sent": "uint64",
        "acknowledged": "uint64",
        "rejected": "uint64",
        "coalesced": "uint64",
        "limited": "uint64",
        "dropped_input": "uint64",
        "rtt_last": "double",
        "rtt_mean": "double",
        "rtt_p99": "double",
        "input_age": "double",
    },
    ArmCommand: {
        "header": "std_msgs/Header",
        "seq": "uint64",
        "position": "geometry_msgs/Point",
        "gripper": "string",
        "altered_by": "sequence<string>",
        "input_age": "double",
        # Fields that were added later are at the end.
        "orientation": "geometry_msgs/Quaternion",
    },
    ArmState: {
        "header": "std_msgs/Header",
        "position": "geometry_msgs/Point",
        "gripper": "string",
        "moving": "boolean",
        "fault": "string",
        "raw": "string",
        "joint_positions": "sequence<double>",
    },
}


@pytest.mark.parametrize("message", FIELDS, ids=lambda message: message.__name__)
def test_message_fields_and_order_are_fixed(message):
    assert list(message.get_fields_and_field_types().items()) == list(FIELDS[message].items())


def test_link_state_numbers_are_fixed():
    states = ["DISCONNECTED", "CONNECTING", "CONNECTED", "UNRESPONSIVE", "BACKOFF", "LISTENING"]
    assert [getattr(LinkStatus, name) for name in states] == list(range(6))


def test_motion_state_numbers_are_fixed():
    motions = ["DISARMED", "APPROACH", "TRACKING", "HOLDING", "STOPPED"]
    assert [getattr(LinkStatus, name) for name in motions] == list(range(5))
