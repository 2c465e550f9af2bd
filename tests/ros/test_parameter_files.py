"""Parameter files and -p have the same effect as in rclpy. The bridge logs what it has read."""

import os
import re
import subprocess

import pytest
import rclpy
import yaml
from controller import command
from harness import EXECUTABLES, QUICK
from parameters import get, names, set_each, unquoted
from rcl_interfaces.msg import ParameterType
from rclpy.context import Context

# Each key sets its own parameter. Some keys match no node here.
KEYS = [
    "/left/aether_bridge",
    "left/aether_bridge",
    "aether_bridge",
    "/aether_bridge",
    "/**",
    "**",
    "/**/aether_bridge",
    "**/aether_bridge",
    "/*/aether_bridge",
    "*/aether_bridge",
    "/*/*",
    "/*/*/*",
    "/*",
    "*",
    "/left/**",
    "/left/*",
    "/left/*/aether_bridge",
    "/left/**/aether_bridge",
    "left/**",
    "/**/left/*",
    "/left",
    "left",
    "/right/aether_bridge",
    "/right/**",
    "/left/aether",
    "/*/**",
    "/**/*",
    "**/left/**",
    "/lab/left/aether_bridge",
    "/**/lab/**",
]
NODES = ["/aether_bridge", "/left/aether_bridge", "/lab/left/aether_bridge", "/left/arm", "/left", "/right/aether_bridge"]


def remapped(node):
    namespace, _, name = node.rpartition("/")
    return ["-r", f"__ns:={namespace or '/'}", "-r", f"__node:={name}"]


def seen_by_rclpy(node, arguments):
    """Return the parameters that an rclpy node has with these arguments."""
    context = Context()
    rclpy.init(context=context, args=["--ros-args", *map(str, arguments), *remapped(node)])
    try:
        other = rclpy.create_node(
            "any",
            context=context,
            start_parameter_services=False,
            automatically_declare_parameters_from_overrides=True,
            allow_undeclared_parameters=True,
        )
        assert other.get_fully_qualified_name() == node
        return {name: value.value for name, value in other._parameters.items()}
    finally:
        rclpy.shutdown(context=context)


@pytest.mark.parametrize("node", NODES)
def test_keys_match_as_in_rclpy(controller, launch, node, tmp_path):
    file = tmp_path / "keys.yaml"
    file.write_text(yaml.dump({key: {"ros__parameters": {f"key_{n}": n}} for n, key in enumerate(KEYS)}))
    expected = {name for name in seen_by_rclpy(node, ["--params-file", file]) if name.startswith("key_")}

    started = launch({"link.port": controller.port}, ["--params-file", file, *remapped(node)], node)
    started.status.wait(state="CONNECTED")
    unknown = re.findall(r"'(key_\d+)' is unknown", "\n".join(started.log))
    assert {KEYS[int(name[4:])] for name in unknown} == {KEYS[int(name[4:])] for name in expected}
    assert expected, "no key is for this node"
    assert any(f"parameters of {node}: {len(expected)} from '{file}'" in line for line in started.log), started.log[:]


@pytest.mark.parametrize("key", ["/left/aether_bridge/", "/l*/aether_bridge", "/aether.bridge", "/***", "/"])
def test_invalid_key_ends_the_bridge(launch, key, tmp_path):
    file = tmp_path / "key.yaml"
    file.write_text(yaml.dump({key: {"ros__parameters": {"link.port": 5000}}}))
    started = launch({}, ["--params-file", file])
    assert started.wait() == 2
    (line,) = started.log
    assert str(file) in line and "name" in line


def test_nested_keys_apply_to_the_namespace(controller, bridge, peer, tmp_path):
    file = tmp_path / "nested.yaml"
    file.write_text("left:\n  aether_bridge:\n    ros__parameters:\n      limits.approach_speed: 0.03\n")
    bridge(controller, {}, ["--params-file", file, *remapped("/left/aether_bridge")], "/left/aether_bridge")
    assert get(peer, "limits.approach_speed", node="/left/aether_bridge") == [0.03]


# Ways to write no boxes, and one box.
BOXES = {"[]": [], "[0.0]": [0.0], "[0]": [0.0], "[-0.2, -0.2, 0.1, -0.1, -0.1, 0.2]": [-0.2, -0.2, 0.1, -0.1, -0.1, 0.2]}


@pytest.mark.parametrize("written", BOXES)
def test_keep_out_boxes_are_read_from_file(controller, bridge, peer, tmp_path, written):
    file = tmp_path / "boxes.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    workspace.keep_out: {written}\n")
    bridge(controller, {}, ["--params-file", file])
    assert get(peer, "workspace.keep_out") == [BOXES[written]]


# Orders of files and arguments, for limits.speed of /left/aether_bridge.
ORDERS = {
    "every node, then one": (["/**", "/left/aether_bridge"], "{file}"),
    "one node, then every": (["/left/aether_bridge", "/**"], "{file}"),
    "-p before the file": (["/left/aether_bridge"], "-p limits.speed:=0.9 {file}"),
    "-p after the file": (["/left/aether_bridge"], "{file} -p limits.speed:=0.9"),
    "-p after every node": (["/**"], "{file} -p limits.speed:=0.9"),
    "-p after both": (["/**", "/left/aether_bridge"], "{file} -p limits.speed:=0.9"),
    "-p for one node": (["/**"], "{file} -p aether_bridge:limits.speed:=0.9"),
}


@pytest.mark.parametrize("order", ORDERS)
def test_same_value_applies_as_in_rclpy(controller, bridge, peer, order, tmp_path):
    keys, line = ORDERS[order]
    file = tmp_path / "order.yaml"
    speeds = dict(zip(keys, (0.3, 0.4)))
    file.write_text("".join(f"{key}:\n  ros__parameters:\n    limits.speed: {v}\n" for key, v in speeds.items()))
    arguments = line.format(file=f"--params-file {file}").split()
    node = "/left/aether_bridge"
    # The order of the keys on the whole line matters, and -p is a key too.
    expected = seen_by_rclpy(node, ["-p", f"link.port:={controller.port}", *arguments])["limits.speed"]
    bridge(controller, {}, [*arguments, *remapped(node)], node)
    assert get(peer, "limits.speed", node=node) == [expected]


def test_file_for_another_node_gives_warning(controller, bridge, tmp_path):
    file = tmp_path / "typo.yaml"
    file.write_text("aether_brige:\n  ros__parameters:\n    limits.speed: 0.1\n")
    started = bridge(controller, {}, ["--params-file", file])
    warning = f"parameter file '{file}' has no parameters for /aether_bridge: it has some for 'aether_brige'"
    started.log.wait(lambda line: "WARN" in line and warning in line and "'/**' for every node" in line)
    empty = tmp_path / "empty.yaml"
    empty.write_text("")
    started = bridge(controller, {}, ["--params-file", empty, *remapped("/other")], "/other")
    started.log.wait(lambda line: "WARN" in line and f"parameter file '{empty}' is empty" in line)


def test_start_logs_source_of_each_value(controller, bridge, tmp_path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("/**:\n  ros__parameters:\n    limits.speed: 0.2\n    arm.home: [0.1, 0.0, 0.1]\n")
    two.write_text("/aether_bridge:\n  ros__parameters:\n    limits.speed: 0.15\n")
    started = bridge(controller, {}, ["--params-file", one, "--params-file", two])
    started.log.wait(lambda line: f"2 from '{one}', 1 from '{two}', 1 from the command line" in line)
    # A value in a file that has no effect, although it is not the default, needs a warning.
    warning = f"parameter 'limits.speed' is 0.2 in '{one}', but this value is not used, because it is 0.15 in '{two}'"
    assert sum(warning in line for line in started.log) == 1


def test_overridden_default_gives_no_warning(controller, bridge, tmp_path):
    file = tmp_path / "defaults.yaml"
    file.write_text("/**:\n  ros__parameters:\n    limits.speed: 0.25\n")
    started = bridge(controller, {}, ["--params-file", file, "-p", "limits.speed:=0.2"])
    started.status.wait(state="CONNECTED")
    assert not any("does not hold" in line for line in started.log)


def test_wrong_value_names_its_file(launch, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("/**:\n  ros__parameters:\n    link.port: 70000\n")
    started = launch({}, ["--params-file", file])
    assert started.wait() == 2
    (line,) = started.log
    assert f"'link.port' is 70000; it must be from 1 to 65535 (in '{file}')" in line


@pytest.mark.parametrize("key", ["/**", "aether_bridge"])
def test_former_name_is_refused_with_new_name(launch, key, tmp_path):
    file = tmp_path / "old.yaml"
    file.write_text(f"{key}:\n  ros__parameters:\n    hold_line: stop\n    limits.speed: 0.1\n")
    bridge = launch(arguments=["--params-file", file])
    assert bridge.wait() == 2
    (line,) = bridge.log
    assert f"parameter 'hold_line' has the new name 'teleop.hold_behavior' (in '{file}')" in line and "not under /**" in line


@pytest.mark.parametrize("rule", ["target_pose", "/target_pose", "aether_bridge:target_pose", "rostopic://target_pose"])
def test_ineffective_remapping_gives_warning(controller, bridge, rule):
    started = bridge(controller, {"input.topic": "/hand"}, ["-r", f"{rule}:=/ik/target"])
    started.log.wait(
        lambda line: "the remapping of 'target_pose' to '/ik/target' has no effect, because input.topic" in line
    )


# A line of a parameter file or an argument, and what the error line must contain.
UNREADABLE = {
    "boolean instead of text": ("wire.json.y: y", ["'wire.json.y' is true, a boolean", "in quotes, like 'y'"]),
    "yes": ("wire.text.stop: yes", ["'wire.text.stop' is true", "in quotes"]),
    "off": ("wire.json.z: off", ["'wire.json.z' is false", "in quotes"]),
    "number instead of text": ("wire.json.open: 0", ["'wire.json.open' is 0, an integer", "in quotes, like '0'"]),
    "float instead of text": ("input.unit: 0.01", ["'input.unit' is 0.01, a number", "in quotes, like '0.01'"]),
    "y in a list": ("input.position: [x, y, z]", ["wrong.yaml", "line_num 3", "in quotes, like 'y'"]),
    "mixed numbers": ("arm.home: [0.1, 0, 0.1]", ["wrong.yaml", "line_num 3", "0.0, not 0"]),
    "map instead of text": ("wire.text.command: {{x}}", ["wrong.yaml", "line 3", "begins with { or [ is put in single quotes"]),
    "not a number": ("limits.speed: .nan", ["'limits.speed' is NaN; it must be from 0.001", "wrong.yaml"]),
    "no value": ("link.host:", ["wrong.yaml", "line 3", "An empty string is written ''"]),
    "an empty list": ("wire.extra_fields: []", ["'wire.extra_fields' is an empty list; it must be a list of strings, ['none'] or"]),
    "invalid YAML": ('wire.json.open: ""open""', ["wrong.yaml", "near line", "in single quotes"]),
    "a tab": ("link.port: 5000\n\tlink.host: x", ["wrong.yaml", "near line", "spaces"]),
    "a list of lists": ("arm.home: [[0.1], [0.2]]", ["wrong.yaml", "A list has values only"]),
}


def test_invalid_node_name_is_refused_with_advice(launch, tmp_path):
    file = tmp_path / "wrong.yaml"
    file.write_text("aether-bridge:\n  ros__parameters:\n    link.port: 5000\n")
    started = launch({}, ["--params-file", file])
    assert started.wait() == 2
    (line,) = started.log
    assert "wrong.yaml" in line and "letters, digits and '_'" in line, line


def test_unknown_log_level_is_refused_with_list(launch):
    started = launch({}, ["--log-level", "verbose"])
    assert started.wait() == 2
    (line,) = started.log
    assert "verbose" in line and line.endswith("debug, info, warn, error or fatal"), line


@pytest.mark.parametrize("case", UNREADABLE)
def test_ambiguous_yaml_is_refused_with_advice(launch, case, tmp_path):
    given, expected = UNREADABLE[case]
    file = tmp_path / "wrong.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    {given}\n")
    started = launch({}, ["--params-file", file])
    assert started.wait() == 2
    (line,) = started.log
    assert all(words in line for words in expected), line


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ("wire.text.command:={{x}}", "text in quotes is: -p \"wire.text.command:='{{x}}'\""),
        ("wire.json.constant:={'a': 1}", "text in quotes is: -p \"wire.json.constant:='{''a'': 1}'\""),
        ("wire.text.command:=@{x}", "text in quotes is: -p \"wire.text.command:='@{x}'\""),
        ("wire.text.command:=%x", "text in quotes is: -p \"wire.text.command:='%x'\""),
        ("wire.text.command:=[x", "text in quotes is: -p \"wire.text.command:='[x'\""),
        ("wire.text.command:=&x", "text in quotes is: -p \"wire.text.command:='&x'\""),
        ("wire.text.stop:='a", "text in quotes is: -p \"wire.text.stop:='''a'\""),
        ("link.host:=", "an empty string is \"link.host:=''\""),
        ("link.port", "it must be NAME:=VALUE"),
        ("arm.home:=[0.1, a]", "All values of a list have one type"),
    ],
)
def test_invalid_yaml_argument_is_refused_with_advice(launch, rule, advice):
    started = launch({}, ["-p", rule])
    assert started.wait() == 2
    (line,) = [line for line in started.log if line.startswith("aether_bridge: ")]
    assert f"-p '{rule}'" in line and advice in line, line


def test_advice_for_argument_works(controller, bridge):
    bridge(controller, {}, ["-p", "wire.json.constant:='{\"a\": 1}'"]).status.wait(state="CONNECTED")


def test_file_without_parameters_is_refused_with_advice(launch, tmp_path):
    file = tmp_path / "flat.yaml"
    file.write_text("link.port: 5000\n")
    started = launch({}, ["--params-file", file])
    assert started.wait() == 2
    assert "'ros__parameters'" in started.log[0] and str(file) in started.log[0]
    started = launch({}, ["--params-file", tmp_path])
    assert started.wait() == 2
    assert f"cannot read the parameter file '{tmp_path}': Is a directory" in started.log[0]


@pytest.mark.parametrize("way", ["a named pipe", "what a shell makes of <(command)"])
def test_pipe_as_parameter_file_is_refused(launch, way, tmp_path):
    """A pipe is empty when it is read the second time, so its parameters would have no effect."""
    if way == "a named pipe":
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        started = launch({}, ["--params-file", pipe])
    else:
        text = "/**: {ros__parameters: {limits.speed: 0.1}}"
        started = launch(under=["bash", "-c", f"exec \"$@\" --params-file <(echo '{text}')", "bash"])
    assert started.wait() == 2
    (line,) = started.log
    assert "is a pipe" in line and "write it to a file" in line


# Texts that PyYAML, rcl or `ros2 param load` would read as another type.
TEXTS = ["::", "fe80::", "0x1p3", "nan(1)", "y", "N", "yes", "on", "true", "null", "~", "0", "0.01", "1e5", ".nan", '"open"', "it's", "a: b", "a #b", "'", "x"]


def test_text_survives_dump_start_and_load(controller, bridge, peer, tmp_path):
    """Dump uses PyYAML, a start uses rcl, and load reads each text a second time."""
    started = bridge(controller, {"wire.json.type": "", "wire.json.gripper": ""}, [])
    started.status.wait(state="CONNECTED")
    for number, text in enumerate(TEXTS):
        assert set_each(peer, ("arm.base_frame", text)) == [""]
        (reported,) = get(peer, "arm.base_frame")
        # The value that `ros2 param load` sends.
        again = rclpy.parameter.get_parameter_value(str(yaml.safe_load(yaml.dump(reported))))
        assert again.type == ParameterType.PARAMETER_STRING, (text, reported, again)
        assert unquoted(again.string_value) == text, (text, reported, again)
        # The value that rcl reads at the next start.
        file = tmp_path / f"{number}.yaml"
        file.write_text(yaml.dump({"/**": {"ros__parameters": {"arm.base_frame": reported}}}))
        read = seen_by_rclpy("/any", ["--params-file", file])["arm.base_frame"]
        assert isinstance(read, str) and unquoted(read) == text, (text, reported, read)


def test_plain_texts_have_no_quotes(controller, bridge, peer):
    bridge(controller, {**QUICK})
    assert get(peer, "link.host", "input.topic", "wire.json.x", "wire.json.y") == ["127.0.0.1", "target_pose", "x", "'y'"]


def test_start_from_dump_gives_same_bridge(controller, bridge, hand, peer, tmp_path):
    """The output of `ros2 param dump`: PyYAML's block style of the values of ~/get_parameters."""
    bridge(controller, QUICK).status.wait(state="CONNECTED")
    all_names = names(peer)
    values = dict(zip(all_names, get(peer, *all_names)))
    file = tmp_path / "dump.yaml"
    file.write_text(yaml.dump({"/again": {"ros__parameters": values}}, default_flow_style=False))
    bridge(controller, {}, ["--params-file", file, *remapped("/again")], "/again")
    assert dict(zip(all_names, get(peer, *all_names, node="/again"))) == values
    hand((0.2, 0.0, 0.1))
    controller.lines.wait(lambda line: line.data == command("200.0", "0.0", "100.0"))


@pytest.mark.parametrize("program", ["bridge", "hand_sim"])
@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"ROS_LOG_DIR": "/proc/1/x"}, ["'/proc/1/x'", "ROS_LOG_DIR is '/proc/1/x'"]),
        ({"ROS_LOG_DIR": "", "HOME": ""}, ["HOME is not set", "ROS_LOG_DIR is not set"]),
        ({"ROS_LOG_DIR": "", "ROS_HOME": "/proc/1/y"}, ["'/proc/1/y/log'", "ROS_HOME is '/proc/1/y'"]),
    ],
)
def test_unwritable_log_folder_is_named(program, environment, named):
    ended = subprocess.run(
        [EXECUTABLES / program], env=os.environ | environment, capture_output=True, text=True, timeout=30
    )
    assert ended.returncode == 1
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith((f"aether_{program}: ", f"{program}: "))]
    assert all(words in line for words in [*named, "Set ROS_LOG_DIR", "ROS failed: "]), line


def test_invalid_domain_is_named_without_panic():
    environment = os.environ | {"ROS_DOMAIN_ID": "lab"}
    ended = subprocess.run([EXECUTABLES / "bridge"], env=environment, capture_output=True, text=True, timeout=30)
    assert ended.returncode == 2
    assert "ROS does not start: " in ended.stderr and "ROS_DOMAIN_ID" in ended.stderr, ended.stderr
    assert "panicked" not in ended.stderr


@pytest.mark.parametrize("topic", ["a b", "/x/", "1x"])
def test_invalid_topic_name_is_a_wrong_parameter(launch, topic):
    started = launch({"input.topic": topic})
    assert started.wait() == 2
    assert any(f"the topic '{topic}' cannot be subscribed to" in line for line in started.log), started.log[:]


@pytest.mark.parametrize("program", ["bridge", "hand_sim"])
def test_argument_that_is_not_utf8_is_refused(program):
    ended = subprocess.run([EXECUTABLES / program, "--ros-args", "-p", b"link.host:=\xff"], capture_output=True, timeout=30)
    assert ended.returncode == 2
    assert b"is not UTF-8" in ended.stderr and b"panicked" not in ended.stderr
