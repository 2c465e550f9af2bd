"""Tests the parameter files of the package and of `ros2 param dump`, as rcl reads them."""

import pathlib

import pytest
from configurations import CONFIGURATIONS, configuration, launch_arguments
from parameters import ask, get, set_each
from rcl_interfaces.srv import ListParameters
from ros2_command import needs_commands


def test_installed_configurations_equal_the_checkout():
    sources = (pathlib.Path(__file__).parents[2] / "config").iterdir()
    assert CONFIGURATIONS == sorted(path.name for path in sources)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_configuration_connects_to_controller(launch, controller, tmp_path, name):
    # The file that launch makes from aether_port.
    overrides = tmp_path / "overrides.yaml"
    overrides.write_text(f"/aether_bridge:\n  ros__parameters:\n    link.port: {controller.port}\n")
    started = launch(arguments=launch_arguments(configuration(name), overrides)[1:])
    started.status.wait(state="CONNECTED")


@needs_commands
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_dump_of_configuration_starts_same_bridge(launch, peer, controller, ros2, tmp_path, name):
    first = start(launch, controller, name)
    before, dump = values(peer), dumped(ros2, tmp_path)
    first.end()
    started = launch(arguments=["--params-file", dump])
    # If the bridge ends with an error, its log line begins with the program's name, not with the
    # node's name.
    begun = started.log.wait(lambda line: "link up" in line or line.startswith("aether_bridge: "))
    if "link up" not in begun:
        started.wait()
        pytest.fail(begun)
    assert values(peer) == before


@needs_commands
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_dump_of_configuration_loads_into_bridge(launch, peer, controller, ros2, tmp_path, name):
    start(launch, controller, name)
    before, dump = values(peer), dumped(ros2, tmp_path)
    assert set_each(peer, ("teleop.settle_time", 7.5)) == [""]
    load = ros2("param", "load", "/aether_bridge", dump, "--no-daemon", "--timeout", "10")
    load.wait()
    assert [line for line in load.log if not line.endswith("successful")] == []
    assert values(peer) == before


def start(launch, controller, name):
    """Start a bridge with a configuration. Return it when it is connected."""
    started = launch(arguments=["--params-file", configuration(name), "-p", f"link.port:={controller.port}"])
    started.status.wait(state="CONNECTED")
    return started


def values(peer):
    """Return all parameters of the bridge."""
    names = ask(peer, ListParameters).result.names
    return dict(zip(names, get(peer, *names)))


def dumped(ros2, folder):
    dump = ros2("param", "dump", "/aether_bridge", "--no-daemon", "--timeout", "10")
    assert dump.wait() == 0
    file = folder / "dump.yaml"
    file.write_text("\n".join(dump.log))
    return file
