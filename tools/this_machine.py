"""Keeps a program and its children on this machine, with every ROS distribution. tools/ros-env has
the same rule.

Imports nothing that could start ROS, because programs use it before ROS starts.
"""

import os
from collections.abc import MutableMapping


def keep_to_this_machine(domain: int, environment: MutableMapping[str, str] = os.environ) -> str:
    """Select a ROS domain on this machine only.

    Return the command with which another terminal joins it.
    """
    environment.pop("ROS_STATIC_PEERS", None)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment["ROS_DOMAIN_ID"] = str(domain)
    if is_before_iron(environment):
        # Overwrite the variable, because setup.bash of Humble sets it to 0.
        environment["ROS_LOCALHOST_ONLY"] = "1"
        return f"export ROS_DOMAIN_ID={domain} ROS_LOCALHOST_ONLY=1"
    # Iron and later warn that this variable is deprecated.
    environment.pop("ROS_LOCALHOST_ONLY", None)
    return f"export ROS_DOMAIN_ID={domain}"


def is_before_iron(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Return whether the sourced ROS 2 uses ROS_LOCALHOST_ONLY instead of
    ROS_AUTOMATIC_DISCOVERY_RANGE, as Humble does.

    The names of the distributions are in alphabetical order.
    """
    return environment.get("ROS_DISTRO", "") < "iron"
