"""Tests tools/soak: the sequence of a seed, and how it judges memory, threads and descriptors."""

import itertools
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tools"))

from soaking import report  # noqa: E402
from soaking.faults import FAULTS, sequence  # noqa: E402
from soaking.processes import Sample  # noqa: E402

SECONDS = 1800.0


def played(seed, count):
    return [(fault.name, lasts) for fault, lasts in itertools.islice(sequence(random.Random(seed)), count)]


def test_seed_plays_every_fault_before_repeating():
    once = played(7, len(FAULTS))
    assert once == played(7, len(FAULTS)) != played(8, len(FAULTS))
    assert {name for name, _ in once} == {fault.name for fault in FAULTS}


def samples(growth=0, threads=14, descriptors=25):
    """Return samples of half an hour. They are flat, except for these changes at the end."""
    first = [Sample(float(at), 34_000, 14, 25, 0.0) for at in range(0, 900, 10)]
    return first + [Sample(float(at), 34_000 + growth, threads, descriptors, 0.0) for at in range(900, 1800, 10)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"growth": 500}, None),
        ({"growth": 600}, "memory has grown from 34000 to 34600 KiB"),
        ({"growth": -600}, None),
        ({"threads": 15}, "the number of threads changed after the warm-up: from 14 to 15"),
        ({"descriptors": 24}, "the number of descriptors changed after the warm-up: from 24 to 25"),
    ],
    ids=str,
)
def test_growth_after_warm_up_is_a_problem(change, words):
    problems = report.judge(samples(**change), SECONDS)
    assert len(problems) == (words is not None) and all(words in problem for problem in problems), problems


def test_growth_during_warm_up_is_ignored():
    early = [Sample(float(at), 20_000 + at, at, at, 0.0) for at in range(10)]
    assert report.judge(early + samples(), SECONDS) == []
    assert report.judge(early, SECONDS) == ["too few samples after the warm-up"]
