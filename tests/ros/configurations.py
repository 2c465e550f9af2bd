"""The parameter files of the package."""

import pathlib
import re

import pytest
from ament_index_python.packages import get_package_share_directory

SHARE = pathlib.Path(get_package_share_directory("aether_bridge"))
CONFIGURATIONS = sorted(path.name for path in (SHARE / "config").iterdir())


def configuration(name):
    """Return the path of a parameter file.

    Skip the test if the bridge is built without the message type of the file.
    """
    path = SHARE / "config" / name
    package = re.search(r'source\.type: "(\w+)/msg/', path.read_text())
    if package and package[1] != "geometry_msgs":
        pytest.importorskip(f"{package[1]}.msg", reason=f"the bridge is built without {package[1]}")
    return path


def launch_arguments(*files):
    """Return the arguments that bridge.launch.py passes to the bridge, for use without launch."""
    names = ["--ros-args", "--log-level", "info", "--ros-args", "-r", "__node:=aether_bridge", "-r", "__ns:=/"]
    return [*names, *(part for file in files for part in ("--params-file", str(file)))]
