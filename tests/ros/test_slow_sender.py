"""Tests slow publishers, and publishers that stop: the reason stays the same between two messages.
"""

import pytest
from harness import QUICK

PLACE = (0.12, 0.0355, 0.21)
NOWHERE = (float("nan"), 0.0, 0.0)
SLOW = {**QUICK, "arm.home": list(PLACE), "input.timeout": 0.2, "teleop.settle_time": 1.0}


@pytest.mark.parametrize(
    ("rate", "parameters", "below"),
    [
        (1.0, {}, "input.min_rate 5.0 Hz"),
        (2.0, {}, "input.min_rate 5.0 Hz"),
        (2.0, {"input.min_rate": 1.0}, "the 5.0 Hz that input.timeout 0.20 s needs"),
        (1.0, {"input.timeout": 5.0, "teleop.settle_time": 4.0}, "input.min_rate 5.0 Hz"),
    ],
)
def test_slow_publisher_has_one_reason_with_rate(controller, bridge, hand, rate, parameters, below):
    status = bridge(controller, {**SLOW, **parameters}).status
    tracker = hand(PLACE, rate=rate)
    status.wait(reason=f"targets come at {rate:.0f}\\.[0-9] Hz, below {below}|targets come at 0\\.9[0-9] Hz, below {below}")
    first = len(status.seen)
    # Several periods, with a status twice a second.
    status.seen.wait_count(first + 8)
    for seen in status.seen[first:]:
        assert "targets come at" in seen.message.reason and "no new target" not in seen.message.reason, seen
    controller.lines.assert_none()
    # The tracker stops finally.
    tracker.stop()
    status.wait(reason="no new target for .*; the last was rejected: targets come at")
    tracker.rate = 30.0
    tracker.start()
    status.wait(motion="TRACKING")


@pytest.mark.parametrize("no_hand", [(0.0, 0.0, 0.0), NOWHERE], ids=["zero", "not a number"])
def test_tracker_stopped_after_refusal_is_stale(controller, bridge, hand, no_hand):
    status = bridge(controller, SLOW).status
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = no_hand
    status.wait(motion="HOLDING", reason="target rejected: ")
    tracker.stop()
    status.wait(motion="HOLDING", reason="no new target for [1-9].*; the last was rejected: (all zero|x is NaN)")
