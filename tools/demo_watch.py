"""A ROS node that watches the bridge, shows changes, and records facts for the summary."""

import math
import re
import signal

import rclpy
from aether_bridge.msg import ArmCommand, ArmState, LinkStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions

LINK_STATES = ("DISCONNECTED", "CONNECTING", "CONNECTED", "UNRESPONSIVE", "BACKOFF", "LISTENING")
MOTION_STATES = ("DISARMED", "APPROACH", "TRACKING", "HOLDING", "STOPPED")
LINK_NAMES = {getattr(LinkStatus, name): name for name in LINK_STATES}
MOTION_NAMES = {getattr(LinkStatus, name): name for name in MOTION_STATES}
STYLES = {"CONNECTED": "good", "TRACKING": "good", "APPROACH": "warn", "HOLDING": "warn", "CONNECTING": "warn"}
STEP = 0.05


class Interrupted(Exception):
    """The user or the parent process ends the demo. The text is the name of the signal."""


class Record:
    """The facts that the story waits for and that the summary shows.

    Times come from the stamps of messages.
    """

    def __init__(self) -> None:
        self.status = None
        self.killed_at = self.lost_at = self.held_at = self.reconnected_at = self.moving_again_at = None
        # The counters when the link was lost.
        self.at_loss = None
        self.commands = 0
        self.largest_step = 0.0
        # The position of the first command after the restart, and the first reported position of
        # the restarted arm.
        self._first = self._restarted = None
        self._position = None

    @property
    def is_tracking(self) -> bool:
        return self.status is not None and self.status.motion == LinkStatus.TRACKING

    @property
    def acknowledged(self) -> int:
        return self.status.acknowledged if self.status else 0

    @property
    def acknowledged_after(self) -> int:
        return self.acknowledged - self.at_loss.acknowledged if self.at_loss else 0

    def handle_kill(self, now: float) -> None:
        self.killed_at = now

    def handle_status(self, at: float, status: LinkStatus) -> None:
        self.status = status
        if self.killed_at is None:
            return
        connected = status.state == LinkStatus.CONNECTED
        if self.lost_at is None and not connected:
            self.lost_at, self.at_loss = at, status
        if self.lost_at is not None and self.held_at is None and status.motion == LinkStatus.HOLDING:
            self.held_at = at
        if self.lost_at is not None and self.reconnected_at is None and connected:
            self.reconnected_at = at

    def handle_command(self, at: float, command: ArmCommand) -> None:
        self.commands += 1
        position = (command.position.x, command.position.y, command.position.z)
        # Compare the stamps: a command from before the loss may arrive after the status that
        # reports the loss.
        if self.lost_at is not None and at > self.lost_at and self.moving_again_at is None:
            self.moving_again_at, self._first = at, position
        elif self._position is not None:
            self.largest_step = max(self.largest_step, math.dist(position, self._position))
        self._position = position

    def handle_arm(self, at: float, arm: ArmState) -> None:
        position = (arm.position.x, arm.position.y, arm.position.z)
        reports = all(math.isfinite(coordinate) for coordinate in position)
        if reports and self.lost_at is not None and at > self.lost_at and self._restarted is None:
            self._restarted = position

    @property
    def first_step(self) -> float | None:
        """Return the distance in m from the restarted arm's position to its first command."""
        return math.dist(self._first, self._restarted) if self._first and self._restarted else None


class Watch:
    """The node. It exists while the context is open."""

    def __init__(self, timeline) -> None:
        self.timeline, self.record = timeline, Record()
        self._signal = None
        self._news, self._second = News(), Second()

    def __enter__(self) -> "Watch":
        # The demo handles SIGINT itself, because it has to end its children.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle_signal)
        self._node = rclpy.create_node("demo")
        latched = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(LinkStatus, "/aether_bridge/link_status", self._handle_status, latched)
        self._node.create_subscription(ArmCommand, "/aether_bridge/command", self._handle_command, 500)
        self._node.create_subscription(ArmState, "/aether_bridge/arm_state", self._handle_arm, 500)
        return self

    def __exit__(self, *_) -> None:
        self._node.destroy_node()
        rclpy.shutdown()

    def step(self) -> None:
        """Wait a moment for messages and handle them. Raise Interrupted if a signal has arrived."""
        rclpy.spin_once(self._node, timeout_sec=STEP)
        line = self._second.poll(self.timeline.now()) if self._second else None
        if line:
            self.timeline.show("flow", line)
        if self._signal is not None:
            raise Interrupted(signal.Signals(self._signal).name)

    def wind_down(self) -> None:
        """Prepare for the end: ignore signals, and show only changes."""
        self._signal, self._second = None, None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _handle_signal(self, number: int, _frame) -> None:
        self._signal = number

    def _handle_status(self, status: LinkStatus) -> None:
        self.record.handle_status(self.timeline.at(status.stamp), status)
        if self._second:
            self._second.handle_status(status)
        for line in self._news.of(status):
            self.timeline.show(*line)

    def _handle_command(self, command: ArmCommand) -> None:
        self.record.handle_command(self.timeline.at(command.header.stamp), command)
        if self._second:
            self._second.handle_command(command)

    def _handle_arm(self, arm: ArmState) -> None:
        self.record.handle_arm(self.timeline.at(arm.header.stamp), arm)


class News:
    """Finds what a status changes for the user.

    Another failed attempt to connect is not a change.
    """

    def __init__(self) -> None:
        self._link = self._motion = None
        self._failures = 0

    def of(self, status: LinkStatus) -> list:
        """Return the lines to show."""
        return [line for line in (self._of_link(status), self._of_motion(status)) if line]

    def _of_link(self, status: LinkStatus) -> tuple | None:
        state, words = LINK_NAMES[status.state], status.peer
        if state in ("BACKOFF", "UNRESPONSIVE"):
            words = status.last_error
        if state == "BACKOFF":
            self._failures = status.attempts
        if state == "CONNECTED" and self._failures:
            words += f", after {self._failures} failed attempt{'s' if self._failures > 1 else ''}"
            self._failures = 0
        if (state, words) == self._link or (state == "CONNECTING" and self._link and self._link[0] == "BACKOFF"):
            return None
        if state == "CONNECTED" and self._link and self._link[0] == "CONNECTED":
            return None
        self._link = (state, words)
        return ("link", words, state, STYLES.get(state, "bad"))

    def _of_motion(self, status: LinkStatus) -> tuple | None:
        motion = MOTION_NAMES[status.motion]
        # The columns for the state and for the link already show these parts.
        words = status.reason.removeprefix("holding: ")
        if status.last_error:
            words = words.partition(f": {status.last_error}")[0]
        # A changed number, such as a growing age, is not a change.
        new = (motion, re.sub(r"[0-9.]+", "#", words))
        if new == self._motion:
            return None
        self._motion = new
        return ("motion", words, motion, STYLES.get(motion, "bad"))


class Second:
    """Summarises the commands once a second."""

    def __init__(self) -> None:
        self._started = None
        self._commands = 0
        self._command = self._status = None

    def handle_command(self, command: ArmCommand) -> None:
        self._commands += 1
        self._command = command

    def handle_status(self, status: LinkStatus) -> None:
        self._status = status

    def poll(self, now: float) -> str | None:
        if self._command is None or self._status is None:
            return None
        if self._started is None:
            self._started = now
        if now - self._started < 1.0:
            return None
        rate = self._commands / (now - self._started)
        self._started, self._commands = now, 0
        if rate == 0.0:
            return None
        where, status = self._command.position, self._status
        return (
            f"{rate:3.0f} commands/s   x {where.x * 1e3:5.0f}  y {where.y * 1e3:5.0f}  z {where.z * 1e3:5.0f} mm"
            f"   {self._command.gripper:<6}   {status.acknowledged:4d} of {status.sent} acknowledged"
            f"{self._refused()}, the last in {status.rtt_last * 1e3:.1f} ms"
        )

    def _refused(self) -> str:
        return f", {self._status.rejected} refused" if self._status.rejected else ""
