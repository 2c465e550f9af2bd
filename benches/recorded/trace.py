#!/usr/bin/env python3
"""Replay the recorded hand in tests/data through the real node. Write its input and output as JSON.

    tools/ros-env benches/recorded/trace.py build/trace.json

Takes a minute and a half. draw.py draws a picture from the file.
"""

import argparse
import json
import pathlib
import re
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "ros"))
from graph import own_session  # noqa: E402

# The settings for this tracker. All others have their defaults.
PARAMETERS = {"input.frozen_timeout": 0.25}
# Parts of the reason line, each with the kind of the reason.
KINDS = {
    "zero": r"all zero",
    "jump": r"it jumped by",
    "frozen": r"exactly the same",
    "settling": r"have been good for",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=pathlib.Path, help="the file to write")
    file = parser.parse_args().file

    try:
        with own_session() as session, tempfile.TemporaryDirectory() as log_folder:
            traces = {"recording": recording(session, log_folder), "sweep": sweep(session, log_folder)}
    except KeyboardInterrupt:
        return 130
    file.write_text(json.dumps(traces))
    return 0


def recording(session, log_folder: str) -> dict:
    from recording import NO_HAND, load, zeros
    from replay import replay

    samples = load()
    run = replay(session, samples, PARAMETERS, log_folder)
    first_hand = next(index for index, each in enumerate(run.inputs) if each.sample != NO_HAND)
    start = first_hand - zeros(samples)[0].count
    return trace(run, run.inputs[start : start + len(samples)])


def sweep(session, log_folder: str) -> dict:
    from smoothing import play_sweeps

    run, (played,), (way,) = play_sweeps(session, {}, log_folder, 1)
    return {**trace(run, played), "lag": way.lag_in_the_middle}


def trace(run, inputs: list) -> dict:
    """Return the trace of a run.

    Times are in seconds from the first input. Positions are in metres in the arm's base frame.
    """
    from harness import MOTIONS, stamp_seconds
    from recording import to_arm

    start = inputs[0].stamp
    hand = [
        {"t": each.stamp - start, "at": None if each.sample.is_zero else to_arm(each.sample.position)} for each in inputs
    ]
    stamped, numbers = run.stamped(), sorted(run.commands)
    arm = [
        {"t": at - start, "at": position, "closed": run.commands[number].gripper == "closed"}
        for number, (at, position) in zip(numbers, stamped)
    ]
    status = [
        {"t": stamp_seconds(each.stamp) - start, "motion": MOTIONS[each.motion], "reason": kind(each.reason)}
        for each in run.statuses
    ]
    closed = [{"t": each.stamp - start, "closed": each.sample.closed} for each in inputs]
    return {"hand": hand, "arm": arm, "status": status, "hand_closed": closed, "end": inputs[-1].stamp - start}


def kind(reason: str) -> str:
    return next((name for name, words in KINDS.items() if re.search(words, reason)), "")


if __name__ == "__main__":
    sys.exit(main())
