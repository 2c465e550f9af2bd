"""Tests the other topics: commands, the arm's state, diagnostics and the log."""

import re

from aether_bridge.msg import ArmState
from controller import OK, command
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import LATCHED, PLAIN, QUICK, distance, stamp_seconds
from rcl_interfaces.msg import Log

PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}
LEVELS = {DiagnosticStatus.OK: "OK", DiagnosticStatus.WARN: "WARN", DiagnosticStatus.ERROR: "ERROR"}


def test_every_command_is_published_as_sent(controller, bridge, hand, peer):
    commands = peer.commands()
    before = peer.node.get_clock().now().nanoseconds * 1e-9
    status = bridge(controller, {**AT_PLACE, "arm.base_frame": "table", "limits.max_jump": 0.0}).status
    tracker = hand((0.2, 0.0355, 0.21))
    status.wait(motion="TRACKING")
    tracker.position = (0.5, 0.0355, 0.21)
    reached = controller.lines.find(lambda line: line.data == command("300.0", "35.5", "210.0"))
    tracker.stop()
    status.wait(motion="HOLDING")
    commands.wait(lambda message: message.seq == reached + 1)

    seen = commands[:]
    assert len(seen) > 20 and all(one.seq < other.seq for one, other in zip(seen, seen[1:]))
    for message in seen:
        # The numbers count the lines from 1.
        line = controller.lines[message.seq - 1]
        assert distance(line.position, (message.position.x, message.position.y, message.position.z)) < 1e-9
        assert message.gripper == line.gripper == "open"
        assert message.header.frame_id == "table"
        assert before <= stamp_seconds(message.header.stamp) <= before + 60
        assert 0 <= message.input_age < 0.5
    stamps = [stamp_seconds(message.header.stamp) for message in seen]
    assert stamps == sorted(stamps)
    altered = {tuple(message.altered_by) for message in seen}
    assert ("speed_limited", "approach") in altered and ("clamped", "speed_limited") in altered
    approaching = [message.seq for message in seen if "approach" in message.altered_by]
    assert approaching and approaching[-1] < min(message.seq for message in seen if "clamped" in message.altered_by)
    assert status.newest().limited == len([m for m in seen if {"clamped", "speed_limited"} & set(m.altered_by)])


def test_unaltered_command_is_marked_as_such(controller, bridge, hand, peer):
    commands = peer.commands()
    bridge(controller, AT_PLACE)
    tracker = hand(PLACE)
    controller.lines.wait()
    tracker.position = (0.121, 0.0355, 0.21)
    commands.wait(lambda message: message.position.x == 0.121 and list(message.altered_by) == [])


def test_reported_arm_state_is_published(arm_sim, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state", 1000)
    sim = arm_sim("--speed", "0.05")
    started = bridge(sim, {**QUICK, "arm.base_frame": "table"})
    hand((0.17, 0.0355, 0.21))
    moving = states.wait(lambda state: state.moving)
    assert moving.header.frame_id == "table" and stamp_seconds(moving.header.stamp) > 0
    assert moving.raw.startswith('{"status":"ok"') and '"position"' in moving.raw and "\n" not in moving.raw
    assert moving.gripper == "open" and moving.fault == ""
    assert 0.17 <= moving.position.x <= 0.2 and 0 <= moving.position.y <= 0.0355
    started.status.wait(lambda status: status.acknowledged > 20)


def test_controller_without_reports_has_no_arm_state(controller, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state")
    status = bridge(controller, {**AT_PLACE, **PLAIN}).status
    hand(PLACE)
    status.wait(lambda status: status.acknowledged > 0)
    states.assert_none()


def test_missing_fields_of_arm_state_are_marked(controllers, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state")
    controller = controllers(reply=lambda line: b'{"status":"ok","fault":"joint 3 is hot"}\n')
    bridge(controller, AT_PLACE)
    hand(PLACE)
    state = states.wait(lambda state: state.fault == "joint 3 is hot")
    assert all(value != value for value in (state.position.x, state.position.y, state.position.z)), "NaN"
    assert (state.gripper, state.moving) == ("", False)
    controller.reply = lambda line: OK


def test_diagnostics_distinguish_link_input_and_motion(controller, bridge, hand, peer):
    arrays = peer.record(DiagnosticArray, "/diagnostics")
    bridge(controller, AT_PLACE)

    def levels(array):
        return {status.name: LEVELS[status.level] for status in array.status}

    def expect(*parts):
        wanted = {f"aether_bridge: {name}": level for name, level in zip(("link", "input", "motion"), parts)}
        return arrays.wait(lambda array: levels(array) == wanted, len(arrays))

    expect("OK", "WARN", "WARN")
    tracker = hand(PLACE)
    good = expect("OK", "OK", "OK")
    assert all(status.message and status.hardware_id == controller.peer for status in good.status)
    values = {pair.key: pair.value for status in good.status for pair in status.values}
    assert values["state"] == "Connected" and values["motion"] == "Tracking"
    assert int(values["sent"]) >= int(values["acknowledged"]) > 0 and float(values["rtt_mean_ms"]) > 0

    controller.kill()
    lost = expect("ERROR", "OK", "WARN")
    assert "refused" in lost.status[0].message and "no connection" in lost.status[2].message
    tracker.stop()
    gone = expect("ERROR", "WARN", "WARN")
    assert "no new target for" in gone.status[1].message


def test_diagnostics_include_the_namespace(controller, bridge, peer):
    arrays = peer.record(DiagnosticArray, "/diagnostics")
    bridge(controller, QUICK, ["-r", "__ns:=/left"], name="/left/aether_bridge")
    assert arrays.wait().status[0].name == "left/aether_bridge: link"


def test_log_is_published_on_rosout(controller, bridge, hand, peer):
    rosout = peer.record(Log, "/rosout", LATCHED)
    started = bridge(controller, AT_PLACE)
    hand(PLACE)
    started.log.wait(lambda line: "following the target" in line)
    controller.kill()
    down = rosout.wait(lambda log: "link down" in log.msg)
    # 30 is WARN. The type of the constant depends on the distribution.
    assert down.name == "aether_bridge" and down.level == 30
    for line in started.log[:]:
        text = re.fullmatch(r"\[[A-Z]+\] \[[0-9.]+\] \[aether_bridge\]: (.*)", line)[1]
        rosout.wait(lambda log, text=text: log.msg == text and log.name == "aether_bridge")


def test_late_rosout_subscriber_gets_recent_lines(controller, bridge, peer):
    bridge(controller)
    own, bridges = (
        next(end for end in peer.node.get_publishers_info_by_topic("/rosout") if end.node_name == name).qos_profile
        for name in ("tester", "aether_bridge")
    )
    assert (bridges.durability, bridges.lifespan) == (own.durability, own.lifespan)


def test_log_level_is_applied(controllers, bridge, hand):
    controller = controllers()
    quiet = bridge(controller, AT_PLACE, ["--log-level", "error"])
    tracker = hand(PLACE)
    quiet.status.wait(motion="TRACKING")
    controller.kill()
    quiet.status.wait(state="BACKOFF")
    quiet.end()
    assert len(quiet.log) == 0

    controller.restart()
    tracker.position = (float("nan"), 0.0, 0.0)
    for arguments in (["--log-level", "debug"], ["--log-level", "aether_bridge:=debug"]):
        talkative = bridge(controller, AT_PLACE, arguments)
        talkative.log.wait(lambda line: "[DEBUG]" in line and "[aether_bridge]" in line and "x is NaN" in line)
        talkative.end()
