"""Tests smoothing with a real tracker's noise. benches/jitter.py prints the same figures."""

from record import MEASUREMENTS
from smoothing import noise_at_rest, sweeps

# Much higher than any motion here needs, so that only the filter has an effect.
NO_LIMIT = {"limits.acceleration": 10.0}


def test_filter_reduces_jitter_to_a_third(ros_session, tmp_path):
    across, up, _ = noise_at_rest(ros_session, {}, tmp_path)
    for name, noise in (("across", across), ("up", up)):
        MEASUREMENTS.note(f"at rest, {name}: command / input", f"{noise.ratio:8.2f}", "at most 1/3")
        assert noise.input > 0.5e-3
        assert noise.ratio <= 1 / 3, f"{name}: {noise}"


def test_without_filter_jitter_equals_hand(ros_session, tmp_path):
    across, up, _ = noise_at_rest(ros_session, {"filter.kind": "none"}, tmp_path)
    assert across.ratio > 0.8 and up.ratio > 0.8


def test_filter_lag_is_below_80_ms(ros_session, tmp_path):
    assert _lag(ros_session, NO_LIMIT, tmp_path, "without a limit of acceleration") < 0.08


def test_arm_lag_is_below_80_ms(ros_session, tmp_path):
    assert _lag(ros_session, {}, tmp_path, "defaults") < 0.08


def _lag(session, parameters, log_folder, what):
    # A busy machine only adds to a lag, so the shortest lag is closest to that of the filter.
    lag = min(sweep.lag_in_the_middle for sweep in sweeps(session, parameters, log_folder, 5))
    MEASUREMENTS.seconds(f"lag in a sweep of 0.2 m/s, {what}", lag, "below 80 ms")
    return lag
