"""Tests that commands from a checkout stay on this machine, with every ROS distribution."""

import os
import pathlib
import re
import subprocess

import pytest
from this_machine import keep_to_this_machine

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
BEFORE_IRON = ["foxy", "galactic", "humble"]
SINCE_IRON = ["iron", "jazzy", "kilted", "lyrical", "rolling"]
# Variables that a setup.bash or a user may have set before.
SETTINGS = [{}, {"ROS_LOCALHOST_ONLY": "0"}, {"ROS_LOCALHOST_ONLY": "1"}, {"ROS_STATIC_PEERS": "192.168.1.9"}]


def in_ros_env(distro, **settings):
    """Return the ROS variables that tools/ros-env gives to a command."""
    dropped = ("ROS_AUTOMATIC_DISCOVERY_RANGE", "ROS_LOCALHOST_ONLY", "ROS_STATIC_PEERS")
    environment = {name: value for name, value in os.environ.items() if name not in dropped}
    done = subprocess.run(
        [TOOLS / "ros-env", "env"],
        env=environment | {"ROS_DISTRO": distro} | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("ROS_"))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("distro", BEFORE_IRON)
def test_program_stays_on_machine_before_iron(distro, settings):
    environment = {"ROS_DISTRO": distro, **settings}
    seen_with = keep_to_this_machine(7, environment)
    assert environment["ROS_LOCALHOST_ONLY"] == "1" and environment["ROS_DOMAIN_ID"] == "7"
    assert seen_with == "export ROS_DOMAIN_ID=7 ROS_LOCALHOST_ONLY=1"
    assert in_ros_env(distro, **settings)["ROS_LOCALHOST_ONLY"] == "1"


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("distro", SINCE_IRON)
def test_program_stays_on_machine_since_iron(distro, settings):
    environment = {"ROS_DISTRO": distro, **settings}
    seen_with = keep_to_this_machine(7, environment)
    assert environment == {
        "ROS_DISTRO": distro,
        "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        "ROS_DOMAIN_ID": "7",
    }
    assert seen_with == "export ROS_DOMAIN_ID=7"
    given = in_ros_env(distro, **settings)
    assert given["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert given.get("ROS_LOCALHOST_ONLY") == settings.get("ROS_LOCALHOST_ONLY")


def test_user_may_allow_the_network():
    given = in_ros_env("humble", ROS_AUTOMATIC_DISCOVERY_RANGE="SUBNET", ROS_LOCALHOST_ONLY="0")
    assert given["ROS_LOCALHOST_ONLY"] == "0"


def test_no_other_tool_sets_discovery_range():
    allowed = {"this_machine.py", "ros-env"}
    setting = re.compile(r"ROS_LOCALHOST_ONLY\W+1|ROS_AUTOMATIC_DISCOVERY_RANGE\W+LOCALHOST")
    root = TOOLS.parent
    files = [*TOOLS.iterdir(), *(root / "tests" / "ros").glob("*.py"), *(root / "benches").rglob("*.py")]
    programs = [path for path in files if path.is_file() and not path.name.startswith("test_")]
    deciding = {path.name for path in programs if setting.search(path.read_text())}
    # tools/bench and tools/test set the range for tools/ros-env, which they run.
    assert deciding - {"bench", "test"} == allowed
