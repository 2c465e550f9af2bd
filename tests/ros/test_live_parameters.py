"""Tests parameter changes at run time: immediate, all or none, and refused with a reason."""

import re

import pytest
from controller import OK, command
from harness import QUICK, distance, stamp_seconds
from parameters import ask, get, plain, set_each, set_together, unquoted
from rcl_interfaces.msg import ParameterEvent, ParameterType
from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters
from std_srvs.srv import SetBool

PLACE = (0.12, 0.0355, 0.21)
PLACE_LINE = command("120.0", "35.5", "210.0")
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
FIELDS = ("position", "orientation", "stamp", "frame", "valid", "gripper")
READ_ONLY = {"use_sim_time", "gripper.type", "gripper.initial", "input.topic", "input.type", "input.unit", "stop.topic"}
READ_ONLY |= {"tf.enabled", "gripper.valid", "gripper.opened_by", *(f"input.{field}" for field in FIELDS)}
# For these parameters, the nearest other value is not valid: it contradicts another parameter, or
# it is out of a range that is not declared. The tests use these values instead.
OTHERS = {"workspace.reach_max": 0.5, "input.unit": "cm", "link.heartbeat.period": 0.5, "wire.extra_fields": ["seq"]}
# Encryption needs files. test_security.py has some.
OTHERS |= {"link.tls.enabled": None}
OTHERS |= {"workspace.keep_out": [-0.2, -0.2, 0.1, -0.1, -0.1, 0.2], "limits.step": 0.02}
OTHERS |= {"wire.json.open": "true", "wire.json.closed": "false", "wire.json.constant": '{"speed":50}'}


def set_armed(peer, armed):
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=armed).success


@pytest.fixture
def events(peer):
    """The messages on /parameter_events, recorded from before the bridge starts."""
    return peer.record(ParameterEvent, "/parameter_events", 100)


def as_dict(parameters):
    return {parameter.name: plain(parameter.value) for parameter in parameters}


def test_halved_speed_limit_applies_to_next_command(controller, bridge, hand, peer):
    # At two commands a second, the delays of a busy machine are short compared with the time
    # between two lines.
    slow = {"teleop.command_rate": 2.0, "limits.speed": 0.2, "limits.approach_speed": 0.05, "limits.step": 0.2}
    start, end = [-0.25, 0.0, 0.2], (0.3, 0.0, 0.2)
    status = bridge(
        controller, {**QUICK, **slow, "arm.home": start, "limits.max_jump": 0.0, "limits.acceleration": 10.0}
    ).status
    tracker = hand(start)
    status.wait(motion="TRACKING")
    tracker.position = end
    moving = controller.lines.find(lambda line: line.position[0] > -0.1)
    assert distance(controller.lines[moving].position, controller.lines[moving - 1].position) > 0.09

    assert set_each(peer, ("limits.speed", 0.1)) == [""]
    after = controller.mark()
    arrived = controller.lines.find(lambda line: line.data == command("300.0", "0.0", "200.0"), after)
    lines = controller.lines[after - 1 : arrived + 1]
    assert len(lines) > 3
    for one, other in zip(lines, lines[1:]):
        way, time = distance(one.position, other.position), other.at - one.at
        assert way <= 0.1 * (time + 0.3) + 1e-6, f"{way:.3f} m in {time:.3f} s"
    assert status.motions()[-1] == "TRACKING"


def test_limit_changes_without_new_connection(controller, bridge, hand, peer):
    started = bridge(controller, AT_PLACE)
    hand(PLACE)
    before = started.status.wait(motion="TRACKING")
    wanted = {
        "limits.speed": 0.2,
        "limits.acceleration": 2.0,
        "workspace.min": [-0.2, -0.2, 0.1],
        "gripper.close_debounce": 0.0,
        "input.timeout": 0.7,
        "teleop.max_consecutive_errors": 3,
    }
    assert set_each(peer, *wanted.items()) == [""] * len(wanted)
    assert dict(zip(wanted, get(peer, *wanted))) == wanted
    started.log.wait(lambda line: "INFO" in line and "parameter limits.speed: 0.25 → 0.2" in line)
    after = started.status.skip().wait(lambda status: status.sent > before.sent, motion="TRACKING")
    assert stamp_seconds(after.since) == pytest.approx(stamp_seconds(before.since), abs=0.1)
    assert (len(controller.connections), len(controller.closed)) == (1, 0)
    assert started.status.motions()[-1] == "TRACKING"


def test_atomic_set_applies_all_or_none(launch, peer):
    launch().status.wait()
    refused = set_together(peer, limits__speed=0.2, workspace__max=[0.4, 0.4, 0.4], teleop__settle_time=-1.0)
    assert "'teleop.settle_time' is -1.0; it must be from 0.0 to 60.0 s" in refused
    # Each value alone would be valid, but not both together.
    refused = set_together(peer, limits__speed=0.2, limits__approach_speed=0.22)
    assert "'limits.approach_speed' is 0.22; it must be at most 'limits.speed', which is 0.2" in refused
    names = ("limits.speed", "limits.approach_speed", "workspace.max", "teleop.settle_time")
    assert get(peer, *names) == [0.25, 0.1, [0.3, 0.3, 0.4], 1.0]
    # No value alone would be valid.
    moved = {"workspace__min": [0.5, -0.3, 0.0], "workspace__max": [1.0, 0.3, 0.4], "arm.home": [0.6, 0.0, 0.2]}
    assert set_together(peer, **moved) == ""
    assert get(peer, "workspace.min", "arm.home") == [[0.5, -0.3, 0.0], [0.6, 0.0, 0.2]]


def test_each_refusal_has_its_own_reason(launch, peer):
    launch().status.wait()
    cases = [
        (("limits.sped", 0.2), "'limits.sped' is unknown; did you mean 'limits.speed'?"),
        (("no.such", 0.2), "'no.such' is unknown"),
        (("limits.speed", "fast"), "'limits.speed' is 'fast', a string; it must be a number, from 0.001 to 10.0 m/s"),
        (("limits.speed", 99.0), "'limits.speed' is 99.0; it must be from 0.001 to 10.0 m/s"),
        (("limits.speed", float("nan")), "'limits.speed' is NaN; it must be from 0.001 to 10.0 m/s"),
        (("limits.speed", 1), ""),
        (("limits.speed", 0.05), "'limits.approach_speed' is 0.1; it must be at most 'limits.speed', which is 0.05"),
        (("arm.home", [0.2, 0.0]), "'arm.home' is [0.2, 0.0]; it must be 3 numbers"),
        (("arm.home", [0.2, 0.0, 0.9]), "'workspace.max', which is [0.3, 0.3, 0.4]"),
        (("limits.speed", None), "'limits.speed' cannot be deleted: set it to its default, 0.25"),
        (("gripper.type", "std_msgs/msg/String"), "read-only: set it at start, by a parameter file or -p gripper.type:="),
        (("use_sim_time", True), "'use_sim_time' is false and read-only"),
        # These values are the current ones.
        (("gripper.type", "std_msgs/msg/Bool"), ""),
        (("use_sim_time", False), ""),
        (("link.port", 5000), ""),
    ]
    for (wanted, expected), reason in zip(cases, set_each(peer, *[wanted for wanted, _ in cases])):
        assert (reason == "") == (expected == "") and expected in reason, (wanted, reason)
    assert get(peer, "limits.speed", "arm.home", "gripper.type") == [1.0, [0.2, 0.0, 0.2], "std_msgs/msg/Bool"]


def test_former_name_refuses_the_whole_set(launch, peer):
    launch().status.wait()
    assert "parameter 'approach_speed' has the new name 'limits.approach_speed'" in set_together(
        peer, limits__speed=0.2, approach_speed=0.05
    )
    assert get(peer, "limits.speed", "limits.approach_speed") == [0.25, 0.1]


@pytest.mark.parametrize(
    "former", [{"arming": "operator"}, {"limits.jump": 0.05}, {"home": [0.1, 0.0, 0.2]}, {"error_limit": 1}]
)
def test_former_safety_parameter_blocks_all_commands(controller, launch, hand, former):
    # If the bridge ignored the setting, the default would apply. The arm would then move where its
    # user has forbidden it.
    hand(PLACE)
    started = launch(AT_PLACE | former | {"link.port": controller.port})
    assert started.wait() == 2
    assert f"parameter '{next(iter(former))}' has the new name '" in started.log[-1]
    assert len(controller.connections) == len(controller.lines) == 0


def test_workspace_without_arm_position_is_refused(controller, bridge, hand, peer):
    status = bridge(controller, {**AT_PLACE, "limits.max_jump": 0.0}).status
    tracker = hand(PLACE)
    status.wait(lambda status: status.acknowledged > 0, motion="TRACKING")
    without = {"workspace__min": [0.15, -0.3, 0.0], "arm.home": [0.2, 0.0, 0.2]}
    box = {"workspace__keep_out": [0.1, 0.0, 0.1, 0.14, 0.1, 0.3], "arm.home": [0.2, 0.0, 0.2]}
    refused = set_together(peer, **box)
    assert re.search(r"the arm, which is at \[0\.120, 0\.03[56], 0\.210\] m", refused), refused
    refused = set_together(peer, **without)
    assert re.search(r"the arm, which is at \[0\.120, 0\.03[56], 0\.210\] m", refused), refused
    assert "'workspace.min' to [0.15, -0.3, 0.0]" in refused, refused
    assert get(peer, "workspace.min", "arm.home") == [[-0.3, -0.3, 0.0], list(PLACE)]
    assert set_each(peer, ("workspace.min", [0.1, -0.3, 0.0])) == [""]
    tracker.position = (0.0, 0.0355, 0.21)
    after = controller.mark()
    controller.lines.wait(lambda line: line.data == command("100.0", "35.5", "210.0"), after)
    # When the arm is elsewhere, the bridge accepts the same set.
    tracker.position = (0.2, 0.0355, 0.21)
    controller.lines.wait(lambda line: line.data == command("200.0", "35.5", "210.0"), after)
    status.wait(lambda status: status.sent == status.acknowledged == controller.mark())
    assert set_together(peer, **without) == ""
    assert all(line.position[0] >= 0.1 for line in controller.lines)


def test_controller_change_while_disarmed_starts_at_home(
    controllers, bridge, hand, peer
):
    one, other = controllers(), controllers()
    status = bridge(one, AT_PLACE).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = (-0.1, 0.0355, 0.21)
    tracked = one.lines.find(lambda line: line.data == command("-100.0", "35.5", "210.0"))

    refused = set_together(peer, link__host="localhost", link__port=other.port)
    assert "'link.host' is '127.0.0.1' and cannot change while armed: call ~/set_armed with data: false first" in refused
    assert get(peer, "link.host", "link.port") == ["127.0.0.1", one.port]
    assert len(other.connections) == 0 and len(one.closed) == 0

    set_armed(peer, False)
    assert set_together(peer, link__host="localhost", link__port=other.port) == ""
    last = one.mark()
    connected = status.wait(lambda status: status.peer == f"localhost:{other.port}", state="CONNECTED")
    assert connected.sent >= tracked and one.closed.wait() == 1
    assert status.newest().motion == connected.motion, "only an operator arms again"
    other.lines.assert_none()
    # The other controller does not report the arm's position.
    assert not peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    set_armed(peer, True)
    assert distance(other.lines.wait().position, PLACE) <= 0.1 * 0.04 + 1e-6
    status.wait(lambda status: status.sent > connected.sent, motion="TRACKING")
    one.lines.assert_none(after=last)


def test_silent_centimetre_controller_can_be_configured(controller, bridge, hand, peer):
    controller.reply = None
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    silent = status.wait(state="UNRESPONSIVE", motion="HOLDING")
    set_armed(peer, False)
    assert set_each(peer, ("link.expect_reply", False), ("wire.position_unit", "cm")) == ["", ""]
    # The bridge ignores the controller's output, although it is not even a reply.
    controller.reply = lambda line: b"whatever\n" + OK
    # It may be another arm.
    assert not peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    set_armed(peer, True)
    line = controller.lines.wait(lambda line: b'"x":12.0,"y":3.55,"z":21.0' in line.data)
    after = controller.mark()
    assert controller.lines.wait(after=after).connection == line.connection
    following = status.wait(lambda status: status.sent > silent.sent + 1, state="CONNECTED", motion="TRACKING")
    assert following.acknowledged > silent.acknowledged and following.rejected == 0


def test_base_frame_changes_while_disarmed(controller, bridge, hand, peer):
    commands = peer.commands()
    status = bridge(controller, AT_PLACE).status
    hand(PLACE)
    status.wait(motion="TRACKING")
    assert "while armed" in set_each(peer, ("arm.base_frame", "table"))[0]
    set_armed(peer, False)
    assert set_each(peer, ("arm.base_frame", "table")) == [""]
    set_armed(peer, True)
    first = commands.find(lambda message: message.header.frame_id == "table")
    assert {message.header.frame_id for message in commands[:first]} == {"arm_base"}
    assert len(controller.connections) == 1


def test_parameter_events_list_declared_and_changed_values(events, launch, peer):
    launch().status.wait()
    declared = events.wait(lambda event: event.node == "/aether_bridge")
    names = ask(peer, ListParameters).result.names
    assert as_dict(declared.new_parameters) == dict(zip(names, get(peer, *names)))
    assert not declared.changed_parameters and not declared.deleted_parameters
    assert abs(stamp_seconds(declared.stamp) - peer.node.get_clock().now().nanoseconds * 1e-9) < 20

    assert set_together(peer, limits__speed=0.2, teleop__settle_time=2.0, teleop__max_consecutive_errors=5) == ""
    # These requests cause no event.
    assert set_each(peer, ("limits.speed", 0.2)) == [""]
    assert "unknown" in set_each(peer, ("no.such", 1.0))[0]
    assert set_each(peer, ("limits.speed", 0.21)) == [""]
    first, second = [event for event in events.wait_count(3) if event is not declared]
    changed = {"limits.speed": 0.2, "teleop.settle_time": 2.0}
    assert (first.node, as_dict(first.changed_parameters)) == ("/aether_bridge", changed)
    assert as_dict(second.changed_parameters) == {"limits.speed": 0.21}
    assert not first.new_parameters and not first.deleted_parameters


def another(value, constraints):
    """Return a value close to this one in the described range, or None if there is no other."""
    if value.type == ParameterType.PARAMETER_BOOL:
        return not value.bool_value
    if value.type == ParameterType.PARAMETER_INTEGER:
        return value.integer_value + 1
    if value.type == ParameterType.PARAMETER_DOUBLE:
        return value.double_value + 0.001
    if value.type == ParameterType.PARAMETER_DOUBLE_ARRAY:
        return [number + 0.001 for number in value.double_array_value]
    if value.type == ParameterType.PARAMETER_STRING_ARRAY:
        return ["x"] * int(re.search(r"paths of (\d) fields", constraints)[1])
    choices = re.match("one of: '(.*?)';", constraints)
    if not choices:
        return unquoted(value.string_value) + "x"
    return next((choice for choice in choices[1].split("', '") if choice != value.string_value), None)


def test_every_parameter_changes_as_described(launch, peer):
    launch().status.wait()
    names = ask(peer, ListParameters).result.names
    descriptors = ask(peer, DescribeParameters, names=names).descriptors
    values = ask(peer, GetParameters, names=names).values
    assert {descriptor.name for descriptor in descriptors if descriptor.read_only} == READ_ONLY
    tried = 0
    for armed in (True, False):
        set_armed(peer, armed)
        for descriptor, value in zip(descriptors, values):
            name, constraints = descriptor.name, descriptor.additional_constraints
            wanted = OTHERS[name] if name in OTHERS else another(value, constraints)
            if wanted is None:
                continue
            (reason,) = set_each(peer, (name, wanted))
            if descriptor.read_only:
                assert "read-only" in reason, name
            elif armed and constraints.endswith("; may change only while disarmed"):
                assert "while armed" in reason, name
            else:
                assert constraints.endswith(("at any time", "only while disarmed")), name
                assert reason == "", name
                (now,) = get(peer, name)
                assert (unquoted(now) if isinstance(now, str) else now) == wanted
                assert set_each(peer, (name, plain(value))) == [""]
            tried += 1
    assert tried >= 2 * (len(names) - 2)
