#!/usr/bin/env python3
"""Print the effect and the delay of the filter, with the real node and the noise of a real tracker.

    tools/ros-env benches/jitter.py [--set filter.beta=45.0]... [--sweeps 5]

Uses the recorded hand in tests/data. While the hand rests, the figures are the standard deviations
of the commands and of the hand. In a sweep at 0.2 m/s with the recorded noise, the figure is the
delay that best aligns the commands with the hand. Each figure is measured with and without the
filter. The delay is also measured with and without the limit of acceleration. The script prints
figures and does not judge them.
"""

import argparse
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "ros"))
from graph import own_session  # noqa: E402

WITHOUT_FILTER = {"filter.kind": "none"}
# Much more than any motion here needs.
WITHOUT_LIMIT = {"limits.acceleration": 10.0}
AXES = ("x, across", "y, up", "z, depth")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--set", metavar="NAME=NUMBER", action="append", default=[], type=parameter, help="set a parameter"
    )
    parser.add_argument(
        "--sweeps", type=int, default=5, help="number of sweeps; the median is printed (default: %(default)s)"
    )
    options = parser.parse_args()
    if options.sweeps < 1:
        parser.error(f"--sweeps is {options.sweeps}; set 1 or more")

    try:
        with own_session() as session, tempfile.TemporaryDirectory() as log_folder:
            report(session, dict(options.set), options.sweeps, log_folder)
    except KeyboardInterrupt:
        return 130
    return 0


def parameter(text: str) -> tuple[str, float]:
    """Parse NAME=NUMBER."""
    name, _, number = text.partition("=")
    try:
        return name, float(number)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=NUMBER; write it like filter.beta=45.0") from None


def report(session, parameters: dict, count: int, log_folder: str) -> None:
    import smoothing

    given = ", ".join(f"{name} {value:g}" for name, value in parameters.items()) or "the defaults"
    print(f"With {given}:\n")

    print("At rest, standard deviation in mm, command / hand (wanted: at most 0.33 over the 4 s, x and y)")
    print(f"{'':22}" + "".join(f"{axis:>22}" for axis in AXES))
    for still, (_, start, end) in smoothing.STILL.items():
        for name, changes in (("filter", {}), ("no filter", WITHOUT_FILTER)):
            noise = smoothing.noise_at_rest(session, {**parameters, **changes}, log_folder, still)
            cells = "".join(f"{cell(each):>22}" for each in noise)
            print(f"{start:4.1f} to {end:4.1f} s {name:>9}{cells}", flush=True)

    speed, length = smoothing.SWEEP_SPEED, smoothing.SWEEP_LENGTH
    print(f"\nIn a sweep of {length} m at {speed} m/s, lag in ms, median of {count} (wanted: below 80 in the middle)")
    print(f"{'':44}{'from the start':>16}{'in the middle':>16}")
    for limit, limits in (("acceleration as it is", {}), ("acceleration 10 m/s²", WITHOUT_LIMIT)):
        for name, changes in (("filter", {}), ("no filter", WITHOUT_FILTER)):
            sweeps = smoothing.sweeps(session, {**parameters, **limits, **changes}, log_folder, count)
            all_of_it, middle = (
                1e3 * statistics.median(lags) for lags in zip(*((each.lag, each.lag_in_the_middle) for each in sweeps))
            )
            print(f"{limit:>26}, {name:<16}{all_of_it:16.0f}{middle:16.0f}", flush=True)


def cell(noise) -> str:
    if noise.input == 0:
        return "hand: 0"
    return f"{1e3 * noise.command:.2f} / {1e3 * noise.input:.2f} = {noise.ratio:.2f}"


if __name__ == "__main__":
    sys.exit(main())
