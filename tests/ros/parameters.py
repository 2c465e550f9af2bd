"""The bridge's parameters through its services, as ROS tools use them."""

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
    """A ParameterValue as Python has it."""
    found = getattr(value, FIELDS[value.type])
    return list(found) if value.type in ARRAYS else found


def unquoted(text):
    """A text as it was meant, without the quotes that it is reported in if YAML would read it as something else."""
    quoted = len(text) > 1 and text[0] == text[-1] == "'"
    return text[1:-1].replace("''", "'") if quoted else text


def ask(peer, service_type, node="/aether_bridge", **fields):
    """Calls the bridge's service of that type."""
    words = re.findall("[A-Z][a-z]+", service_type.__name__)
    return peer.call(service_type, f"{node}/" + "_".join(words).lower(), **fields)


def get(peer, *names, node="/aether_bridge"):
    return [plain(value) for value in ask(peer, GetParameters, node, names=names).values]


def names(peer):
    """The names of the bridge's own parameters."""
    return [name for name in ask(peer, ListParameters).result.names if name != "use_sim_time"]


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
