"""Checks that commands keep the limits of speed and acceleration, on a machine of any speed."""

import dataclasses

from harness import distance

# The error from rounding both ends of a path, in metres: twice the resolution of the wire.
ROUNDING = 2e-6


@dataclasses.dataclass(frozen=True)
class Limits:
    """Speed in m/s and acceleration in m/s²."""

    speed: float
    acceleration: float


def assert_keeps(run, limits, start, end, reach=40, span=5):
    """Check that the commands from number `start` to before `end` are one motion within the limits.

    Speed: the distance of two commands that are at most `reach` apart is not longer than the speed
    allows for the longest possible time between them. Acceleration: the mean velocities of two
    adjacent stretches of `span` commands differ by no more than the acceleration allows, for some
    possible times of the commands.
    """
    for one in range(start, end):
        for other in range(one + 1, min(one + reach, end)):
            way = distance(run.lines[one].position, run.lines[other].position)
            time = run.at_most(one, other)
            assert way <= limits.speed * time + ROUNDING, f"{way:.4f} m in {time:.4f} s: {run.lines[one]}"
    for one in range(start, end - 2 * span):
        assert _may_be_smooth(run, limits.acceleration, one, one + span, one + 2 * span), (
            f"more than {limits.acceleration} m/s²: {run.lines[one : one + 2 * span + 1]}"
        )


def _may_be_smooth(run, acceleration, one, two, three):
    first, second = _way(run, one, two), _way(run, two, three)
    # The velocity of a command is the velocity on the way to this command. So the times of the two
    # mean velocities can be one command period farther apart.
    later = max(run.at_most(number - 1, number) for number in range(one + 1, three + 1))
    for time in _times(run, one, two):
        for other in _times(run, two, three):
            change = sum((b / other - a / time) ** 2 for a, b in zip(first, second)) ** 0.5
            slack = ROUNDING * (1 / time + 1 / other)
            if change <= acceleration * ((time + other) / 2 + later) + slack + GRID:
                return True
    return False


def _way(run, one, other):
    return [b - a for a, b in zip(run.lines[one].position, run.lines[other].position)]


def _times(run, one, other, steps=6):
    """Return possible times between two commands, from the shortest to the longest."""
    shortest, longest = max(run.at_least(one, other), 1e-3), run.at_most(one, other)
    return [shortest + (longest - shortest) * step / steps for step in range(steps + 1)]


# Possible error because only a few times are tried, in m/s.
GRID = 0.01
