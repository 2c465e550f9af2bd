"""A simulated arm controller, a simulated hand, and the bridge between: everything on this machine.

    ros2 launch aether_bridge demo.launch.py
    ros2 topic echo /aether_bridge/link_status
"""

import os

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackagePrefix, FindPackageShare

PACKAGE = "aether_bridge"


def generate_launch_description() -> LaunchDescription:
    host, port, namespace = "127.0.0.1", LaunchConfiguration("port"), LaunchConfiguration("namespace")
    # The controller is no ROS node, and so takes no ROS arguments.
    controller = ExecuteProcess(
        cmd=[
            PathJoinSubstitution([FindPackagePrefix(PACKAGE), "lib", PACKAGE, "arm_sim"]),
            "--host",
            host,
            "--port",
            port,
        ],
        name="arm_sim",
        output="screen",
        on_exit=Shutdown(reason="the simulated controller ended"),
    )
    hand = Node(
        package=PACKAGE,
        executable="hand_sim",
        name="hand_sim",
        namespace=namespace,
        output="screen",
        on_exit=Shutdown(reason="the simulated hand ended"),
    )
    bridge = IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "bridge.launch.py"]),
        launch_arguments={
            "host": host,
            "port": port,
            "namespace": namespace,
            "target_topic": "target_pose",
            "gripper_topic": "gripper",
        }.items(),
    )
    return LaunchDescription(
        [
            # A demo never reaches a robot in the lab.
            SetEnvironmentVariable(
                "ROS_AUTOMATIC_DISCOVERY_RANGE", os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
            ),
            DeclareLaunchArgument("port", default_value="5000", description="TCP port of the simulated controller."),
            DeclareLaunchArgument("namespace", default_value="", description="Namespace of the nodes and topics."),
            controller,
            hand,
            bridge,
        ]
    )
