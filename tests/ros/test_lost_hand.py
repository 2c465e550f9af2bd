"""Some trackers send zeros for a lost hand. The zeros may come at any moment of a motion.

The hand moves away from the position that zeros would mean. So only zeros can bring the arm nearer
to that position.
"""

import math

import pytest
from harness import MOTIONS, distance
from motion import ROUNDING
from recording import NO_HAND, ORIGIN, RATE, Sample, to_arm
from replay import PATIENT, Rig

# The hand moves from NEAR to FAR in 0.7 s, at 0.18 m/s at most, and then rests. In the recording's
# units of 2 mm.
NEAR, FAR, MOVING = 20.0, 60.0, 0.7
# Zeros for 0.4 s, which is longer than gripper.open_debounce.
ZEROS = [NO_HAND] * 12


def _at(radius):
    return Sample(0.8 * radius, -0.6 * radius, 0.0, True)


def _way_out(count):
    """Return the first samples of the hand's way."""
    seconds = [min((index + 1) / RATE, MOVING) for index in range(count)]
    return [_at(NEAR + (FAR - NEAR) * (1 - math.cos(math.pi * each / MOVING)) / 2) for each in seconds]


@pytest.fixture
def rig(ros_session, tmp_path):
    """A bridge whose arm is at NEAR, with a closed hand."""
    parameters = {**PATIENT, "teleop.settle_time": 0.1, "arm.home": list(to_arm(_at(NEAR).position))}
    with Rig(ros_session, parameters, _at(NEAR), tmp_path) as rig:
        rig.status.wait(motion="TRACKING")
        rig.controller.lines.wait(lambda line: line.gripper == "closed")
        yield rig


def _lose(rig, samples, motion):
    """Play samples that lead to a motion or continue it, and then zeros.

    Check that later lines lead only towards the last sample, that the hold is silent, and that the
    gripper does not change. Return the lines, from the last two lines before the zeros on.
    """
    lost = rig.stream.play([*samples, *ZEROS], then=NO_HAND)[len(samples)].at
    rig.status.wait(motion=motion)
    held = rig.status.wait(motion="HOLDING", reason="all zero")
    count = rig.controller.mark()
    lines = rig.controller.lines[:count]
    last = max(number for number, line in enumerate(lines) if line.at < lost)
    after = lines[last:]
    away = [distance(line.position, ORIGIN) for line in after]
    assert all(one <= other + ROUNDING for one, other in zip(away, away[1:])), f"towards the origin: {after}"
    assert away[-1] <= distance(to_arm(samples[-1].position), ORIGIN) + 1e-3, f"past the hand: {after}"
    assert {line.gripper for line in after} == {"closed"}
    assert held.sent == count, f"sent while holding: {lines[held.sent :]}"
    return lines[max(0, last - 1) :]


def _return(rig):
    """Bring the hand back to NEAR, and wait until the arm rests there."""
    lost = rig.controller.mark()
    rig.stream.play([_at(NEAR)], then=_at(NEAR))
    rig.status.wait(motion="APPROACH")
    rig.status.wait(motion="TRACKING")
    near = to_arm(_at(NEAR).position)
    rig.controller.lines.wait(lambda line: distance(line.position, near) < 1e-4, lost)


def test_zeros_while_tracking_hold_arm_and_gripper(rig):
    speeds = []
    for count in (1, 3, 5, 8, 11, 14, 17, 20, 23, 26, 60):
        before, last, *_ = _lose(rig, _way_out(count), "TRACKING")
        speeds.append(distance(before.position, last.position) / (last.at - before.at))
        _return(rig)
    assert {line.gripper for line in rig.controller.lines[len(rig.controller.lines) // 2 :]} == {"closed"}
    assert sum(speed > 0.03 for speed in speeds) >= 5, f"lost in motion too seldom: {speeds}"
    assert speeds[-1] < 0.01, "never lost at rest"


def test_zeros_during_approach_hold_arm_and_gripper(rig):
    approaching = 0
    for count in (1, 2, 4, 8, 12, 16, 20, 30):
        rig.stream.play(ZEROS, then=NO_HAND)
        rig.status.wait(motion="HOLDING", reason="all zero")
        lines = _lose(rig, [_at(FAR)] * count, "APPROACH")
        approaching += distance(lines[0].position, lines[1].position) > 1e-4
        _return(rig)
    assert approaching >= 5, "lost in an approach too seldom"


def test_single_zeros_do_not_disturb_motion(rig):
    samples = _way_out(45)
    samples[3::9] = [NO_HAND] * len(samples[3::9])
    begin, seen = rig.controller.mark(), len(rig.status.seen)
    rig.stream.play(samples, then=samples[-1])
    arrived = to_arm(samples[-1].position)
    end = rig.controller.lines.find(lambda line: distance(line.position, arrived) < 2e-3, begin)
    away = [distance(line.position, ORIGIN) for line in rig.controller.lines[begin - 1 : end + 1]]
    assert all(one <= other + ROUNDING for one, other in zip(away, away[1:])), away
    assert {line.gripper for line in rig.controller.lines[begin : end + 1]} == {"closed"}
    dropped = rig.status.wait(lambda status: status.sent > end).dropped_input
    assert dropped >= 3, "the bridge did not see the zeros"
    assert {MOTIONS[each.message.motion] for each in rig.status.seen[seen:]} == {"TRACKING"}
