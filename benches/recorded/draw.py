#!/usr/bin/env python3
"""Draw docs/recorded.svg from the file that trace.py writes.

    python3 -m venv build/draw && build/draw/bin/pip install -r benches/recorded/requirements.txt
    build/draw/bin/python benches/recorded/draw.py build/trace.json docs/recorded.svg

Needs matplotlib. Does not need ROS.
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

# Colours of the palette of Okabe and Ito, which colour-blind people can distinguish. They also
# differ in lightness, and the lines differ in width.
HAND, ARM = "#E69F00", "#0072B2"
SWAP = {"marker": "v", "color": "black", "markersize": 7, "clip_on": False}
ZERO = {"marker": "|", "color": "black", "markersize": 9, "markeredgewidth": 1.5, "clip_on": False}
MOTIONS = {"DISARMED": "#C8C8C8", "HOLDING": "#CC79A7", "APPROACH": "#F0E442"}
AXES = (("y", 1, "y, left"), ("z", 2, "z, up"), ("x", 0, "x, forward"))
# A larger distance between two samples is not the motion of a hand. In metres.
JUMP = 0.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trace", type=pathlib.Path, help="the file that trace.py has written")
    parser.add_argument("picture", type=pathlib.Path, help="the picture to write, .svg or .png")
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
    # Round to a hundredth of a point, which no screen can show. Do not round the scales of letters.
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
    draw_zoom(zooms[1], recording, (40.0, 43.6), "the tracker jumps to another hand")
    draw_zoom(zooms[2], recording, (57.0, 58.6), "another hand, frozen, gone")
    draw_sweep(zooms[3], sweep)
    draw_legend(figure)
    return figure


def draw_events(axes, trace: dict) -> None:
    """Draw the samples that cannot be the motion of one hand: jumps, single zeros, and no hand."""
    hand = trace["hand"]
    for before, sample, after in zip(hand, hand[1:], hand[2:]):
        if sample["at"] is None and before["at"] and after["at"]:
            axes.plot([sample["t"]], [0.5], **ZERO)
        elif jumps(before, sample):
            axes.plot([sample["t"]], [0.5], **SWAP)
    gone = [sample["t"] for sample in hand if sample["at"] is None]
    for start, end in ((0.0, hand_comes(hand)), (hand_goes(hand), gone[-1])):
        axes.plot([start, end], [0.5, 0.5], color="black", linewidth=3, solid_capstyle="butt")
    axes.set_ylim(0, 1)
    axes.set_yticks([])
    axes.tick_params(bottom=False, labelbottom=False)
    axes.spines[["left", "bottom"]].set_visible(False)


def jumps(before: dict, sample: dict) -> bool:
    positions = before["at"], sample["at"]
    return all(positions) and sum((a - b) ** 2 for a, b in zip(*positions)) > JUMP**2


def hand_comes(hand: list) -> float:
    return next(sample["t"] for sample in hand if sample["at"])


def hand_goes(hand: list) -> float:
    return next(sample["t"] for sample in reversed(hand) if sample["at"])


def draw_motions(axes, trace: dict) -> None:
    """Mark the times in which the bridge does not follow the hand."""
    for start, end, motion in motions(trace):
        if motion in MOTIONS:
            alpha = 0.75 if motion == "HOLDING" else 0.45
            axes.axvspan(start, end, color=MOTIONS[motion], alpha=alpha, linewidth=0)


def motions(trace: dict) -> list:
    """Return tuples (start, end, motion) in order."""
    changes = []
    for status in trace["status"]:
        if not changes or changes[-1][1] != status["motion"]:
            changes.append((max(0.0, status["t"]), status["motion"]))
    ends = [start for start, _ in changes[1:]] + [trace["end"]]
    return [(start, min(end, trace["end"]), motion) for (start, motion), end in zip(changes, ends)]


def draw_ways(axes, trace: dict, index: int, between=(0.0, 1e9), middle=0.0, dots=False) -> None:
    """Draw the hand and the arm along one axis, in mm from `middle`.

    The hand's line has a gap if the tracker loses the hand or jumps to another hand.
    """
    times, positions, last = [], [], None
    for sample in trace["hand"]:
        if not between[0] <= sample["t"] <= between[1]:
            continue
        if last and (sample["at"] is None or jumps(last, sample)):
            times.append(sample["t"])
            positions.append(float("nan"))
        if sample["at"]:
            times.append(sample["t"])
            positions.append(1e3 * sample["at"][index] - middle)
        last = sample
    axes.plot(times, positions, color=HAND, linewidth=1.1, marker="." if dots else None, markersize=3)
    arm = [command for command in trace["arm"] if between[0] <= command["t"] <= between[1]]
    # The arm stays at the position of the last command.
    last_time = min(trace["end"], between[1])
    times = [command["t"] for command in arm] + [last_time]
    positions = [1e3 * command["at"][index] - middle for command in arm]
    axes.plot(times, [*positions, positions[-1]], color=ARM, linewidth=1.6)


def draw_gripper(axes, trace: dict) -> None:
    for entries, level, colour in ((trace["hand_closed"], 1.0, HAND), (trace["arm"], 0.0, ARM)):
        # Each value is valid until the next, and the last value until the end.
        ends = [each["t"] for each in entries[1:]] + [trace["end"]]
        spans = [(each["t"], end - each["t"]) for each, end in zip(entries, ends) if each["closed"]]
        axes.broken_barh(joined(spans), (level - 0.15, 0.3), color=colour, linewidth=0)
    axes.set_ylim(-0.6, 1.6)
    axes.set_yticks([0, 1], ["arm", "hand"])
    axes.set_ylabel("gripper\nclosed")
    axes.set_xlabel("time, s")


def joined(spans: list) -> list:
    """Join spans (start, length) that touch. The spans are in order."""
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
    """Return the first time at which y has the other sign."""
    first = entries[0]["at"][1]
    return next(each["t"] for each in entries if each["at"][1] * first < 0)


def label(axes, title: str) -> None:
    axes.set_title(title)
    axes.set_xlabel("time, s")


def draw_legend(figure) -> None:
    handles = [
        Line2D([], [], color=HAND, linewidth=1.5, marker=".", label="hand, as recorded (on target_pose)"),
        Line2D([], [], color=ARM, linewidth=2, label="arm, as commanded"),
        Patch(color=MOTIONS["DISARMED"], alpha=0.45, label="DISARMED"),
        Patch(color=MOTIONS["APPROACH"], alpha=0.45, label="APPROACH, at most 0.1 m/s"),
        Patch(color=MOTIONS["HOLDING"], alpha=0.75, label="HOLDING, nothing is sent"),
        Line2D([], [], linestyle="", **SWAP, label="the tracker jumps to another hand"),
        Line2D([], [], linestyle="", **ZERO, label="a single zero"),
        Line2D([], [], color="black", linewidth=3, label="zeros: no hand"),
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)


if __name__ == "__main__":
    main()
