"""The bridge, alone or included beside a tracker, an IK node or a simulator.

    ros2 launch aether_bridge bridge.launch.py host:=192.168.1.20 port:=5000 target_topic:=/ik/tool_pose

From another launch file, with the same names:

    IncludeLaunchDescription(
        PathJoinSubstitution([FindPackageShare("aether_bridge"), "launch", "bridge.launch.py"]),
        launch_arguments={"host": "192.168.1.20", "target_topic": "/ik/tool_pose"}.items(),
    )
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import evaluate_condition_expression
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "aether_bridge"

# Left empty, the first three change nothing: the parameter file, or the node's own default, decides.
ARGUMENTS = [
    DeclareLaunchArgument("host", default_value="", description="Name or address of the arm controller."),
    DeclareLaunchArgument("port", default_value="", description="TCP port of the arm controller."),
    DeclareLaunchArgument("use_sim_time", default_value="", description="true: take the time from /clock."),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "bridge.yaml"]),
        description="YAML file with the parameters of the bridge.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics."),
    DeclareLaunchArgument("node_name", default_value="aether_bridge", description="Name of the node."),
    DeclareLaunchArgument(
        "target_topic", default_value="target_pose", description="Topic with the target of the tool centre point."
    ),
    DeclareLaunchArgument("gripper_topic", default_value="gripper", description="Topic with the gripper."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
    DeclareLaunchArgument("respawn", default_value="false", description="true: start the bridge again if it ends. It then takes the arm to be at home: see docs/safety.md."),
]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=bridge)])


def bridge(context: LaunchContext) -> list[Node]:
    """The node, once the arguments have their values."""
    # A string whatever it looks like, whereas a port or a flag is what it looks like: the bridge refuses wrong ones.
    overrides = {
        "host": ParameterValue(LaunchConfiguration("host"), value_type=str),
        "port": LaunchConfiguration("port"),
        "use_sim_time": LaunchConfiguration("use_sim_time"),
    }
    given = {name: value for name, value in overrides.items() if LaunchConfiguration(name).perform(context) != ""}
    respawn = [TextSubstitution(text=LaunchConfiguration("respawn").perform(context))]
    return [
        Node(
            package=PACKAGE,
            executable="bridge",
            name=LaunchConfiguration("node_name"),
            namespace=LaunchConfiguration("namespace"),
            parameters=[LaunchConfiguration("params_file"), *([given] if given else [])],
            remappings=[
                ("target_pose", LaunchConfiguration("target_topic")),
                ("gripper", LaunchConfiguration("gripper_topic")),
            ],
            ros_arguments=["--log-level", LaunchConfiguration("log_level")],
            respawn=evaluate_condition_expression(context, respawn),
            respawn_delay=2.0,
            output="screen",
        )
    ]
