"""Tests the installed launch files: their syntax, and what they start if launch is installed."""

import json
import os
import pathlib
import re
import signal
import socket
import textwrap

import pytest
from configurations import CONFIGURATIONS, SHARE, configuration, launch_arguments
from harness import GRIPPER_READERS, QUICK
from parameters import plain
from rcl_interfaces.srv import GetParameters
from ros2_command import needs_launch

SOURCES = sorted((pathlib.Path(__file__).parents[2] / "launch").glob("*.launch.py"))
DEFAULT_FILE = SHARE / "config" / "bridge.yaml"

# Arguments of a launch file from another package.
FOREIGN = {
    "host": "127.0.0.9",
    "port": "6000",
    "node_name": "controller_server",
    "target_topic": "/goal_pose",
    "gripper_topic": "/other/gripper",
    "respawn": "true",
}


def test_launch_files_exist():
    assert [path.name for path in SOURCES] == ["bridge.launch.py", "demo.launch.py"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_launch_file_parses_and_is_installed_unchanged(source):
    compile(source.read_text(), str(source), "exec")
    assert (SHARE / "launch" / source.name).read_text() == source.read_text()


@needs_launch
def test_every_bridge_argument_is_described(ros2):
    shown = ros2("launch", "aether_bridge", "bridge.launch.py", "--show-args")
    assert shown.wait() == 0
    names = {match[1] for line in shown.log if (match := re.match(r"    '(\w+)':", line))}
    own = {"host", "port", "params_file", "node_name", "target_topic", "gripper_topic", "assume_position", "respawn"}
    assert names == {f"aether_{name}" for name in own} | {"namespace", "use_sim_time", "log_level"}
    assert not [line for line in shown.log if "no description given" in line.lower()]


# What the launch files start


@needs_launch
def test_launched_bridge_moves_the_arm(launched, controller, hand):
    launched("bridge.launch.py", f"aether_port:={controller.port}", "aether_assume_position:=home")
    hand((0.2, 0.0, 0.2))
    controller.lines.wait_count(10)


@needs_launch
def test_launched_bridge_without_position_waits(launched, peer, controller, hand):
    launched("bridge.launch.py", f"aether_port:={controller.port}")
    hand((0.2, 0.0, 0.2))
    peer.status().wait(state="CONNECTED", motion="DISARMED", reason="the arm's position is unknown")
    assert values_of(peer, "/aether_bridge", "arm.assume_position") == ["none"]
    controller.lines.assert_none()


@needs_launch
def test_wrong_assumed_position_ends_the_launch(launched):
    running = launched("bridge.launch.py", "aether_assume_position:=there")
    assert running.wait() == 1
    assert [line for line in running.log if "'arm.assume_position' is 'there'" in line]


@needs_launch
def test_demo_moves_the_simulated_arm(launched, peer, free_port):
    launched("demo.launch.py", f"port:={free_port}")
    status = peer.status().wait(lambda status: status.acknowledged >= 10, state="CONNECTED")
    assert str(free_port) in status.peer


@needs_launch
def test_example_for_launch_files_runs(ros2, peer, tmp_path):
    docstring = compile((SHARE / "launch" / "bridge.launch.py").read_text(), "bridge.launch.py", "exec").co_consts[0]
    example = textwrap.dedent(docstring[docstring.index("    from launch") : docstring.index("\nA launch file that you include")])
    # Connect only to addresses of this machine.
    example = example.replace("192.168.1.20", "127.0.0.1").replace("192.168.1.21", "127.0.0.2")
    (tmp_path / "both.launch.py").write_text(example)
    ros2("launch", "--noninteractive", tmp_path / "both.launch.py")
    assert "127.0.0.1" in peer.status("/left/aether_bridge/link_status").wait().peer
    assert "127.0.0.2" in peer.status("/right/aether_bridge/link_status").wait().peer
    for topic in ("/ik/left", "/ik/right"):
        assert peer.node.count_subscribers(topic) == 1


@needs_launch
def test_launch_passes_the_substituted_arguments(launched, controller, tmp_path):
    log = launched("bridge.launch.py", f"aether_port:={controller.port}", "aether_gripper_topic:=/grip").log
    controller.connections.wait()
    command = pathlib.Path(f"/proc/{process_ids(log, 'bridge')[0]}/cmdline").read_text().split("\0")[1:-1]
    overrides = pathlib.Path(command[-3])
    assert command == [*launch_arguments(DEFAULT_FILE, overrides), "-r", "gripper:=/grip"]
    assert overrides.read_text() == f"/aether_bridge:\n  ros__parameters:\n    link.port: {controller.port}\n"


@needs_launch
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_every_shipped_configuration_launches_and_connects(launched, controller, name):
    launched("bridge.launch.py", f"aether_params_file:={configuration(name)}", f"aether_port:={controller.port}")
    controller.connections.wait()


# Arguments and the parameter file


@needs_launch
def test_given_host_and_port_override_the_file(launched, controllers, tmp_path):
    in_file, given = controllers(), controllers()
    file = parameters(tmp_path, **{"link.host": "127.0.0.1", "link.port": in_file.port})
    launched("bridge.launch.py", f"aether_params_file:={file}", "aether_node_name:=one")
    in_file.connections.wait()
    launched(
        "bridge.launch.py",
        f"aether_params_file:={file}",
        "aether_host:=localhost",
        f"aether_port:={given.port}",
        "aether_node_name:=other",
    )
    given.connections.wait()
    assert len(in_file.connections) == 1


@needs_launch
def test_name_namespace_and_gripper_topic_apply(launched, peer, controller):
    launched(
        "bridge.launch.py",
        f"aether_port:={controller.port}",
        "namespace:=left",
        "aether_node_name:=arm",
        "aether_gripper_topic:=/hand/pinch",
    )
    assert str(controller.port) in peer.status("/left/arm/link_status").wait().peer
    assert peer.node.count_subscribers("/left/target_pose") == 1
    assert peer.node.count_subscribers("/hand/pinch") == GRIPPER_READERS


@needs_launch
@pytest.mark.parametrize("in_file", [{}, {"input.topic": "/in/file"}], ids=["no topic in file", "topic in file"])
def test_given_target_topic_overrides_the_file(launched, peer, tmp_path, in_file):
    file = parameters(tmp_path, **in_file)
    launched("bridge.launch.py", f"aether_params_file:={file}", "aether_target_topic:=/ik/target")
    peer.status().wait()
    assert peer.node.count_subscribers("/ik/target") == 1
    assert peer.node.count_subscribers("/in/file") == peer.node.count_subscribers("/target_pose") == 0


@needs_launch
def test_file_sets_target_topic_by_default(launched, peer, tmp_path):
    file = parameters(tmp_path, **{"input.topic": "/in/file"})
    launched("bridge.launch.py", f"aether_params_file:={file}")
    peer.status().wait()
    assert peer.node.count_subscribers("/in/file") == 1


@needs_launch
@pytest.mark.parametrize("given", ["~/arm.yaml", "arm.yaml", "./arm.yaml"])
def test_parameter_file_path_may_be_relative(launched, controller, tmp_path, given):
    parameters(tmp_path, "arm.yaml", **{"link.port": controller.port})
    launched("bridge.launch.py", f"aether_params_file:={given}", HOME=str(tmp_path), folder=tmp_path)
    controller.connections.wait()


@needs_launch
@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("~/arm.yml", "{home}/arm.yml does not exist"),
        ("/nowhere/arm.yaml", "/nowhere/arm.yaml does not exist"),
        ("~unknown_user/arm.yaml", "/~unknown_user/arm.yaml does not exist"),
        ("folder", "{home}/folder is a directory"),
        ("pipe", "{home}/pipe is not a readable file"),
    ],
)
def test_unreadable_parameter_file_ends_the_launch(launched, tmp_path, given, named):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    running = launched("bridge.launch.py", f"aether_params_file:={given}", HOME=str(tmp_path), folder=tmp_path)
    assert running.wait() == 1
    message = next(line for line in running.log if "aether_params_file" in line)
    assert f"'{given}'" in message and named.format(home=tmp_path) in message
    assert process_ids(running.log, "bridge") == []


@needs_launch
def test_empty_parameter_file_argument_ends_the_launch(include, peer):
    running = include('include(aether_params_file="")')
    assert running.wait() == 1
    assert [line for line in running.log if "aether_params_file ''" in line and "is a directory" in line]


@needs_launch
def test_wrong_parameter_gives_exit_code(launched):
    running = launched("bridge.launch.py", "aether_port:=70000")
    assert running.wait() == 1
    assert [line for line in running.log if "the bridge ended with exit code 2: its arguments" in line]


# Together with other launch files


@needs_launch
def test_parent_arguments_do_not_reach_the_bridge(include, peer, controllers, tmp_path):
    own, foreign = controllers(), controllers()
    nav2 = parameters(tmp_path, "nav2.yaml", **{"link.port": foreign.port, "arm.base_frame": "map"})
    values = FOREIGN | {"params_file": str(nav2), "port": str(foreign.port), "host": "localhost"}
    declared = "".join(f"DeclareLaunchArgument({name!r}, default_value={value!r}), " for name, value in values.items())
    running = include(f"{declared}include(aether_port='{own.port}')")
    own.connections.wait()
    peer.status().wait()
    assert len(foreign.connections) == 0
    assert values_of(peer, "/aether_bridge", "link.host", "arm.base_frame") == ["127.0.0.1", "arm_base"]
    assert peer.node.count_subscribers("/target_pose") == 1
    assert peer.node.count_subscribers("/gripper") == GRIPPER_READERS
    for name in {"params_file", *FOREIGN} - {"port"}:
        assert [line for line in running.log if f"'{name}' is not" in line and f"'aether_{name}'" in line], name
    assert not [line for line in running.log if "'port' is not" in line]


@needs_launch
def test_arguments_do_not_leak_between_bridges(include, peer, controllers, tmp_path):
    left, right = controllers(), controllers()
    file = parameters(tmp_path, **{"limits.speed": 0.1})
    running = include(
        f"include(namespace='left', aether_port='{left.port}', aether_params_file={str(file)!r}, "
        "aether_target_topic='/ik/left', aether_gripper_topic='/grip/left', aether_node_name='arm'), "
        f"include(namespace='right', aether_port='{right.port}')"
    )
    left.connections.wait()
    right.connections.wait()
    peer.status("/left/arm/link_status").wait()
    peer.status("/right/aether_bridge/link_status").wait()
    assert values_of(peer, "/left/arm", "limits.speed", "input.topic") == [0.1, "/ik/left"]
    assert values_of(peer, "/right/aether_bridge", "limits.speed", "input.topic") == [0.25, "target_pose"]
    for topic in ("/ik/left", "/right/target_pose"):
        assert peer.node.count_subscribers(topic) == 1, topic
    for topic in ("/grip/left", "/right/gripper"):
        assert peer.node.count_subscribers(topic) == GRIPPER_READERS, topic
    dropped = [line for line in running.log if "was given to an earlier bridge" in line]
    assert len(dropped) == 4 and "aether_params_file" in "".join(dropped)


@needs_launch
def test_command_line_argument_applies_to_every_bridge(include, peer, tmp_path):
    typed, other = parameters(tmp_path, **{"limits.speed": 0.1}), parameters(tmp_path, "other", **{"limits.speed": 0.2})
    include(
        f"include(namespace='one'), include(namespace='two', aether_params_file={str(other)!r}), include(namespace='three')",
        f"aether_params_file:={typed}",
    )
    for name, speed in (("/one/aether_bridge", 0.1), ("/two/aether_bridge", 0.2), ("/three/aether_bridge", 0.1)):
        peer.status(f"{name}/link_status").wait()
        assert values_of(peer, name, "limits.speed") == [speed]


@needs_launch
def test_bridge_defaults_do_not_reach_other_nodes(include, peer):
    names = ["use_sim_time", "namespace", "log_level", "aether_host", "aether_respawn"]
    shown = ", ".join(f"LogInfo(msg=['{name}=', LaunchConfiguration('{name}', default='free')])" for name in names)
    running = include(f"include(), {shown}")
    for name in names:
        running.log.wait(lambda line, name=name: f"{name}=free" in line)
    peer.status().wait()


@needs_launch
def test_misspelt_argument_gives_warning(launched, peer):
    running = launched("bridge.launch.py", "aether_hots:=127.0.0.9", "port:=1", "log_level:=error")
    running.log.wait(lambda line: "'aether_hots' is not one of the bridge's; did you mean 'aether_host'?" in line)
    running.log.wait(lambda line: "'port' is not one of the bridge's; did you mean 'aether_port'?" in line)
    peer.status().wait()


# Programs that end


@needs_launch
def test_killed_bridge_is_restarted(launched, controllers):
    controller = controllers()
    running = launched("bridge.launch.py", f"aether_port:={controller.port}", "aether_respawn:=true")
    controller.connections.wait()
    # SIGTERM does not come from launch, so launch sees a bridge that ends by itself.
    os.kill(process_ids(running.log, "bridge")[0], signal.SIGTERM)
    controller.connections.wait_count(2)
    assert running.interrupt() == 0


@needs_launch
def test_invalid_respawn_value_is_named(launched):
    running = launched("bridge.launch.py", "aether_respawn:=yes")
    assert running.wait() == 1
    assert [line for line in running.log if "aether_respawn is 'yes'; it must be true or false" in line]


@needs_launch
def test_wrong_parameter_is_not_retried(launched):
    running = launched("bridge.launch.py", "aether_port:=70000", "aether_respawn:=true")
    assert running.wait() == 1
    assert len(process_ids(running.log, "bridge")) == 1
    assert [line for line in running.log if "'link.port' is 70000" in line and "which launch wrote" in line]
    assert [line for line in running.log if "not started again" in line and "arguments or parameters are wrong" in line]


@needs_launch
def test_interrupt_before_restart_ends_launch(launched, controller):
    running = launched("bridge.launch.py", f"aether_port:={controller.port}", "aether_respawn:=true")
    controller.connections.wait()
    os.kill(process_ids(running.log, "bridge")[0], signal.SIGTERM)
    running.log.wait(lambda line: "process has finished cleanly" in line)
    assert running.interrupt() == 0


@needs_launch
@pytest.mark.parametrize("timeout, parked", [(0.3, False), (30, True)])
def test_launch_waits_for_the_way_home(launched, peer, controller, hand, tmp_path, timeout, parked):
    home, away = (0.2, 0.0, 0.2), (0.23, 0.0, 0.2)
    # The way home takes more than a second.
    parameters = {**QUICK, "arm.home": list(home), "arm.park": True, "limits.approach_speed": 0.02}
    (tmp_path / "park.yaml").write_text(json.dumps({"/**": {"ros__parameters": parameters}}))
    controller.stand_at(parameters)
    running = launched(
        "bridge.launch.py",
        f"aether_port:={controller.port}",
        f"aether_params_file:={tmp_path / 'park.yaml'}",
        f"sigterm_timeout:={timeout}",
    )
    tracker = hand(home)
    peer.status().wait(motion="TRACKING")
    tracker.position = away
    controller.lines.wait(lambda line: line.position == away)
    running.interrupt()
    running.log.wait(lambda line: "the arm goes home first (arm.park)" in line)
    assert (controller.lines[controller.mark() - 1].position == home) is parked


@needs_launch
@pytest.mark.parametrize("program", ["arm_sim", "hand_sim", "bridge"])
def test_demo_ends_with_each_program(launched, peer, free_port, program):
    running = launched("demo.launch.py", f"port:={free_port}")
    peer.status().wait(state="CONNECTED")
    pids = {name: process_ids(running.log, name)[0] for name in ("arm_sim", "hand_sim", "bridge")}
    os.kill(pids[program], signal.SIGTERM)
    running.wait()
    assert [line for line in running.log if f"{program} ended with exit code" in line]
    assert not [name for name, pid in pids.items() if pathlib.Path(f"/proc/{pid}").exists()]


@needs_launch
def test_demo_fails_if_bridge_cannot_start(launched, free_port):
    running = launched("demo.launch.py", f"port:={free_port}", "aether_node_name:=bridge", "log_level:=loud")
    assert running.wait() == 1
    assert [line for line in running.log if "bridge ended with exit code 2: the demo ends" in line]


# Keeping messages on this machine


@needs_launch
@pytest.mark.parametrize(
    ("distribution", "variable", "expected"),
    [("humble", "ROS_LOCALHOST_ONLY", "1"), ("jazzy", "ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")],
)
def test_demo_stays_on_this_machine(launched, free_port, distribution, variable, expected):
    # setup.bash of Humble sets the variable to 0.
    running = launched("demo.launch.py", f"port:={free_port}", ROS_DISTRO=distribution, ROS_LOCALHOST_ONLY="0")
    for program in ("hand_sim", "bridge"):
        running.log.wait(lambda line, program=program: f"[{program}" in line and "started with pid" in line)
        variables = pathlib.Path(f"/proc/{process_ids(running.log, program)[0]}/environ").read_text().split("\0")
        assert f"{variable}={expected}" in variables
    shown = [line for line in running.log if "export ROS_LOCALHOST_ONLY=1" in line]
    assert len(shown) == (1 if distribution == "humble" else 0)


def process_ids(log, program):
    """Return the process ids of a program that a launch has started."""
    started = (re.search(rf"\[{program}-\d+\]: process started with pid \[(\d+)\]", line) for line in log)
    return [int(match[1]) for match in started if match]


def parameters(folder, name="parameters.yaml", **values):
    """Write a parameter file for every node."""
    lines = [f"    {name}: {value}\n" for name, value in values.items()]
    file = folder / name
    # With use_sim_time the file is never empty.
    file.write_text("/**:\n  ros__parameters:\n    use_sim_time: false\n" + "".join(lines))
    return file


def values_of(peer, node, *names):
    return [plain(value) for value in peer.call(GetParameters, f"{node}/get_parameters", names=names).values]


@pytest.fixture
def launched(ros2):
    """Start a launch file of the package."""
    return lambda file, *given, **options: ros2("launch", "--noninteractive", "aether_bridge", file, *given, **options)


@pytest.fixture
def include(ros2, tmp_path):
    """Start a launch file made of actions in Python.

    In it, include(…) is the bridge with arguments.
    """

    def start(actions, *given):
        file = tmp_path / "parent.launch.py"
        file.write_text(PARENT.format(actions=actions))
        return ros2("launch", "--noninteractive", file, *given)

    return start


PARENT = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, LogInfo
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.substitutions import FindPackageShare

def include(**arguments):
    source = PathJoinSubstitution([FindPackageShare("aether_bridge"), "launch", "bridge.launch.py"])
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())

def generate_launch_description():
    return LaunchDescription([{actions}])
"""


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
