"""The installed launch files: that they are Python in any case, and what they start where ros2 launch is installed."""

import importlib.util
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

import pytest
import rclpy
from aether_bridge.msg import LinkStatus
from ament_index_python.packages import get_package_share_directory
from rclpy.qos import DurabilityPolicy, QoSProfile

SOURCES = sorted((pathlib.Path(__file__).parents[2] / "launch").glob("*.launch.py"))
INSTALLED = pathlib.Path(get_package_share_directory("aether_bridge"), "launch")

missing = [name for name in ("launch_ros", "ros2launch") if importlib.util.find_spec(name) is None]
missing += [] if shutil.which("ros2") else ["ros2"]
needs_launch = pytest.mark.skipif(bool(missing), reason=f"this ROS has no {', '.join(missing)}")

# Far beyond what anything here takes: only a test that would fail anyway waits so long.
PATIENCE = 30.0


def test_there_are_launch_files():
    assert [path.name for path in SOURCES] == ["bridge.launch.py", "demo.launch.py"]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_a_launch_file_is_python_and_installed_as_it_is(source):
    compile(source.read_text(), str(source), "exec")
    assert (INSTALLED / source.name).read_text() == source.read_text()


@needs_launch
def test_the_bridge_offers_its_arguments_and_says_what_they_mean():
    shown = subprocess.run(
        ["ros2", "launch", "aether_bridge", "bridge.launch.py", "--show-args"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout
    names = "params_file host port namespace node_name target_topic gripper_topic use_sim_time log_level respawn"
    assert [name for name in names.split() if f"'{name}':" not in shown] == []
    assert "No description given" not in shown


@needs_launch
def test_host_and_port_override_the_parameter_file_only_when_given(ros, controller, launch, tmp_path):
    in_file, given = controller(), controller()
    parameters = tmp_path / "bridge.yaml"
    parameters.write_text(
        f"/**:\n  ros__parameters:\n    host: 127.0.0.1\n    port: {in_file.getsockname()[1]}\n"
    )

    launch("bridge.launch.py", f"params_file:={parameters}")
    in_file.accept()[0].close()

    launch("bridge.launch.py", f"params_file:={parameters}", "host:=localhost", f"port:={given.getsockname()[1]}")
    given.accept()[0].close()


@needs_launch
def test_the_bridge_takes_the_name_the_namespace_and_the_topics_given(ros, controller, launch):
    port = controller().getsockname()[1]
    launch(
        "bridge.launch.py",
        f"port:={port}",
        "namespace:=left",
        "node_name:=arm",
        "target_topic:=/ik/pose",
        "gripper_topic:=/hand/pinch",
    )
    status = ros.wait_for_status("/left/arm/link_status", lambda status: True)
    assert str(port) in status.peer
    ros.wait_until(lambda node: node.count_subscribers("/ik/pose") == node.count_subscribers("/hand/pinch") == 1)


@needs_launch
def test_the_demo_moves_the_simulated_arm(ros, free_port, launch):
    launch("demo.launch.py", f"port:={free_port}")
    status = ros.wait_for_status("/aether_bridge/link_status", lambda status: status.acknowledged >= 10)
    assert status.state == LinkStatus.CONNECTED
    assert str(free_port) in status.peer


class Ros:
    """A node of the test's own, that waits for what others do."""

    def __init__(self, context):
        self.node = rclpy.create_node("test_launch", context=context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=context)
        self.executor.add_node(self.node)

    def wait_until(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition(self.node):
            assert time.monotonic() < deadline, "it never happened"
            self.executor.spin_once(timeout_sec=0.1)

    def wait_for_status(self, topic, condition):
        """The first LinkStatus on the topic that fulfils the condition."""
        seen = []
        latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.node.create_subscription(LinkStatus, topic, seen.append, latched)
        self.wait_until(lambda _: any(map(condition, seen)))
        return next(filter(condition, seen))


@pytest.fixture
def ros():
    context = rclpy.Context()
    rclpy.init(context=context)
    yield Ros(context)
    rclpy.shutdown(context=context)


@pytest.fixture
def controller():
    """Makes listening sockets where a controller would listen."""
    sockets = []

    def listen():
        sockets.append(socket.create_server(("127.0.0.1", 0)))
        sockets[-1].settimeout(PATIENCE)
        return sockets[-1]

    yield listen
    for listener in sockets:
        listener.close()


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def launch():
    """Starts ros2 launch, and at the end of the test stops it as Ctrl-C would."""
    processes = []

    def start(file, *arguments):
        command = ["ros2", "launch", "--noninteractive", "aether_bridge", file, *arguments]
        processes.append(subprocess.Popen(command, start_new_session=True))

    yield start
    try:
        for process in processes:
            process.send_signal(signal.SIGINT)
        codes = [process.wait(PATIENCE) for process in processes]
    except subprocess.TimeoutExpired:
        for process in processes:
            os.killpg(process.pid, signal.SIGKILL)
        raise
    assert codes == [0] * len(codes)
