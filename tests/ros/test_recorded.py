"""Plays a minute of a real tracker through the node: swapped hands, zeros, frozen samples and a
flickering gripper.

The tests compare two kinds of facts that do not depend on the speed of the machine: the order of
commands and status changes, and the longest or shortest possible time between two commands (see
Run).
"""

import math
import re

import pytest
from harness import MOTIONS, distance
from motion import ROUNDING, Limits, assert_keeps
from recording import NO_HAND, RATE, UNIT, frozen, load, swaps, to_arm, zeros
from replay import PATIENT, replay, xyz
from test_reasons import ROWS

SAMPLES = load()
# The settings for this tracker. It repeats the last sample of a lost hand for up to 0.3 s, and the
# last sample of a live hand for up to 0.17 s. All other parameters have their defaults. The steps
# of one hand are under 0.05 m, swaps of hands are over 0.25 m, and limits.max_jump is 0.15 m. The
# acceleration is low, so that its limit can be checked on a machine of any speed.
SETTINGS = {**PATIENT, "input.frozen_timeout": 0.25, "limits.acceleration": 1.0}
APPROACH = Limits(speed=0.1, acceleration=1.0)
TRACKING = Limits(speed=0.25, acceleration=1.0)
# Period of a ramp, from teleop.command_rate.
PERIOD = 0.02
# Jumps over this distance, in metres, are swaps.
SWAP = 0.24
JUMP = re.compile(r"it jumped by (\d+\.\d+) m")


@pytest.fixture(scope="module")
def run(ros_session, tmp_path_factory):
    """The whole recording, replayed once for all tests of this file."""
    run = replay(ros_session, SAMPLES, SETTINGS, tmp_path_factory.mktemp("log"))
    for before, status in zip([None, *run.statuses], run.statuses):
        if before is None or before.reason != status.reason:
            at = status.stamp.sec + status.stamp.nanosec * 1e-9 - _first(run).stamp
            print(f"{at:7.3f} s, after {status.sent:4} commands: {MOTIONS[status.motion]}, {status.reason}")
    return run


def test_recording_has_the_expected_events():
    assert [(event.start, event.count) for event in zeros(SAMPLES)] == [(0, 84), (1479, 1), (1529, 1), (1736, 64)]
    assert [(round(i / RATE, 1), j) for i, j in swaps(SAMPLES)] == [(40.3, 1208), (50.7, 1519), (57.4, 1721)]
    assert [(event.start, event.count) for event in frozen(SAMPLES)] == [(1727, 9)]


def test_published_commands_equal_the_wire(run):
    assert len(run.lines) > 1000
    published = [(xyz(message.position), message.gripper) for _, message in sorted(run.commands.items())]
    assert published == [(pytest.approx(line.position, abs=1e-9), line.gripper) for line in run.lines]


def test_every_reason_has_a_name(run):
    unnamed = {status.reason for status in run.statuses if _name(status.reason) is None}
    assert not unnamed


def test_zeros_swaps_and_frozen_samples_are_reported(run):
    # On a machine that skips samples, a fast hand also jumps, but less far, and a hand at rest may
    # seem frozen.
    changes = [status for status in _changes(run) if (_jump(status.reason) or 1.0) > SWAP]
    names = [_name(status.reason) for status in changes]
    lost = [name for name in names if name in ("input_zero", "input_jump")]
    assert lost == ["input_zero", *["input_jump"] * 3, "input_zero"], "the single zeros have no effect"
    assert "input_frozen" in names[len(names) - names[::-1].index("input_jump") :]
    assert [_jump(status.reason) for status in _refusals(run)] == pytest.approx(_swap_distances(), abs=0.03)


def test_no_command_while_hand_is_lost(run):
    phases = run.phases()
    still = [phase for phase in phases if phase.motion in ("DISARMED", "HOLDING")]
    assert len(still) >= 5
    assert all(phase.start == phase.end for phase in still), still
    assert phases[-1].motion == "HOLDING" and phases[-1].start == len(run.lines)


def test_arm_approaches_slowly_after_every_loss(run):
    approaches = [phase for phase in run.phases() if phase.motion == "APPROACH" and phase.end > phase.start]
    assert len(approaches) >= 3
    for phase in approaches:
        assert_keeps(run, APPROACH, phase.start, phase.end)
        assert all("approach" in run.commands[number].altered_by for number in range(phase.start, phase.end))
        if phase.start > 0:
            first = distance(run.lines[phase.start - 1].position, run.lines[phase.start].position)
            assert first <= APPROACH.speed * PERIOD + 2e-6, "the first step is longer than one of a ramp"
    for before, after in zip(run.phases(), run.phases()[1:]):
        if after.motion == "TRACKING":
            assert before.motion == "APPROACH"
            arrived = run.lines[before.end - 1]
            seen = [each.sample.position for each in run.inputs if arrived.at - 0.3 <= each.at <= arrived.at]
            # 5 mm as measured by the bridge, from a filtered hand position.
            assert min(distance(arrived.position, to_arm(position)) for position in seen) < 0.015


@pytest.mark.parametrize("swap", range(3), ids=["40.3 s", "50.7 s", "57.4 s"])
def test_swapped_hand_is_refused_then_approached(run, swap):
    last = swaps(SAMPLES)[swap][1]
    refused = _refusals(run)[swap]
    assert MOTIONS[refused.motion] == "HOLDING"
    # Commands between the last good sample and the refusal lead towards the good samples.
    inputs = _recorded(run)
    number = next(number for number, line in enumerate(run.lines) if line.at >= inputs[last].at)
    good = [to_arm(sample.position) for sample in SAMPLES[last - 8 : last + 1]]
    for number in range(number, refused.sent):
        before, after = run.lines[number - 1].position, run.lines[number].position
        assert min(distance(after, position) - distance(before, position) for position in good) <= 1e-3, run.lines[number]
    # Then there is only an approach until the next hold, or until the arm has reached the hand.
    following = [phase for phase in run.phases() if phase.start >= refused.sent and phase.end > phase.start]
    assert not following or following[0].motion == "APPROACH" and following[0].start == refused.sent


def test_swapped_frozen_lost_hand_is_never_tracked(run):
    refused = _refusals(run)[2]
    after = [phase for phase in run.phases() if phase.start >= refused.sent and phase.end > phase.start]
    assert all(phase.motion == "APPROACH" for phase in after), after
    way = distance(run.lines[refused.sent - 1].position, run.lines[-1].position)
    if after:
        assert way <= APPROACH.speed * run.at_most(refused.sent, len(run.lines) - 1) + ROUNDING


@pytest.mark.parametrize("single", [1, 2], ids=["49.3 s", "51.0 s"])
def test_single_zero_does_not_disturb_motion(run, single):
    index = zeros(SAMPLES)[single].start
    inputs = _recorded(run)
    begin = max(n for n, line in enumerate(run.lines) if line.at < inputs[index - 1].at)
    near = [line.position for line in run.lines[begin:] if line.at <= inputs[index + 15].at]
    hand = to_arm(SAMPLES[index + 1].position)
    off = [_off_the_way(position, near[0], hand) for position in near]
    assert max(off) < 0.01, off
    assert all(distance(position, hand) <= distance(near[0], hand) + 0.01 for position in near)


def test_commands_keep_speed_and_acceleration_limits(run):
    starts = [phase.start for phase in run.phases() if phase.motion == "APPROACH"]
    for start, end in zip(starts, [*starts[1:], len(run.lines)]):
        assert_keeps(run, TRACKING, start, end)


def test_gripper_follows_hand_and_ignores_loss(run):
    toggles = [
        (number, line.gripper)
        for number, (before, line) in enumerate(zip(run.lines, run.lines[1:]), 1)
        if line.gripper != before.gripper
    ]
    # The hand closes at 3.6 s, before the first motion, opens at 43.6 s and closes at 52.7 s. When
    # it opens at 57.7 s, it is already lost.
    assert run.lines[0].gripper == "closed", "the first command has the latest gripper state"
    assert [gripper for _, gripper in toggles] == ["open", "closed"]
    for (number, _), asked, answered in zip(toggles, (43.6, 52.7), (46.0, 55.0)):
        assert _recorded(run)[int(asked * RATE)].at < run.lines[number].at < _recorded(run)[int(answered * RATE)].at
    assert run.lines[-1].gripper == "closed"


def _first(run):
    """Return the first sample of the recording.

    Before it, the tracker repeats a sample without a hand.
    """
    return _recorded(run)[0]


def _recorded(run):
    """Return the published messages of each sample of the recording."""
    first_hand = next(i for i, each in enumerate(run.inputs) if each.sample != NO_HAND)
    start = first_hand - zeros(SAMPLES)[0].count
    return run.inputs[start : start + len(SAMPLES)]


def _name(reason):
    """Return the short name of a reason."""
    return next((name for name, text in ROWS.items() if re.search(text, reason)), None)


def _jump(reason):
    found = JUMP.search(reason)
    return found and float(found[1])


def _changes(run):
    """Return the first status with each reason.

    Later ones with the same reason and other numbers are left out.
    """
    names = [_name(status.reason) for status in run.statuses]
    return [status for name, before, status in zip(names, [None, *names], run.statuses) if name != before]


def _refusals(run):
    """Return the first status that reports each swap."""
    return [status for status in _changes(run) if (_jump(status.reason) or 0.0) > SWAP]


def _swap_distances():
    return [math.dist(SAMPLES[i].position, SAMPLES[j].position) * UNIT for i, j in swaps(SAMPLES)]


def _off_the_way(position, start, end):
    """Return the distance of a position from the straight way between two others."""
    way = [b - a for a, b in zip(start, end)]
    gone = [b - a for a, b in zip(start, position)]
    length = sum(value * value for value in way)
    share = min(max(sum(a * b for a, b in zip(way, gone)) / length, 0.0), 1.0) if length else 0.0
    return math.dist(gone, [share * value for value in way])
