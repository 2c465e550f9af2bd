"""Tests SIGINT and SIGTERM: no new motion, a last status with the reason, and a quick end."""

import os
import pty
import signal
import sys

import pytest
from harness import LATCHED, LINK_STATES, MOTIONS, QUICK
from record import MEASUREMENTS
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

PLACE = (0.12, 0.0355, 0.21)
FAR = (-0.25, 0.2, 0.1)
SIGNALS = pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda ending: ending.name)
WANTED = "wanted: 500 ms"
# Seconds. A busy machine may need this long.
PROMPT = 5.0


@SIGNALS
def test_signal_in_motion_ends_bridge_cleanly(controller, bridge, hand, peer, ending):
    connected = peer.record(Bool, "/aether_bridge/connected", LATCHED)
    started = bridge(controller, {**QUICK, "arm.home": list(PLACE)})
    hand(FAR, rate=100.0)
    started.status.wait(lambda status: status.acknowledged > 10, motion="APPROACH")

    took = started.end(ending)
    MEASUREMENTS.seconds(f"{ending.name} in motion → exit", took, WANTED)
    assert took < PROMPT
    last = started.status.wait(state="DISCONNECTED")
    assert "shutting down" in last.reason and MOTIONS[last.motion] not in ("APPROACH", "TRACKING")
    # The status counts exactly the received commands: no command comes after it.
    assert last.sent == controller.mark()
    assert LINK_STATES[started.status.newest().state] == "DISCONNECTED"
    connected.wait(lambda message: not message.data)
    assert connected[-1].data is False
    started.log.wait(lambda line: f"{ending.name}: shutting down" in line)


@SIGNALS
def test_signal_without_controller_ends_process(controllers, bridge, ending):
    started = bridge(controllers(up=False))
    # Also during the long waits between attempts.
    started.status.wait(lambda status: status.attempts >= 4, state="BACKOFF")
    took = started.end(ending)
    MEASUREMENTS.seconds(f"{ending.name} in back-off → exit", took, WANTED)
    assert took < PROMPT
    assert "shutting down" in started.status.wait(state="DISCONNECTED").reason


@SIGNALS
def test_signal_with_unresponsive_controller_ends_process(controllers, bridge, hand, ending):
    started = bridge(controllers(reply=None), {**QUICK, "arm.home": list(PLACE), "link.reply_timeout": 0.1})
    hand(FAR)
    started.status.wait(state="UNRESPONSIVE")
    assert started.end(ending) < PROMPT
    assert "shutting down" in started.status.wait(state="DISCONNECTED").reason


def test_last_status_reports_latched_stop(controller, bridge, peer):
    started = bridge(controller, QUICK)
    peer.call(Trigger, "/aether_bridge/stop")
    started.end()
    assert MOTIONS[started.status.wait(state="DISCONNECTED").motion] == "STOPPED"


def test_several_signals_do_not_crash(controller, bridge):
    started = bridge(controller, QUICK)
    started.status.wait(state="CONNECTED")
    for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
        os.kill(started.process.pid, ending)
    assert started.end() < PROMPT


def test_signal_during_start_ends_process(controller, launch):
    started = launch({"link.port": controller.port})
    started.log.wait(lambda line: "link up" in line)
    assert started.end(signal.SIGTERM) < PROMPT


def test_connection_is_closed_at_the_end(controller, bridge):
    started = bridge(controller, QUICK)
    started.status.wait(state="CONNECTED")
    controller.connections.wait()
    started.end()
    controller.closed.wait()


# Makes the terminal of a new session the standard output, as sshd and a terminal window do, and
# then runs a command.
IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(1, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_closed_terminal_ends_process_with_stop_line(controller, bridge, hand):
    terminal, inner = pty.openpty()
    parameters = {**QUICK, "arm.home": list(PLACE), "teleop.hold_behavior": "stop"}
    under = [sys.executable, "-c", IN_A_TERMINAL]
    started = bridge(controller, parameters, under=under, output=inner)
    os.close(inner)
    hand(FAR, rate=100.0)
    started.status.wait(lambda status: status.acknowledged > 10, motion="APPROACH")
    os.close(terminal)
    assert started.wait() == 0
    controller.closed.wait()
    last = controller.stops[-1]
    assert not [line for line in controller.lines if line.at > last.at]


def test_bridge_under_nohup_outlives_terminal(controller, bridge):
    # nohup does this before it runs a command.
    started = bridge(controller, QUICK, under=["sh", "-c", 'trap "" HUP; exec "$0" "$@"'])
    started.status.wait(state="CONNECTED")
    os.kill(started.process.pid, signal.SIGHUP)
    os.kill(started.process.pid, signal.SIGINT)
    assert started.wait() == 0
    assert not any("SIGHUP" in line for line in started.log) and any("SIGINT" in line for line in started.log)
