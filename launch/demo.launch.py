"""Start a simulated arm controller, a simulated hand, and the bridge between them, on this machine.

    ros2 launch aether_bridge demo.launch.py
    ros2 topic echo /aether_bridge/link_status
"""

import atexit
import os
import shutil
import tempfile

from launch import Action, LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    LogInfo,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

PACKAGE = "aether_bridge"
PROGRAMS = ["arm_sim", "hand_sim", "bridge"]


def generate_launch_description() -> LaunchDescription:
    host, port, namespace = "127.0.0.1", LaunchConfiguration("port"), LaunchConfiguration("namespace")
    # A plain process, because the simulated controller is not a ROS node and accepts no ROS
    # arguments.
    controller = ExecuteProcess(
        cmd=[
            PathJoinSubstitution([FindPackagePrefix(PACKAGE), "lib", PACKAGE, "arm_sim"]),
            "--host",
            host,
            "--port",
            port,
            "--report-state",
        ],
        name="arm_sim",
        output="screen",
    )
    hand = Node(package=PACKAGE, executable="hand_sim", name="hand_sim", namespace=namespace, output="screen")
    bridge = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "bridge.launch.py"]),
        launch_arguments={
            "aether_host": host,
            "aether_port": port,
            # With this file the bridge asks the controller for the position of the arm. Otherwise
            # an operator would have to confirm it.
            "aether_params_file": PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "demo.yaml"]),
            "aether_target_topic": "target_pose",
            "aether_gripper_topic": "gripper",
            "namespace": namespace,
        }.items(),
    )
    return LaunchDescription(
        [
            *only_this_machine(),
            SetEnvironmentVariable("XDG_STATE_HOME", state_folder()),
            DeclareLaunchArgument("port", default_value="5000", description="TCP port of the simulated controller."),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the nodes and topics."),
            RegisterEventHandler(OnProcessExit(on_exit=ended)),
            controller,
            hand,
            bridge,
        ]
    )


def state_folder() -> str:
    """Return a temporary state folder. In a permanent one, a killed demo would leave a stop."""
    folder = tempfile.mkdtemp(prefix="aether_demo_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def only_this_machine() -> list[Action]:
    """Keep the demo on this machine, so that it never moves a real robot."""
    # Distributions before Iron know only this variable. Their setup.bash sets it to 0.
    if os.environ.get("ROS_DISTRO") in ("foxy", "galactic", "humble"):
        hint = "This demo stays on this machine. To see it in another terminal, run there: export ROS_LOCALHOST_ONLY=1"
        return [SetEnvironmentVariable("ROS_LOCALHOST_ONLY", "1"), LogInfo(msg=hint)]
    discovery_range = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    return [SetEnvironmentVariable("ROS_AUTOMATIC_DISCOVERY_RANGE", discovery_range)]


def ended(event: ProcessExited, context: LaunchContext) -> list[Action]:
    """End the demo when one of its programs ends. If the program failed, the demo fails too."""
    program = event.process_name.rsplit("-", 1)[0]
    if program not in PROGRAMS or context.is_shutdown:
        return []
    reason = f"{program} ended with exit code {event.returncode}: the demo ends"
    if event.returncode != 0:
        raise RuntimeError(reason)
    return [LogInfo(msg=reason), Shutdown(reason=reason)]
