"""Measures the effect of smoothing: the jitter of the arm at rest, and its lag in a sweep."""

import bisect
import dataclasses
import statistics

from recording import NO_HAND, RATE, UNIT, Sample, load, to_arm, to_hand
from replay import PATIENT, Rig

# A resting hand, in seconds of the recording: start of playing, start of the rest, end. The bridge
# follows the hand before the measurement begins.
STILL = {"4 s": (2.8, 4.0, 8.0), "1.4 s": (17.0, 20.0, 21.4)}
# The bridge follows the hand as soon as it appears.
IMMEDIATE = {**PATIENT, "teleop.settle_time": 0.1}
SWEEP_SPEED, SWEEP_LENGTH, SWEEP_REST = 0.2, 0.36, 1.0


@dataclasses.dataclass(frozen=True)
class Noise:
    """Standard deviations along one axis of the recording, in metres."""

    input: float
    command: float

    @property
    def ratio(self):
        return self.command / self.input if self.input > 0 else 0.0


def noise_at_rest(session, parameters, log_folder, still="4 s"):
    """Return the Noise of each axis while the recorded hand rests."""
    begin, start, end = (round(RATE * seconds) for seconds in STILL[still])
    samples = load()[begin:end]
    home = list(to_arm(samples[start - begin].position))
    with Rig(session, {**IMMEDIATE, "arm.home": home, **parameters}, NO_HAND, log_folder) as rig:
        rig.status.wait(state="CONNECTED", reason="all zero")
        played = rig.stream.play(samples)[start - begin :]
        run = rig.finish()
    stamps, positions = zip(*run.stamped())
    assert stamps[0] < played[0].stamp, "the bridge did not follow the hand in time"
    # One value for each sample: the command that is in force when the next sample is due.
    in_force = [positions[bisect.bisect(stamps, each.stamp + 1 / RATE) - 1] for each in played]
    given = zip(*([UNIT * value for value in each.sample.position] for each in played))
    made = zip(*map(to_hand, in_force))
    return [Noise(statistics.pstdev(one), statistics.pstdev(other)) for one, other in zip(given, made)]


def sweep_samples():
    """Return a sweep with the recorded noise: samples, and their positions without noise."""
    begin, end = (round(RATE * seconds) for seconds in STILL["4 s"][1:])
    still = load()[begin:end]
    mean = [statistics.fmean(sample.position[axis] for sample in still) for axis in range(3)]
    noise = [[value - middle for value, middle in zip(sample.position, mean)] for sample in still]
    half = SWEEP_LENGTH / UNIT / 2
    step = SWEEP_SPEED / RATE / UNIT
    way = [min(half, -half + step * index) for index in range(round(2 * half / step) + round(SWEEP_REST * RATE))]
    positions = [(x, mean[1], mean[2]) for x in way]
    samples = [Sample(*(a + b for a, b in zip(position, shake)), False) for position, shake in zip(positions, noise)]
    return samples, positions


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One sweep across the picture."""

    # The delay in seconds at which the commands fit the path of the hand best: for all commands,
    # and for the commands in the middle.
    lag: float
    lag_in_the_middle: float


def sweeps(session, parameters, log_folder, count):
    """Return sweeps to and fro."""
    return play_sweeps(session, parameters, log_folder, count)[2]


def play_sweeps(session, parameters, log_folder, count):
    """Play sweeps to and fro.

    Return the run, the published samples of each sweep, and the Sweeps.
    """
    there, positions = sweep_samples()
    back = [Sample(-sample.x, sample.y, sample.z, False) for sample in there]
    home = list(to_arm(there[0].position))
    with Rig(session, {**IMMEDIATE, "arm.home": home, **parameters}, there[0], log_folder) as rig:
        rig.status.wait(motion="TRACKING")
        played = []
        for index in range(count):
            samples = back if index % 2 else there
            played.append(rig.stream.play(samples, then=samples[-1]))
        run = rig.finish()
    xs = [UNIT * position[0] for position in positions]
    ways = [_sweep(run, one, [-x for x in xs] if index % 2 else xs) for index, one in enumerate(played)]
    return run, played, ways


def _sweep(run, played, xs):
    start, end = played[0].stamp, played[-1].stamp
    moving = SWEEP_LENGTH / SWEEP_SPEED
    commands = [(stamp, to_hand(position)[0]) for stamp, position in run.stamped() if start <= stamp <= end]
    middle = [each for each in commands if start + 0.4 * moving <= each[0] <= start + 0.9 * moving]
    # Use the publication times. The time that a busy machine takes to wake this process is not a
    # lag of the bridge.
    times = [each.ros for each in played]
    return Sweep(_lag(commands, times, xs), _lag(middle, times, xs))


def _lag(commands, times, xs):
    """Return the delay in seconds by which the line through `xs` at `times` fits the commands best.
    """

    def misfit(delay):
        return sum((made - _at(times, xs, at - delay)) ** 2 for at, made in commands)

    return min((delay * 0.001 for delay in range(-20, 400)), key=misfit)


def _at(times, xs, at):
    index = min(max(bisect.bisect(times, at), 1), len(times) - 1)
    share = (at - times[index - 1]) / (times[index] - times[index - 1])
    return xs[index - 1] + min(max(share, 0.0), 1.0) * (xs[index] - xs[index - 1])
