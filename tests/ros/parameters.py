"""The bridge's parameters through its services, as ROS tools use them."""

import re

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, SetParameters, SetParametersAtomically
from rclpy.parameter import Parameter

FIELDS = {
    ParameterType.PARAMETER_BOOL: "bool_value",
    ParameterType.PARAMETER_INTEGER: "integer_value",
    ParameterType.PARAMETER_DOUBLE: "double_value",
    ParameterType.PARAMETER_STRING: "string_value",
    ParameterType.PARAMETER_DOUBLE_ARRAY: "double_array_value",
    ParameterType.PARAMETER_STRING_ARRAY: "string_array_value",
}
ARRAYS = (ParameterType.PARAMETER_DOUBLE_ARRAY, ParameterType.PARAMETER_STRING_ARRAY)


def plain(value):
    """A ParameterValue as Python has it."""
    found = getattr(value, FIELDS[value.type])
    return list(found) if value.type in ARRAYS else found


def ask(peer, service_type, **fields):
    """Calls the bridge's service of that type."""
    words = re.findall("[A-Z][a-z]+", service_type.__name__)
    return peer.call(service_type, "/aether_bridge/" + "_".join(words).lower(), **fields)


def get(peer, *names):
    return [plain(value) for value in ask(peer, GetParameters, names=names).values]


def set_each(peer, *wanted):
    """Sets pairs of name and value, each by itself; None deletes. Returns the reasons of refusals, "" for none."""
    return [_reason(result) for result in ask(peer, SetParameters, parameters=_messages(wanted)).results]


def set_together(peer, **wanted):
    """Sets all or none; "__" stands for a dot in a name. Returns the reason of a refusal, "" for none."""
    pairs = [(name.replace("__", "."), value) for name, value in wanted.items()]
    return _reason(ask(peer, SetParametersAtomically, parameters=_messages(pairs)).result)


def _messages(pairs):
    return [Parameter(name, value=value).to_parameter_msg() for name, value in pairs]


def _reason(result):
    assert result.successful == (result.reason == ""), result
    return result.reason
