"""Tests the controller of the tests: which lines it records as commands and as stops.

Needs no bridge.
"""

import socket

import pytest
from controller import OK, STOP, command, error
from record import PATIENCE

COMMAND = command("120.0", "35.5", "210.0")


@pytest.fixture
def client(controller):
    """A function that sends bytes to the controller and returns this many reply lines."""
    with socket.create_connection(("127.0.0.1", controller.port), PATIENCE) as connection:
        replies = connection.makefile("rb")

        def ask(data, count=1):
            connection.sendall(data)
            return [replies.readline() for _ in range(count)]

        yield ask


def test_stops_are_recorded_separately_and_get_replies(controller, client):
    assert client(COMMAND) == [OK]
    before = controller.mark()
    controller.stop_reply = lambda line: error("what is a stop?")
    assert client(STOP + COMMAND + STOP, 3) == [error("what is a stop?"), OK, error("what is a stop?")]
    assert (before, controller.mark()) == (1, 2)
    assert [line.data for line in controller.lines.wait_count(2)] == [COMMAND, COMMAND]
    stops = controller.stops.wait_count(2)
    assert [line.data for line in stops] == [STOP, STOP]
    assert stops[0].at <= controller.lines[1].at <= stops[1].at


def test_stop_gets_ok_unless_controller_is_silent(controller, client):
    assert client(STOP) == [OK]
    controller.reply = None
    client(STOP + COMMAND, 0)
    controller.lines.wait()
    controller.reply = lambda line: error("at last")
    assert client(COMMAND) == [error("at last")]
    assert len(controller.stops) == 2


@pytest.mark.parametrize("line", [b'{"type": "stop"}\n', b'{"type":"stop"}\r\n', b'{"type":"stop","seq":1}\n'])
def test_inexact_stop_line_is_not_a_stop(controller, client, line):
    client(line)
    with pytest.raises(AssertionError, match="not a command byte for byte"):
        assert controller.lines.wait().position
    assert len(controller.stops) == 0
