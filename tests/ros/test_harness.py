"""Tests the harness of the graph tests."""

import contextlib
import types

import pytest
from controller import Journal, command
from faults import judge_lines
from harness import LATCHED, Peer
from std_msgs.msg import Bool, Float32


def test_next_test_may_use_another_topic_type(ros_session):
    # Create the nodes first: creating a node takes so long that the previous one would be gone.
    peers = [Peer(ros_session) for _ in range(20)]
    for peer, message in zip(peers, [Bool(), Float32()] * 10):
        peer.node.create_publisher(type(message), "/in_turn", LATCHED).publish(message)
        # This fails if the subscription of the previous test still exists with its other type.
        peer.record(type(message), "/in_turn", LATCHED).wait()
        peer.close()


def recorded(*events):
    """Return a fake controller with these events, for judge_lines."""
    journal = Journal()
    journal.events = [{"at": at, "connection": 1, "event": event, "text": text} for at, event, text in events]
    return [types.SimpleNamespace(journal=journal)]


@pytest.mark.parametrize(
    ("x", "answer", "violation"),
    [("204.0", "reply", None), ("290.0", "reply", "speed"), ("301.0", "reply", "workspace"), ("204.0", "quiet", "pace")],
)
def test_forbidden_line_fails_the_row(x, answer, violation):
    line = lambda x: command(x, "0.0", "200.0").decode().rstrip()  # noqa: E731
    events = [(1.0, "connected", ""), (1.05, "quiet", ""), (1.1, "line", line("202.0")), (1.11, answer, '{"status":"ok"}'), (1.12, "line", line(x))]
    with contextlib.nullcontext() if violation is None else pytest.raises(AssertionError, match=f'"violation":"{violation}"'):
        judge_lines(recorded(*events), {})
