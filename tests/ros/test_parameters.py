"""Tests parameters as ROS tools see them, and wrong parameters at the start."""

import re

import pytest
from controller import command
from harness import QUICK
from parameters import ask, get, plain, set_each
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, GetParameterTypes, ListParameters

# The parameters and their defaults. Other packages depend on them.
DEFAULTS = {
    "link.transport": "tcp_client",
    "link.host": "127.0.0.1",
    "link.port": 5000,
    "link.connect_timeout": 3.0,
    "link.expect_reply": True,
    "link.max_in_flight": 1,
    "link.reply_timeout": 0.5,
    "link.timeout": 3.0,
    "link.tcp_user_timeout": 0.5,
    "link.backoff.initial": 0.1,
    "link.backoff.max": 4.0,
    "wire.position_unit": "mm",
    "arm.base_frame": "arm_base",
    "teleop.max_consecutive_errors": 5,
    "teleop.arming": "automatic",
    "teleop.settle_time": 1.0,
    "input.timeout": 0.2,
    "teleop.command_rate": 50.0,
    "workspace.min": [-0.3, -0.3, 0.0],
    "workspace.max": [0.3, 0.3, 0.4],
    "workspace.policy": "clamp",
    "workspace.tolerance": 0.5,
    "workspace.keep_out": [0.0],
    "workspace.reach_min": 0.05,
    "limits.step": 0.0,
    "arm.home": [0.2, 0.0, 0.2],
    "limits.speed": 0.25,
    "limits.approach_speed": 0.1,
    "gripper.close_below": 0.3,
    "gripper.open_above": 0.5,
    "gripper.close_debounce": 0.1,
    "gripper.open_debounce": 0.3,
    "retarget.translation": [0.0, 0.0, 0.0],
    "retarget.rotation_rpy": [0.0, 0.0, 0.0],
    "retarget.scale": [1.0, 1.0, 1.0],
}


def test_every_parameter_is_listed_with_default(launch, peer):
    launch().status.wait()
    listed = ask(peer, ListParameters).result.names
    assert set(DEFAULTS) <= set(listed) and "use_sim_time" in listed and len(set(listed)) == len(listed)
    assert dict(zip(DEFAULTS, get(peer, *DEFAULTS))) == DEFAULTS
    assert set(ask(peer, ListParameters, prefixes=["link.backoff"]).result.names) == {"link.backoff.initial", "link.backoff.max"}
    assert ask(peer, GetParameters, names=["no.such"]).values[0].type == ParameterType.PARAMETER_NOT_SET


def test_every_parameter_is_fully_described(launch, peer):
    launch().status.wait()
    names = ask(peer, ListParameters).result.names
    descriptors = ask(peer, DescribeParameters, names=names).descriptors
    types = ask(peer, GetParameterTypes, names=names).types
    values = ask(peer, GetParameters, names=names).values
    assert len(descriptors) == len(types) == len(values) == len(names)
    for name, descriptor, type_, value in zip(names, descriptors, types, values):
        assert descriptor.name == name
        assert descriptor.type == type_ == value.type != ParameterType.PARAMETER_NOT_SET, name
        assert descriptor.description, name
        if name == "use_sim_time":
            continue
        assert "default" in descriptor.additional_constraints, name
        if type_ == ParameterType.PARAMETER_INTEGER:
            (bounds,) = descriptor.integer_range
            assert bounds.from_value <= plain(value) <= bounds.to_value
        elif type_ in (ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_DOUBLE_ARRAY):
            (bounds,) = descriptor.floating_point_range
            numbers = plain(value) if isinstance(plain(value), list) else [plain(value)]
            assert all(bounds.from_value <= number <= bounds.to_value for number in numbers)
        elif type_ == ParameterType.PARAMETER_STRING and name not in ("link.host", "arm.base_frame"):
            # The bridge reports a text in quotes if YAML would read it as another type.
            text = plain(value).strip("'")
            assert f"'{text}'" in descriptor.additional_constraints
    described = dict(zip(names, descriptors))
    # Numbers with a unit name it.
    for name, unit in [("limits.speed", "m/s"), ("arm.home", "m"), ("link.reply_timeout", "s"), ("teleop.command_rate", "Hz")]:
        assert described[name].description.endswith(f"[{unit}]")


def test_arguments_override_the_parameter_file(controller, bridge, hand, peer, tmp_path):
    file = tmp_path / "bridge.yaml"
    file.write_text(
        """
/**:
  ros__parameters:
    teleop.settle_time: 0
    input.timeout: 0.5
    wire.position_unit: cm
    arm:
      home: [0.1, 0.0, 0.1]
      assume_position: home
    workspace:
      min: [-1, -1, 0]
      max: [0.1, 0.1, 0.2]
aether_bridge:
  ros__parameters:
    arm.base_frame: table
another_node:
  ros__parameters:
    arm.base_frame: wrong
"""
    )
    bridge(controller, {}, ["--params-file", file, "-p", "wire.position_unit:=m"])
    # Whole numbers are accepted as floats.
    assert get(peer, "arm.base_frame", "teleop.settle_time", "workspace.min") == ["table", 0.0, [-1.0, -1.0, 0.0]]
    hand((0.2, 0.0, 0.1))
    controller.lines.wait(lambda line: line.data == command("0.1", "0.0", "0.1"))


def test_unknown_parameter_gives_warning_with_suggestion(controller, bridge):
    started = bridge(controller, {**QUICK, "link.prot": 5, "limits.sped": 0.1, "entirely.different": 1})
    started.status.wait(state="CONNECTED")
    warnings = [line for line in started.log if "WARN" in line]
    assert sum("'link.prot' is unknown; did you mean 'link.port'?" in line for line in warnings) == 1
    assert sum("'limits.sped' is unknown; did you mean 'limits.speed'?" in line for line in warnings) == 1
    assert sum("ignored: parameter 'entirely.different' is unknown" in line for line in warnings) == 1


# The arguments, and what the error line must contain: parameter, value and range.
WRONG = {
    "text instead of a number": ({"link.port": "abc"}, ["'link.port'", "'abc'", "integer", "from 1 to 65535"]),
    "a number with quotes": ({"link.port": "5000"}, ["'link.port'", "'5000'", "string", "integer"]),
    "port too large": ({"link.port": 70000}, ["'link.port'", "70000", "from 1 to 65535"]),
    "port zero": ({"link.port": 0}, ["'link.port'", "is 0;", "from 1 to 65535"]),
    "float instead of an integer": ({"link.port": 5000.5}, ["'link.port'", "5000.5", "integer"]),
    "unknown choice": ({"teleop.arming": "maybe"}, ["'teleop.arming'", "'maybe'", "'automatic'", "'operator'"]),
    "unknown transport": ({"link.transport": "serial"}, ["'link.transport'", "'serial'", "'tcp_client'"]),
    "unknown unit": ({"wire.position_unit": "inch"}, ["'wire.position_unit'", "'inch'", "'mm'", "'cm'", "'m'"]),
    "too fast": ({"limits.speed": 99.0}, ["'limits.speed'", "99.0", "10.0 m/s"]),
    "negative time": ({"input.timeout": -1.0}, ["'input.timeout'", "-1.0", "from 0.01 to 10.0 s"]),
    "min above max": (
        {"workspace.min": [0.5, 0.0, 0.0]},
        ["'workspace.min'", "[0.5, 0.0, 0.0]", "'workspace.max'", "[0.3, 0.3, 0.4]"],
    ),
    "home outside": ({"arm.home": [0.2, 0.0, 0.9]}, ["'arm.home'", "[0.2, 0.0, 0.9]", "'workspace.max'", "[0.3, 0.3, 0.4]"]),
    "box with five numbers": ({"workspace.keep_out": [0.1] * 5}, ["'workspace.keep_out'", "[0.0] for none, or six numbers for each box"]),
    "box with min above max": (
        {"workspace.keep_out": [0.1, 0.1, 0.4, 0.2, 0.2, 0.1]},
        ["'workspace.keep_out'", "box 1", "[0.100, 0.100, 0.400]", "below", "[0.200, 0.200, 0.100]"],
    ),
    "home in a box": (
        {"workspace.keep_out": [0.1, -0.1, 0.1, 0.3, 0.1, 0.3]},
        ["'workspace.keep_out'", "box 1", "'arm.home'", "[0.2, 0.0, 0.2]"],
    ),
    "two numbers instead of three": ({"arm.home": [0.2, 0.0]}, ["'arm.home'", "[0.2, 0.0]", "3 numbers"]),
    "thresholds crossed": (
        {"gripper.close_below": 0.8},
        ["'gripper.close_below'", "0.8", "'gripper.open_above'", "0.5"],
    ),
    "approach faster than limit": ({"limits.approach_speed": 1.0}, ["'limits.approach_speed'", "1.0", "'limits.speed'", "0.25"]),
    "empty host": ({"link.host": ""}, ["'link.host'", "''", "empty"]),
    "host in brackets": ({"link.host": "[::1]"}, ["'link.host'", "'[::1]'", "write '::1'"]),
    "host with port": ({"link.host": "192.168.1.50:5000"}, ["'link.host'", "set link.host to '192.168.1.50' and link.port to 5000"]),
    "host with a blank": ({"link.host": "127.0.0.1 "}, ["'link.host'", "'127.0.0.1 '", "write '127.0.0.1'"]),
    "host as URL": ({"link.host": "http://arm.lab:80/"}, ["'link.host'", "write 'arm.lab', and set link.port to 80"]),
    "host with path": ({"link.host": "arm.lab/x"}, ["'link.host'", "write 'arm.lab'"]),
    "host with user": ({"link.host": "robot@arm.lab"}, ["'link.host'", "write 'arm.lab'"]),
    "host that is not an address": ({"link.host": "192.168.1.500"}, ["'link.host'", "not an IPv4 address"]),
    "home of a path": ({"link.auth.token_file": "~/token"}, ["'link.auth.token_file'", "'~/token'", "not expanded"]),
    "path with a blank": ({"link.tls.ca_file": "/ca.pem "}, ["'link.tls.ca_file'", "write '/ca.pem'"]),
    "host is not a string": ({"link.host": 5}, ["'link.host'", "5", "integer", "string"]),
    "not a boolean": ({"use_sim_time": "yes please"}, ["'use_sim_time'", "'yes please'", "boolean"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_parameter_ends_bridge_and_is_named(controller, launch, case):
    wrong, expected = WRONG[case]
    started = launch({"link.port": controller.port, **wrong})
    assert started.wait() == 2
    (line,) = started.log
    assert all(words in line for words in expected), line
    assert len(controller.connections) == 0


def test_invalid_host_is_refused_while_running(controller, bridge, peer):
    bridge(controller, {"teleop.arming": "operator"})
    brackets, port, good = set_each(peer, ("link.host", "[::1]"), ("link.host", "127.0.0.1:5000"), ("link.host", "localhost"))
    assert "'link.host'" in brackets and "write '::1'" in brackets
    assert "set link.host to '127.0.0.1' and link.port to 5000" in port
    assert good == ""


def test_nan_and_infinity_are_refused(controller, launch):
    for value in (".nan", ".inf", "-.inf"):
        started = launch({"link.port": controller.port}, ["-p", f"limits.speed:={value}"])
        assert started.wait() == 2
        (line,) = started.log
        assert "'limits.speed'" in line and "from 0.001 to 10.0 m/s" in line
    assert len(controller.connections) == 0


def test_two_wrong_parameters_are_two_lines(controller, launch):
    started = launch({"link.port": controller.port, "teleop.arming": "maybe", "limits.speed": 99.0})
    assert started.wait() == 2
    assert sorted(re.search("'([a-z._]+)'", line)[1] for line in started.log) == ["limits.speed", "teleop.arming"]
    assert len(controller.connections) == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--log-level", "shout"], "shout"),
        (["-p"], "-p"),
        (["-p", "port"], "port"),
        (["--params-file", "no-such-file.yaml"], "no-such-file.yaml"),
        (["-r", "__node:=not-a-name"], "not-a-name"),
        (["-r", "__ns:=no_slash"], "no_slash"),
        (["--no-such-option"], "--no-such-option"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_invalid_ros_arguments_end_the_bridge(controller, launch, arguments, named):
    started = launch({"link.port": controller.port}, arguments)
    assert started.wait() == 2
    own = [line for line in started.log if line.startswith("aether_bridge: ")]
    assert len(own) == 1 and named in own[0], started.log[:]
    assert not any("panicked" in line or "backtrace" in line.lower() for line in started.log)
    assert len(controller.connections) == 0
