"""Every `ros2` command in README.md, docs/, parameter files and launch files works as written."""

import pathlib
import re
import shlex
import socket

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from harness import GRIPPER_READERS
from parameters import get
from ros2_command import needs_commands, needs_launch

ROOT = pathlib.Path(__file__).parents[2]


def commands():
    """Return the commands as they are written, without their comments."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    pages = "".join(path.read_text() for path in pages)
    found = re.findall(r"^(ros2 .*)$", "".join(re.findall(r"^```sh\n(.*?)^```", pages, re.M | re.S)), re.M)
    heads = "".join(path.read_text() for path in sorted(ROOT.glob("config/*.yaml")))
    found += re.findall(r"^# +(ros2 .*)$", heads, re.M)
    for path in sorted(ROOT.glob("launch/*.launch.py")):
        found += re.findall(r"^    (ros2 .*)$", path.read_text(), re.M)
    found += re.findall(r"`(ros2 [^`]*)`", pages + heads)
    # Three words are only the name of a command, like `ros2 topic pub`. Three dots mean that words
    # are left out.
    found = [command for command in found if len(command.split()) > 3 and "…" not in command]
    # These need sros2, which is not on PyPI. tests/ros/test_security.py starts a bridge with an
    # enclave.
    found = [command for command in found if not re.search(r"^ros2 security|--enclave", command)]
    return sorted({command.split(" #")[0].strip() for command in found})


def starts_a_bridge(bench, words):
    """A launch for a controller.

    The address of the test's controller replaces the written address.
    """
    here = {"aether_host:": "127.0.0.1", "aether_port:": bench.controller.port}
    given = [f"{name}={here.get(name, value)}" for name, value in (word.split("=", 1) for word in words[4:])]
    if not any(word.startswith("aether_port:=") for word in given):
        given.append(f"aether_port:={bench.controller.port}")
    bench.run(*words[1:4], *given)
    bench.controller.connections.wait()


def starts_a_bridge_on_other_topics(bench, words):
    starts_a_bridge(bench, words)
    bench.peer.status().wait()
    assert bench.peer.node.count_subscribers("/ik/target") == 1
    assert bench.peer.node.count_subscribers("/hand/closed") == GRIPPER_READERS


def starts_a_bridge_with_a_file(bench, words):
    file = bench.folder / "yours.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    link.port: {bench.controller.port}\n    limits.speed: 0.1\n")
    bench.run(*(word.replace("/path/to/yours.yaml", str(file)) for word in words[1:]))
    bench.controller.connections.wait()
    assert get(bench.peer, "limits.speed") == [0.1]


def starts_the_demo(bench, words):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    bench.run(*words[1:], f"port:={port}")
    bench.peer.status().wait(lambda status: status.acknowledged > 10)


def shows_the_status(bench, words):
    bench.start_bridge()
    echo = bench.run(*words[1:], "--no-daemon", "--spin-time", "10")
    for field in ("state: ", "motion: ", "reason: "):
        echo.log.wait(lambda line, field=field: line.startswith(field))


def shows_the_reason(bench, words):
    bench.start_bridge()
    echo = bench.run(*words[1:], "--no-daemon", "--spin-time", "10")
    echo.log.wait(lambda line: "target" in line)


def starts_a_controller_with_a_token(bench, words):
    bench.run(*words[1:], "--port", "0").log.wait(lambda line: "127.0.0.1" in line)


def checks_the_controller(bench, words):
    simulated = bench.arm_sim()
    here = {"192.168.1.50": "127.0.0.1", "5000": str(simulated.port)}
    # There is no operator to confirm.
    check = bench.run(*(here.get(word, word) for word in words[1:]), "--gripper", "open", "--yes")
    assert check.wait() == 0
    assert not [line for line in check.log if "WRONG" in line]


def prints_its_help(bench, words):
    printed = bench.run(*words[1:])
    assert printed.wait() == 0
    assert [line for line in printed.log if "--fault" in line]


def sets_the_speed(bench, words):
    bench.start_bridge()
    assert bench.output(words) == ["Set parameter successful"]
    assert get(bench.peer, "limits.speed") == [0.1]


def sets_the_host_while_disarmed(bench, words):
    started = bench.start_in_motion()
    (refused,) = bench.output(words)
    assert "Setting parameter failed" in refused and "cannot change while armed" in refused
    bench.output(["ros2", "service", "call", "/aether_bridge/set_armed", "std_srvs/srv/SetBool", "{data: false}"])
    started.status.wait(motion="DISARMED")
    assert bench.output([word.replace("192.168.1.51", "localhost") for word in words]) == ["Set parameter successful"]
    bench.controller.connections.wait_count(2)


def sets_any_parameter(bench, words):
    bench.start_bridge()
    values = {"NAME": "limits.speed", "VALUE": "0.2"}
    assert bench.output([values.get(word, word) for word in words]) == ["Set parameter successful"]
    assert get(bench.peer, "limits.speed") == [0.2]


def describes_a_parameter(bench, words):
    bench.start_bridge()
    described = bench.output([word.replace("NAME", "limits.speed") for word in words])
    assert described[0] == "Parameter name: limits.speed" and "Description: " in "".join(described)


def arms(bench, words):
    started = bench.start_in_motion(**{"teleop.arming": "operator"}, motion="DISARMED", reason="set_armed")
    assert any("success=True" in line for line in bench.output(words))
    started.status.wait(motion="TRACKING")


def disarms(bench, words):
    started = bench.start_in_motion()
    assert any("success=True" in line for line in bench.output(words))
    started.status.wait(motion="DISARMED")


def publishes_a_frame(bench, words):
    needs_package("tf2_ros")
    bench.run(*words[1:])
    messages = pytest.importorskip("tf2_msgs.msg")
    from harness import LATCHED

    frames = bench.peer.record(messages.TFMessage, "/tf_static", LATCHED).wait().transforms
    assert [(frame.header.frame_id, frame.child_frame_id) for frame in frames] == [("arm_base", "camera")]


def draws_the_frames(bench, words):
    needs_package("tf2_tools")
    assert bench.run(*words[1:]).wait() == 0


def needs_package(name):
    try:
        get_package_prefix(name)
    except PackageNotFoundError:
        pytest.skip(f"this ROS has no package {name}: on Ubuntu, sudo apt install ros-$ROS_DISTRO-{name.replace('_', '-')}")


LAUNCH = "ros2 launch aether_bridge bridge.launch.py"
RUN = {
    f"{LAUNCH} aether_host:=192.168.1.50 aether_port:=5000 aether_assume_position:=home": starts_a_bridge,
    f"{LAUNCH} aether_host:=192.168.1.20 aether_port:=5000": starts_a_bridge,
    f"{LAUNCH} aether_target_topic:=/ik/target aether_gripper_topic:=/hand/closed": starts_a_bridge_on_other_topics,
    f"{LAUNCH} aether_params_file:=/path/to/yours.yaml": starts_a_bridge_with_a_file,
    "ros2 launch aether_bridge demo.launch.py": starts_the_demo,
    "ros2 topic echo /aether_bridge/link_status": shows_the_status,
    "ros2 topic echo /aether_bridge/link_status --field reason": shows_the_reason,
    "ros2 run aether_bridge arm_sim --token sesame": starts_a_controller_with_a_token,
    "ros2 run aether_bridge arm_check 192.168.1.50 5000 --at 200 0 200": checks_the_controller,
    "ros2 run aether_bridge arm_sim --help": prints_its_help,
    "ros2 param set /aether_bridge limits.speed 0.1": sets_the_speed,
    "ros2 param set /aether_bridge link.host 192.168.1.51": sets_the_host_while_disarmed,
    "ros2 param set /aether_bridge NAME VALUE": sets_any_parameter,
    "ros2 param describe /aether_bridge NAME": describes_a_parameter,
    "ros2 param describe /aether_bridge limits.speed": describes_a_parameter,
    'ros2 service call /aether_bridge/set_armed std_srvs/srv/SetBool "{data: true}"': arms,
    'ros2 service call /aether_bridge/set_armed std_srvs/srv/SetBool "{data: false}"': disarms,
    "ros2 run tf2_ros static_transform_publisher --x 0.5 --z 0.4 --yaw 1.57 --frame-id arm_base --child-frame-id camera": publishes_a_frame,
    "ros2 run tf2_tools view_frames": draws_the_frames,
}


def test_every_documented_command_is_tested():
    assert commands() == sorted(RUN)


@needs_commands
@needs_launch
@pytest.mark.parametrize("command", RUN)
def test_command_works_as_documented(bench, command):
    RUN[command](bench, shlex.split(command))


class Bench:
    """The nodes and programs for trying the commands."""

    def __init__(self, peer, controller, arm_sim, hand, start_bridge, ros2, folder):
        self.peer, self.controller, self.arm_sim, self.hand, self.folder = peer, controller, arm_sim, hand, folder
        self._start_bridge, self._ros2 = start_bridge, ros2

    def start_bridge(self, **parameters):
        return self._start_bridge(self.controller, {"link.heartbeat.period": 60.0, **parameters})

    def start_in_motion(self, motion="TRACKING", reason="", **parameters):
        """Start a bridge with a hand. Return it when it is in that motion."""
        started = self.start_bridge(**parameters)
        self.hand((0.2, 0.0, 0.2))
        started.status.wait(motion=motion, reason=reason)
        return started

    def run(self, *words):
        """Start the command."""
        return self._ros2(*words, folder=self.folder)

    def output(self, words):
        """Run the command to its end without a daemon. Return its lines."""
        options = ["--no-daemon", "--timeout", "10"] if words[1] == "param" else []
        finished = self.run(*words[1:], *options)
        finished.wait()
        return [line for line in finished.log if line]


@pytest.fixture
def bench(peer, controller, arm_sim, hand, bridge, ros2, tmp_path):
    return Bench(peer, controller, arm_sim, hand, bridge, ros2, tmp_path)
