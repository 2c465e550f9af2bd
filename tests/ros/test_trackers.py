"""Tests the example trackers as processes, with the real bridge."""

import contextlib
import pathlib
import sys

import pytest
from controller import ControllerProcess
from harness import QUICK, distance

TRACKERS = pathlib.Path(__file__).parents[2] / "examples" / "trackers"
CENTRE = (0.2, 0.0, 0.2)


@pytest.fixture
def tracker():
    """Start example trackers by name."""
    with contextlib.ExitStack() as stack:

        def start(name):
            process = ControllerProcess([sys.executable, "-u", TRACKERS / name])
            stack.callback(process.close)
            return process

        yield start


def test_every_example_tracker_is_tested_and_short():
    sources = {source.name: len(source.read_text().splitlines()) for source in TRACKERS.glob("*.py")}
    assert sorted(sources) == ["circle.py", "keyboard.py", "point_and_opening.py"]
    assert max(sources.values()) < 100, sources


def test_circle_moves_arm_and_gripper(controller, bridge, tracker):
    status = bridge(controller, QUICK).status
    tracker("circle.py")
    status.wait(motion="TRACKING")
    after = controller.mark()
    for side in (-0.045, 0.045):
        controller.lines.wait(lambda line, side=side: line.position[1] / side > 1.0, after)
    for gripper in ("closed", "open"):
        controller.lines.wait(lambda line, gripper=gripper: line.gripper == gripper, after)
    assert all(distance(line.position, CENTRE) < 0.052 for line in controller.lines[after:])


def test_keys_move_the_arm_and_hold_it(controller, bridge, tracker):
    status = bridge(controller, QUICK).status
    keyboard = tracker("keyboard.py")
    status.wait(motion="TRACKING")
    keyboard.type_line("wwaarr ")
    controller.lines.wait(lambda line: distance(line.position, (0.21, 0.01, 0.21)) < 1e-6 and line.gripper == "closed")
    keyboard.type_line("h")
    status.wait(motion="HOLDING", reason="no new target")
    keyboard.type_line("hssddff ")
    status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: distance(line.position, CENTRE) < 1e-6 and line.gripper == "open")


def test_own_messages_move_the_arm_by_parameter_file(controller, bridge, tracker):
    parameters = TRACKERS / "point_and_opening.yaml"
    status = bridge(controller, QUICK, ["--params-file", parameters]).status
    tracker("point_and_opening.py")
    status.wait(motion="TRACKING")
    after = controller.mark()
    for gripper, side in (("open", 0.045), ("closed", -0.045)):
        controller.lines.wait(lambda line, side=side: line.position[1] / side > 1.0, after)
        controller.lines.wait(lambda line, gripper=gripper: line.gripper == gripper, after)
    assert all(line.position[0] == line.position[2] == 0.2 for line in controller.lines[after:])
