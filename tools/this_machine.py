"""Keeps a program and those that it starts on this machine, whatever the distribution. tools/ros-env has the same rule.

Imports nothing that might start ROS: it is used before ROS is started.
"""

import os
from collections.abc import MutableMapping


def keep_to_this_machine(domain: int, environment: MutableMapping[str, str] = os.environ) -> str:
    """Sets a ROS domain on this machine alone. Returns what another terminal has to set in order to see it."""
    environment.pop("ROS_STATIC_PEERS", None)
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment["ROS_DOMAIN_ID"] = str(domain)
    if is_before_iron(environment):
        # Set by force, because setup.bash of Humble sets 0.
        environment["ROS_LOCALHOST_ONLY"] = "1"
        return f"export ROS_DOMAIN_ID={domain} ROS_LOCALHOST_ONLY=1"
    # Deprecated there: ROS warns of it.
    environment.pop("ROS_LOCALHOST_ONLY", None)
    return f"export ROS_DOMAIN_ID={domain}"


def is_before_iron(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Whether the sourced ROS 2 knows ROS_LOCALHOST_ONLY instead of ROS_AUTOMATIC_DISCOVERY_RANGE, as Humble does.

    The names of the distributions are in the order of the alphabet.
    """
    return environment.get("ROS_DISTRO", "") < "iron"
