#!/usr/bin/env python3
"""Draws what trace.py has written: docs/recorded.svg.

    python3 -m venv build/draw && build/draw/bin/pip install -r benches/recorded/requirements.txt
    build/draw/bin/python benches/recorded/draw.py build/trace.json docs/recorded.svg

Needs matplotlib and no ROS.
"""

import argparse
import json
import pathlib
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

# Of Okabe and Ito's palette, which colour-blind eyes tell apart; and they differ in lightness and width too.
HAND, ARM = "#E69F00", "#0072B2"
SWAP = {"marker": "v", "color": "black", "markersize": 7, "clip_on": False}
ZERO = {"marker": "|", "color": "black", "markersize": 9, "markeredgewidth": 1.5, "clip_on": False}
MOTIONS = {"DISARMED": "#C8C8C8", "HOLDING": "#CC79A7", "APPROACH": "#F0E442"}
AXES = (("y", 1, "y, left"), ("z", 2, "z, up"), ("x", 0, "x, forward"))
# Farther between two samples is no hand's motion, in metres.
LEAP = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=pathlib.Path, help="what trace.py has written")
    parser.add_argument("picture", type=pathlib.Path, help="to write, .svg or .png")
    options = parser.parse_args()
    plt.rcParams.update(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 9,
            "axes.titlelocation": "left",
            "svg.hashsalt": "aether_bridge",
            "path.simplify_threshold": 0.3,
        }
    )
    figure = draw(**json.loads(options.trace.read_text()))
    if options.picture.suffix != ".svg":
        figure.savefig(options.picture, dpi=110)
        return
    figure.savefig(options.picture, metadata={"Date": None})
    # A hundredth of a point is more than any screen shows; but leave the scales of the letters alone.
    shorter = re.compile(r'(?<= )(d|x|y)="[^"]*"')
    rounded = shorter.sub(lambda found: re.sub(r"(?<=\.\d\d)\d+", "", found[0]), options.picture.read_text())
    options.picture.write_text(rounded)


def draw(recording: dict, sweep: dict):
    figure = plt.figure(figsize=(11, 11), layout="constrained")
    rows = figure.add_gridspec(6, 1, height_ratios=[0.35, 2.4, 1.5, 1.1, 0.55, 2.5])
    events = figure.add_subplot(rows[0])
    whole = [figure.add_subplot(row, sharex=events) for row in (rows[1], rows[2], rows[3])]
    gripper = figure.add_subplot(rows[4], sharex=events)
    zooms = [figure.add_subplot(cell) for cell in rows[5].subgridspec(1, 4)]

    draw_events(events, recording)
    for axes, (_, index, name) in zip(whole, AXES):
        draw_motions(axes, recording)
        draw_ways(axes, recording, index)
        axes.set_ylabel(f"{name}\nmm")
        axes.tick_params(labelbottom=False)
    draw_gripper(gripper, recording)
    events.set_xlim(0, recording["end"])

    draw_rest(zooms[0], recording)
    draw_zoom(zooms[1], recording, (40.0, 43.6), "another hand for the one that was")
    draw_zoom(zooms[2], recording, (57.0, 58.6), "another hand, frozen, gone")
    draw_sweep(zooms[3], sweep)
    draw_legend(figure)
    return figure


def draw_events(axes, trace: dict) -> None:
    """What the tracker says that no hand does."""
    hand = trace["hand"]
    for before, sample, after in zip(hand, hand[1:], hand[2:]):
        if sample["at"] is None and before["at"] and after["at"]:
            axes.plot([sample["t"]], [0.5], **ZERO)
        elif leaps(before, sample):
            axes.plot([sample["t"]], [0.5], **SWAP)
    gone = [sample["t"] for sample in hand if sample["at"] is None]
    for start, end in ((0.0, hand_comes(hand)), (hand_goes(hand), gone[-1])):
        axes.plot([start, end], [0.5, 0.5], color="black", linewidth=3, solid_capstyle="butt")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def leaps(before: dict, sample: dict) -> bool:
    places = before["at"], sample["at"]
    return all(places) and sum((a - b) ** 2 for a, b in zip(*places)) > LEAP**2


def hand_comes(hand: list) -> float:
    return next(sample["t"] for sample in hand if sample["at"])


def hand_goes(hand: list) -> float:
    return next(sample["t"] for sample in reversed(hand) if sample["at"])


def draw_motions(axes, trace: dict) -> None:
    """What the bridge does, where it does not follow the hand."""
    for start, end, motion in motions(trace):
        if motion in MOTIONS:
            alpha = 0.75 if motion == "HOLDING" else 0.45
            axes.axvspan(start, end, color=MOTIONS[motion], alpha=alpha, linewidth=0)


def motions(trace: dict) -> list:
    """(start, end, motion), in order."""
    changes = []
    for status in trace["status"]:
        if not changes or changes[-1][1] != status["motion"]:
            changes.append((max(0.0, status["t"]), status["motion"]))
    ends = [start for start, _ in changes[1:]] + [trace["end"]]
    return [(start, min(end, trace["end"]), motion) for (start, motion), end in zip(changes, ends)]


def draw_ways(axes, trace: dict, index: int, between=(0.0, 1e9), middle=0.0, dots=False) -> None:
    """Hand and arm along one axis, in mm from `middle`; the hand's line is broken where it is lost or swapped."""
    times, places, last = [], [], None
    for sample in trace["hand"]:
        if not between[0] <= sample["t"] <= between[1]:
            continue
        if last and (sample["at"] is None or leaps(last, sample)):
            times.append(sample["t"])
            places.append(float("nan"))
        if sample["at"]:
            times.append(sample["t"])
            places.append(1e3 * sample["at"][index] - middle)
        last = sample
    axes.plot(times, places, color=HAND, linewidth=1.1, marker="." if dots else None, markersize=3)
    arm = [command for command in trace["arm"] if between[0] <= command["t"] <= between[1]]
    # The arm stays where the last command put it.
    last_time = min(trace["end"], between[1])
    times = [command["t"] for command in arm] + [last_time]
    places = [1e3 * command["at"][index] - middle for command in arm]
    axes.plot(times, [*places, places[-1]], color=ARM, linewidth=1.6)


def draw_gripper(axes, trace: dict) -> None:
    for entries, level, colour in ((trace["hand_closed"], 1.0, HAND), (trace["arm"], 0.0, ARM)):
        # Each stands until the next, and the last to the end.
        ends = [each["t"] for each in entries[1:]] + [trace["end"]]
        spans = [(each["t"], end - each["t"]) for each, end in zip(entries, ends) if each["closed"]]
        axes.broken_barh(joined(spans), (level - 0.15, 0.3), color=colour, linewidth=0)
    axes.set_ylim(-0.6, 1.6)
    axes.set_yticks([0, 1], ["arm", "hand"])
    axes.set_ylabel("gripper\nclosed")
    axes.set_xlabel("time, s")


def joined(spans: list) -> list:
    """Spans of (start, length) in order, those that touch made one."""
    whole = []
    for start, length in spans:
        if whole and start - sum(whole[-1]) < 1e-3:
            whole[-1] = (whole[-1][0], start + length - whole[-1][0])
        else:
            whole.append((start, length))
    return whole


def draw_rest(axes, trace: dict) -> None:
    between = (5.0, 8.0)
    rest = [1e3 * sample["at"][1] for sample in trace["hand"] if between[0] <= sample["t"] <= between[1]]
    draw_ways(axes, trace, 1, between, sum(rest) / len(rest), dots=True)
    axes.set_xlim(*between)
    label(axes, "a hand at rest\ny from its mean, mm")


def draw_zoom(axes, trace: dict, between: tuple, title: str) -> None:
    draw_motions(axes, trace)
    draw_ways(axes, trace, 1, (between[0] - 1, between[1] + 1), dots=True)
    axes.set_xlim(*between)
    label(axes, f"{title}\ny, mm")


def draw_sweep(axes, trace: dict) -> None:
    draw_ways(axes, trace, 1, dots=True)
    arm = crossing(trace["arm"])
    axes.annotate("", (arm, 0.0), (arm - trace["lag"], 0.0), arrowprops={"arrowstyle": "-", "linewidth": 1.5})
    axes.text(arm + 0.05, 0.0, f"{trace['lag']:.2f} s", va="center")
    axes.set_xlim(0, 2.8)
    label(axes, "a sweep at 0.2 m/s, with noise\ny, mm")


def crossing(entries: list) -> float:
    """When y is first on the other side of 0."""
    first = entries[0]["at"][1]
    return next(each["t"] for each in entries if each["at"][1] * first < 0)


def label(axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("time, s")


def draw_legend(figure) -> None:
    handles = [
        Line2D([], [], color=HAND, linewidth=1.5, marker=".", label="hand, as recorded (what target_pose says)"),
        Line2D([], [], color=ARM, linewidth=2, label="arm, as commanded"),
        Patch(color=MOTIONS["DISARMED"], alpha=0.45, label="DISARMED"),
        Patch(color=MOTIONS["APPROACH"], alpha=0.45, label="APPROACH, at most 0.1 m/s"),
        Patch(color=MOTIONS["HOLDING"], alpha=0.75, label="HOLDING, nothing is sent"),
        Line2D([], [], linestyle="", **SWAP, label="the tracker takes another hand for it"),
        Line2D([], [], linestyle="", **ZERO, label="a single zero"),
        Line2D([], [], color="black", linewidth=3, label="zeros: no hand"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)


if __name__ == "__main__":
    main()
