"""The bridge, alone or included beside a tracker, an IK node or a simulator.

    ros2 launch aether_bridge bridge.launch.py aether_host:=192.168.1.20 aether_port:=5000

A launch file of your own includes it with the same names. This one starts two bridges:

    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription
    from launch.substitutions import PathJoinSubstitution
    from launch_ros.substitutions import FindPackageShare

    def bridge(**arguments):
        source = PathJoinSubstitution([FindPackageShare("aether_bridge"), "launch", "bridge.launch.py"])
        return IncludeLaunchDescription(source, launch_arguments=arguments.items())

    def generate_launch_description():
        return LaunchDescription([
            bridge(namespace="left", aether_host="192.168.1.20", aether_target_topic="/ik/left"),
            bridge(namespace="right", aether_host="192.168.1.21", aether_target_topic="/ik/right"),
        ])

An included launch file sees every argument of the launch file around it. So the arguments of the bridge begin with
"aether_": it does not read the `params_file` or dial the `host` of another package. (Not with "bridge_", because
ros_gz_bridge has a `bridge_name`.) `namespace`, `use_sim_time` and `log_level` have the names that all ROS launch files
use, because a whole launch shares them.
"""

import os
from difflib import get_close_matches

from launch import LaunchContext, LaunchDescription, logging
from launch.actions import DeclareLaunchArgument, EmitEvent, GroupAction, OpaqueFunction
from launch.conditions import InvalidConditionExpressionError, evaluate_condition_expression
from launch.event_handlers import OnShutdown
from launch.events import Shutdown, matches_action
from launch.events.process import ProcessExited, ShutdownProcess
from launch.substitutions import PathJoinSubstitution, TextSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

PACKAGE = "aether_bridge"
PREFIX = "aether_"

# An empty one changes nothing: the parameter file, or the default of the node, decides.
ARGUMENTS = [
    DeclareLaunchArgument("aether_host", default_value="", description="Name or address of the arm controller."),
    DeclareLaunchArgument("aether_port", default_value="", description="Port of the arm controller."),
    DeclareLaunchArgument(
        "aether_params_file",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "bridge.yaml"]),
        description="YAML file with the parameters of the bridge. '~' is expanded; a relative path starts at the folder in which ros2 launch runs.",
    ),
    DeclareLaunchArgument("aether_node_name", default_value="aether_bridge", description="Name of the node."),
    DeclareLaunchArgument(
        "aether_target_topic",
        default_value="",
        description="Topic with the target of the tool centre point. If it is given, it replaces input.topic of the parameter file.",
    ),
    DeclareLaunchArgument(
        "aether_gripper_topic", default_value="", description="Topic with the gripper. If it is empty: gripper."
    ),
    DeclareLaunchArgument(
        "aether_assume_position",
        default_value="",
        description="home: the arm stands at arm.home now. last: it stays where the last accepted command put it. none: a person has to say where it is. For a controller that does not report where its arm is.",
    ),
    DeclareLaunchArgument(
        "aether_respawn",
        default_value="false",
        description="true: start the bridge again 2 s after it has ended, unless its arguments or parameters are wrong. If the controller does not report where its arm is, a person has to say so after that: see docs/safety.md.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and its topics."),
    DeclareLaunchArgument("use_sim_time", default_value="", description="true: take the time from /clock."),
    DeclareLaunchArgument("log_level", default_value="info", description="debug, info, warn, error or fatal."),
]
OWN = [argument.name for argument in ARGUMENTS if argument.name.startswith(PREFIX)]

# Ends that come back however often the bridge is started, by exit code.
IN_VAIN = {
    2: "its arguments or parameters are wrong",
    127: "a shared library was not found: source the setup.bash of its package",
}

log = logging.get_logger(PACKAGE)


def generate_launch_description() -> LaunchDescription:
    # In a group, so that the defaults of these arguments do not become those of the launch files that come after.
    scoped = GroupAction([OpaqueFunction(function=check_names), *ARGUMENTS, OpaqueFunction(function=bridge)])
    return LaunchDescription([scoped, OpaqueFunction(function=mark_as_taken)])


class Taken(str):
    """The value of an argument that a bridge of this launch has taken. launch keeps it for what is included next."""

    taken = True


def check_names(context: LaunchContext) -> None:
    """Drops what was given to an earlier bridge, and warns of names that look like ours but are not."""
    values, typed = context.launch_configurations, command_line(context)
    for name in OWN:
        # Not isinstance: each include of this file has a class of its own.
        if getattr(values.get(name), "taken", False):
            if name in typed:
                values[name] = typed[name]
            else:
                log.warning(
                    f"{name} '{values.pop(name)}' was given to an earlier bridge of this launch, and this one takes its "
                    f"default. If it shall have the same, give it {name} too."
                )
    for name in values.keys() - OWN:
        if PREFIX + name in OWN:
            meant = [PREFIX + name]
        else:
            meant = get_close_matches(name, OWN, 1, 0.8) if name.startswith(PREFIX) else []
        if meant and meant[0] not in values:
            log.warning(f"launch argument '{name}' is not one of the bridge's; did you mean '{meant[0]}'?")


def mark_as_taken(context: LaunchContext) -> None:
    """Marks the arguments that were given to this bridge alone."""
    values, typed = context.launch_configurations, command_line(context)
    for name in OWN:
        if name in values and values[name] != typed.get(name):
            values[name] = Taken(values[name])


def command_line(context: LaunchContext) -> dict[str, str]:
    """The arguments that were given to ros2 launch. They hold for every bridge of the launch."""
    return dict(argument.split(":=", 1) for argument in context.argv if ":=" in argument)


def bridge(context: LaunchContext) -> list[Node]:
    """The node, once the arguments have their values."""
    values = context.launch_configurations
    # Text stays text whatever it looks like. A port or a flag is what it looks like: the bridge refuses wrong ones.
    overrides = {
        "link.host": (str, values["aether_host"]),
        "link.port": (None, values["aether_port"]),
        "input.topic": (str, values["aether_target_topic"]),
        "arm.assume_position": (str, values["aether_assume_position"]),
        "use_sim_time": (None, values["use_sim_time"]),
    }
    given = {
        name: ParameterValue([TextSubstitution(text=value)], value_type=kind)
        for name, (kind, value) in overrides.items()
        if value != ""
    }
    gripper_topic = values["aether_gripper_topic"]
    respawn = true_or_false(context, "aether_respawn")
    return [
        Node(
            package=PACKAGE,
            executable="bridge",
            name=values["aether_node_name"],
            namespace=values["namespace"],
            parameters=[readable(values["aether_params_file"]), *([given] if given else [])],
            remappings=[("gripper", gripper_topic)] if gripper_topic != "" else [],
            ros_arguments=["--log-level", values["log_level"]],
            respawn=respawn,
            respawn_delay=2.0,
            on_exit=lambda event, context: ended(event, context, respawn),
            output="screen",
        )
    ]


def true_or_false(context: LaunchContext, name: str) -> bool:
    """The value of an argument, or an error that names it: that of launch does not."""
    value = context.launch_configurations[name]
    try:
        return evaluate_condition_expression(context, [TextSubstitution(text=value)])
    except InvalidConditionExpressionError:
        raise RuntimeError(f"{name} is '{value}'; it must be true or false") from None


def readable(given: str) -> str:
    """The path of the parameter file, or an error that ends the launch: launch itself would start without the file."""
    path = os.path.abspath(os.path.expanduser(given))
    if os.path.isfile(path) and os.access(path, os.R_OK):
        return path
    reason = "is a directory" if os.path.isdir(path) else "is no readable file" if os.path.exists(path) else "does not exist"
    raise RuntimeError(f"aether_params_file '{given}': {path} {reason}. Give the path of a YAML file.")


def ended(event: ProcessExited, context: LaunchContext, respawn: bool) -> list[EmitEvent]:
    """What follows the end of the bridge. launch would start it again whatever its exit code."""
    code = event.returncode
    if code == 0 or context.is_shutdown or (respawn and code not in IN_VAIN):
        return []
    reason = f"the bridge ended with exit code {code}"
    if code in IN_VAIN:
        reason += f": {IN_VAIN[code]}"

    def fail(_event: Shutdown, _context: LaunchContext) -> None:
        raise RuntimeError(reason)

    # So that ros2 launch ends with an exit code too, but only once the rest of the launch has ended. At the end of the
    # list, because an error keeps the handlers after it from being called.
    context.register_event_handler(OnShutdown(on_shutdown=fail), append=True)
    if not respawn:
        return []
    log.error(f"{reason}. It is not started again, because it would end in the same way.")
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]
