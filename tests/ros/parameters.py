"""Reads and sets the bridge's parameters through its services, as ROS tools do."""

import re

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters, SetParametersAtomically
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
    """Convert a ParameterValue to a Python value."""
    found = getattr(value, FIELDS[value.type])
    return list(found) if value.type in ARRAYS else found


def unquoted(text):
    """Return the original text.

    The bridge reports a text in quotes if YAML would read it as another type.
    """
    quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return text[1:-1].replace("''", "'") if quoted else text


def ask(peer, service_type, node="/aether_bridge", **fields):
    """Call the bridge's parameter service of this type."""
    words = re.findall("[A-Z][a-z]+", service_type.__name__)
    return peer.call(service_type, f"{node}/" + "_".join(words).lower(), **fields)


def get(peer, *names, node="/aether_bridge"):
    return [plain(value) for value in ask(peer, GetParameters, node, names=names).values]


def names(peer):
    """Return the names of the bridge's own parameters."""
    return [name for name in ask(peer, ListParameters).result.names if name != "use_sim_time"]


def set_each(peer, *wanted):
    """Set pairs of name and value one by one; None deletes.

    Return the reasons of refusals, "" for success.
    """
    return [_reason(result) for result in ask(peer, SetParameters, parameters=_messages(wanted)).results]


def set_together(peer, **wanted):
    """Set all or none; "__" stands for a dot in a name.

    Return the reason of a refusal, "" for success.
    """
    pairs = [(name.replace("__", "."), value) for name, value in wanted.items()]
    return _reason(ask(peer, SetParametersAtomically, parameters=_messages(pairs)).result)


def _messages(pairs):
    return [Parameter(name, value=value).to_parameter_msg() for name, value in pairs]


def _reason(result):
    assert result.successful == (result.reason == ""), result
    return result.reason
