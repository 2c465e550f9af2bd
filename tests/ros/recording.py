"""The recorded hand in tests/data: its samples, its events, and the conversion to the arm's frame.
"""

import dataclasses
import json
import math
import pathlib

FILE = pathlib.Path(__file__).parents[1] / "data" / "handstates_30hz.jsonl"
RATE = 30.0

# A plausible mapping. The camera looks at the user, who sees the arm from behind. Left and right
# stay the same, up stays up, and a push towards the camera moves the arm forward. A unit of the
# recording is 2 mm. So the edges of the picture are at ±0.2 m, which is inside the default
# workspace.
UNIT = 0.002
ORIGIN = (0.15, 0.0, 0.2)
RETARGET = {
    "retarget.scale": [UNIT, UNIT, -UNIT],
    "retarget.rotation_rpy": [math.pi / 2, 0.0, -math.pi / 2],
    "retarget.translation": list(ORIGIN),
}


@dataclasses.dataclass(frozen=True)
class Sample:
    """A sample of the tracker: the position in its own units, and whether the hand is closed."""

    x: float
    y: float
    z: float
    closed: bool

    @property
    def position(self):
        return (self.x, self.y, self.z)

    @property
    def is_zero(self):
        return self.position == (0.0, 0.0, 0.0)


NO_HAND = Sample(0.0, 0.0, 0.0, False)


def load():
    """Return all samples. There are RATE samples a second."""
    with FILE.open() as lines:
        return [Sample(row["x"], row["y"], row["z"], row["hand_closed"]) for row in map(json.loads, lines)]


def to_arm(position):
    """Convert a position in the recording's units to metres in the arm's base frame."""
    x, y, z = position
    return (ORIGIN[0] + UNIT * z, ORIGIN[1] - UNIT * x, ORIGIN[2] + UNIT * y)


def to_hand(position):
    """Convert a position from the arm's base frame to the axes of the recording, both in metres."""
    x, y, z = (value - origin for value, origin in zip(position, ORIGIN))
    return (-y, z, x)


@dataclasses.dataclass(frozen=True)
class Event:
    """A run of samples that are not the motion of a hand: `count` samples from `start`."""

    start: int
    count: int

    @property
    def end(self):
        return self.start + self.count


def zeros(samples):
    """Return the runs of all-zero samples, also single ones."""
    return [Event(start, count) for start, count in _runs([sample.is_zero or None for sample in samples])]


def frozen(samples):
    """Return the runs of exactly repeated samples that are followed by zeros: a lost hand."""
    runs = _runs([None if sample.is_zero else sample.position for sample in samples])
    followed = [(start, count) for start, count in runs if start + count < len(samples)]
    return [Event(start + 1, count - 1) for start, count in followed if count > 1 and samples[start + count].is_zero]


def swaps(samples, farther_than=100.0):
    """Return where another hand appears: pairs of indices, its first sample and the one before."""
    seen = [index for index, sample in enumerate(samples) if not sample.is_zero]
    pairs = zip(seen, seen[1:])
    return [(i, j) for j, i in pairs if math.dist(samples[i].position, samples[j].position) > farther_than]


def _runs(values):
    """Return pairs of start and length of runs of equal values. Values of None are left out."""
    runs, start = [], 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            if values[start] is not None:
                runs.append((start, index - start))
            start = index
    return runs
