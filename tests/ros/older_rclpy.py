"""A plugin of pytest that removes from rclpy and jsonschema the features that Humble on Ubuntu
22.04 lacks.

Usage: python3 -m pytest -p older_rclpy
"""

import inspect
import sys
import types

import rclpy.node

# Iron renamed this module.
sys.modules["rclpy.qos_event"] = sys.modules.pop("rclpy.event_handler")
sys.modules["rclpy.event_handler"] = None
# Iron added this method.
del rclpy.node.Node.wait_for_node
_create_subscription = rclpy.node.Node.create_subscription


def _create_subscription_for_messages_alone(self, message_type, topic, callback, *arguments, **options):
    try:
        inspect.signature(callback).bind("message")
    except TypeError:
        raise AssertionError(f"Humble calls a callback of {topic} with the message alone") from None
    return _create_subscription(self, message_type, topic, callback, *arguments, **options)


rclpy.node.Node.create_subscription = _create_subscription_for_messages_alone

try:
    import jsonschema
except ImportError:
    pass
else:
    # The content of version 3.2.
    older = types.ModuleType("jsonschema")
    for name in ("Draft3Validator", "Draft4Validator", "Draft6Validator", "Draft7Validator", "validate", "ValidationError"):
        setattr(older, name, getattr(jsonschema, name))
    sys.modules["jsonschema"] = older
