"""Start the bridge, alone or included in the launch file of a tracker, an IK node or a simulator.

    ros2 launch aether_bridge bridge.launch.py aether_host:=192.168.1.20 aether_port:=5000

Your own launch file can include it with the same arguments. This example starts two bridges:

    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription
    from launch.substitutions import PathJoinSubstitution
    from launch_ros.substitutions import FindPackageShare

    def bridge(**arguments):
        share = FindPackageShare("aether_bridge")
        source = PathJoinSubstitution([share, "launch", "bridge.launch.py"])
        return IncludeLaunchDescription(source, launch_arguments=arguments.items())

    def generate_launch_description():
        hosts = {"left": "192.168.1.20", "right": "192.168.1.21"}
        return LaunchDescription([
            bridge(namespace=side, aether_host=host, aether_target_topic=f"/ik/{side}")
            for side, host in hosts.items()
        ])

A launch file that you include sees every argument of your launch file. Your file may have a
`params_file` or a `host` for another package. The bridge must not use them, so its arguments begin
with "aether_". ("bridge_" is not possible, because ros_gz_bridge has a `bridge_name`.)
`namespace`, `use_sim_time` and `log_level` have their usual names, because all nodes of a launch
share them.
"""

import os
import uuid
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

# If an argument is empty, the parameter file or the default of the node applies.
ARGUMENTS = [
    DeclareLaunchArgument("aether_host", default_value="", description="Name or address of the arm's controller."),
    DeclareLaunchArgument("aether_port", default_value="", description="Port of the arm's controller."),
    DeclareLaunchArgument(
        "aether_params_file",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "bridge.yaml"]),
        description="YAML file with the parameters of the bridge. '~' is expanded. A relative path starts in the folder in which you run ros2 launch.",
    ),
    DeclareLaunchArgument("aether_node_name", default_value="aether_bridge", description="Name of the node."),
    DeclareLaunchArgument(
        "aether_target_topic",
        default_value="",
        description="Topic with the targets. It replaces input.topic of the parameter file.",
    ),
    DeclareLaunchArgument(
        "aether_gripper_topic", default_value="", description="Topic that controls the gripper. Empty: the topic gripper."
    ),
    DeclareLaunchArgument(
        "aether_assume_position",
        default_value="",
        description="Assumed position of the arm, if the controller does not report it. home: the arm is at arm.home when the bridge starts. last: the arm stays at the last accepted command. none: unknown; after two calls of ~/set_armed the arm moves to arm.home at the controller's own speed. Empty: as in the parameter file.",
    ),
    DeclareLaunchArgument(
        "aether_respawn",
        default_value="false",
        description="true: start the bridge again 2 s after it has ended, unless its arguments or parameters are wrong. After such a restart the arm does not move until an operator arms the bridge. If the controller does not report the position of the arm, the operator must also confirm the position: see docs/safety.md.",
    ),
    DeclareLaunchArgument("namespace", default_value="", description="Namespace of the node and of its topics."),
    DeclareLaunchArgument("use_sim_time", default_value="", description="true: use the time on /clock."),
    DeclareLaunchArgument("log_level", default_value="info", description="Log level: debug, info, warn, error or fatal."),
]
OWN = [argument.name for argument in ARGUMENTS if argument.name.startswith(PREFIX)]

# Exit codes after which a new start would fail in the same way.
PERMANENT_FAILURES = {
    2: "its arguments or parameters are wrong",
    127: "a shared library was not found: source the setup.bash of its package",
}

log = logging.get_logger(PACKAGE)


def generate_launch_description() -> LaunchDescription:
    # In a group, so that later launch files do not get the defaults of these arguments.
    scoped = GroupAction([OpaqueFunction(function=check_names), *ARGUMENTS, OpaqueFunction(function=bridge)])
    return LaunchDescription([scoped, OpaqueFunction(function=mark_as_used)])


class Used(str):
    """A value that was given to an earlier bridge of this launch. launch keeps it."""

    used = True


def check_names(context: LaunchContext) -> None:
    """Drop the arguments of an earlier bridge, and warn about misspelt names."""
    values, typed = context.launch_configurations, command_line(context)
    for name in OWN:
        # Not isinstance, because each include of this file defines its own class.
        if getattr(values.get(name), "used", False):
            if name in typed:
                values[name] = typed[name]
            else:
                log.warning(
                    f"{name} '{values.pop(name)}' was given to an earlier bridge of this launch. This bridge uses the "
                    f"default. To use the same value, give {name} to this bridge too."
                )
    for name in values.keys() - OWN:
        if PREFIX + name in OWN:
            meant = [PREFIX + name]
        else:
            meant = get_close_matches(name, OWN, 1, 0.8) if name.startswith(PREFIX) else []
        if meant and meant[0] not in values:
            log.warning(f"launch argument '{name}' is not one of the bridge's; did you mean '{meant[0]}'?")


def mark_as_used(context: LaunchContext) -> None:
    """Mark the arguments that were given only to this bridge."""
    values, typed = context.launch_configurations, command_line(context)
    for name in OWN:
        if name in values and values[name] != typed.get(name):
            values[name] = Used(values[name])


def command_line(context: LaunchContext) -> dict[str, str]:
    """Return the arguments of the command ros2 launch. They apply to every bridge of the launch."""
    return dict(argument.split(":=", 1) for argument in context.argv if ":=" in argument)


def bridge(context: LaunchContext) -> list[Node]:
    """Return the node, after the arguments have their values."""
    values = context.launch_configurations
    # Host and topic stay text, even if they look like a number. YAML decides the type of port and
    # use_sim_time, and the bridge rejects a wrong type.
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
            # With this the bridge detects that launch has started it again. It then waits for an
            # operator.
            additional_env={"AETHER_LAUNCH_RUN": uuid.uuid4().hex} if respawn else None,
            respawn=respawn,
            respawn_delay=2.0,
            on_exit=lambda event, context: ended(event, context, respawn),
            output="screen",
        )
    ]


def true_or_false(context: LaunchContext, name: str) -> bool:
    """Return a boolean argument. Unlike launch, name the argument in the error."""
    value = context.launch_configurations[name]
    try:
        return evaluate_condition_expression(context, [TextSubstitution(text=value)])
    except InvalidConditionExpressionError:
        raise RuntimeError(f"{name} is '{value}'; it must be true or false") from None


def readable(given: str) -> str:
    """Return the path of the parameter file. If it is not readable, end the launch.

    launch itself would ignore the file and start the bridge with its defaults.
    """
    path = os.path.abspath(os.path.expanduser(given))
    if os.path.isfile(path) and os.access(path, os.R_OK):
        return path
    reason = "is a directory" if os.path.isdir(path) else "is not a readable file" if os.path.exists(path) else "does not exist"
    raise RuntimeError(f"aether_params_file '{given}': {path} {reason}. Give the path of a YAML file.")


def ended(event: ProcessExited, context: LaunchContext, respawn: bool) -> list[EmitEvent]:
    """Return the actions after the end of the bridge.

    With respawn, launch itself would start the bridge again after every exit code. This function
    prevents it if a new start would fail in the same way.
    """
    code = event.returncode
    if code == 0 or context.is_shutdown or (respawn and code not in PERMANENT_FAILURES):
        return []
    reason = f"the bridge ended with exit code {code}"
    if code in PERMANENT_FAILURES:
        reason += f": {PERMANENT_FAILURES[code]}"

    def fail(_event: Shutdown, _context: LaunchContext) -> None:
        raise RuntimeError(reason)

    # ros2 launch must also end with a nonzero exit code, but only after the rest of the launch has
    # ended. The handler is appended as the last one: it raises an error, and launch calls no
    # handler after an error.
    context.register_event_handler(OnShutdown(on_shutdown=fail), append=True)
    if not respawn:
        return []
    log.error(f"{reason}. It is not started again, because it would fail in the same way.")
    return [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(event.action)))]
