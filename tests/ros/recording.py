"""The recorded hand in tests/data: its samples, what happens in it, and where that is for the arm."""

import dataclasses
import json
import math
import pathlib

FILE = pathlib.Path(__file__).parents[1] / "data" / "handstates_30hz.jsonl"
RATE = 30.0

# A plausible mapping: the camera looks at the person, who sees the arm from behind. Across is across, up is up, and a
# push towards the camera is a push forward. A unit of the recording is 2 mm, so that the picture's edges are at
# ±0.2 m, all of it inside the default workspace.
UNIT = 0.002
ORIGIN = (0.15, 0.0, 0.2)
RETARGET = {
    "retarget.scale": [UNIT, UNIT, -UNIT],
    "retarget.rotation_rpy": [math.pi / 2, 0.0, -math.pi / 2],
    "retarget.translation": list(ORIGIN),
}


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the tracker says: its own units, and whether the hand is closed."""

    x: float
    y: float
    z: float
    closed: bool

    @property
    def place(self):
        return (self.x, self.y, self.z)

    @property
    def is_zero(self):
        return self.place == (0.0, 0.0, 0.0)


NOBODY = Sample(0.0, 0.0, 0.0, False)


def load():
    """All samples, RATE of them a second."""
    with FILE.open() as lines:
        return [Sample(row["x"], row["y"], row["z"], row["hand_closed"]) for row in map(json.loads, lines)]


def to_arm(place):
    """A place in the recording's units as a position in metres in the arm's base frame."""
    x, y, z = place
    return (ORIGIN[0] + UNIT * z, ORIGIN[1] - UNIT * x, ORIGIN[2] + UNIT * y)


def to_hand(position):
    """A position in metres in the arm's base frame along the recording's axes, in metres."""
    x, y, z = (value - origin for value, origin in zip(position, ORIGIN))
    return (-y, z, x)


@dataclasses.dataclass(frozen=True)
class Event:
    """Samples that are no hand's motion: from `start`, `count` of them."""

    start: int
    count: int

    @property
    def end(self):
        return self.start + self.count


def zeros(samples):
    """The runs of all-zero samples, the single ones too."""
    return [Event(start, count) for start, count in _runs([sample.is_zero or None for sample in samples])]


def frozen(samples):
    """The samples that repeat the one before bit for bit, each run of them ended by zeros: a lost hand."""
    runs = _runs([None if sample.is_zero else sample.place for sample in samples])
    followed = [(start, count) for start, count in runs if start + count < len(samples)]
    return [Event(start + 1, count - 1) for start, count in followed if count > 1 and samples[start + count].is_zero]


def swaps(samples, farther_than=100.0):
    """Where the hand is suddenly another: pairs of the index of the first sample of that, and of the last before."""
    seen = [index for index, sample in enumerate(samples) if not sample.is_zero]
    pairs = zip(seen, seen[1:])
    return [(i, j) for j, i in pairs if math.dist(samples[i].place, samples[j].place) > farther_than]


def _runs(values):
    """Pairs of start and length of the runs of equal values, those of None left out."""
    runs, start = [], 0
    for index in range(1, len(values) + 1):
        if index == len(values) or values[index] != values[start]:
            if values[start] is not None:
                runs.append((start, index - start))
            start = index
    return runs
