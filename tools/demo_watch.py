"""A ROS node that watches the bridge, tells a timeline what changes, and keeps the record for the summary."""

import math
import re
import signal

import rclpy
from aether_bridge.msg import ArmCommand, LinkStatus
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions

LINK_STATES = ("DISCONNECTED", "CONNECTING", "CONNECTED", "UNRESPONSIVE", "BACKOFF", "LISTENING")
MOTION_STATES = ("DISARMED", "APPROACH", "TRACKING", "HOLDING", "STOPPED")
LINK_NAMES = {getattr(LinkStatus, name): name for name in LINK_STATES}
MOTION_NAMES = {getattr(LinkStatus, name): name for name in MOTION_STATES}
STYLES = {"CONNECTED": "good", "TRACKING": "good", "APPROACH": "warn", "HOLDING": "warn", "CONNECTING": "warn"}
STEP = 0.05


class Interrupted(Exception):
    """A person or a parent wants the demo to end. Says by which signal."""


class Record:
    """What has been seen, for the story to wait for and for the summary."""

    def __init__(self) -> None:
        self.status = None
        self.killed_at = self.lost_at = self.held_at = self.reconnected_at = self.moving_again_at = None
        # The counters when the link was lost.
        self.at_loss = None
        self.commands = 0
        self.largest_step = 0.0
        self.step_over_restart = None
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

    def handle_status(self, now: float, status: LinkStatus) -> None:
        self.status = status
        if self.killed_at is None:
            return
        connected = status.state == LinkStatus.CONNECTED
        if self.lost_at is None and not connected:
            self.lost_at, self.at_loss = now, status
        if self.lost_at is not None and self.held_at is None and status.motion == LinkStatus.HOLDING:
            self.held_at = now
        if self.lost_at is not None and self.reconnected_at is None and connected:
            self.reconnected_at = now

    def handle_command(self, now: float, command: ArmCommand) -> None:
        self.commands += 1
        position = (command.position.x, command.position.y, command.position.z)
        if self._position is not None:
            step = math.dist(position, self._position)
            self.largest_step = max(self.largest_step, step)
            # By its stamp: a command from before the loss may be handled after the status that tells of it.
            is_after = self.at_loss is not None and _stamp(command.header.stamp) > _stamp(self.at_loss.stamp)
            if is_after and self.step_over_restart is None:
                self.step_over_restart, self.moving_again_at = step, now
        self._position = position


def _stamp(time) -> tuple:
    return (time.sec, time.nanosec)


class Watch:
    """The node. As a context, it lives as long as that."""

    def __init__(self, timeline) -> None:
        self.timeline, self.record = timeline, Record()
        self._signal = None
        self._link = self._motion = None
        self._second = Second()

    def __enter__(self) -> "Watch":
        # SIGINT belongs to the demo, which has children to end.
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle_signal)
        self._node = rclpy.create_node("demo")
        latched = QoSProfile(depth=50, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._node.create_subscription(LinkStatus, "/aether_bridge/link_status", self._handle_status, latched)
        self._node.create_subscription(ArmCommand, "/aether_bridge/command", self._handle_command, 500)
        return self

    def __exit__(self, *_) -> None:
        self._node.destroy_node()
        rclpy.shutdown()

    def step(self) -> None:
        """Waits a moment for news and handles them. Raises Interrupted when the demo is to end."""
        rclpy.spin_once(self._node, timeout_sec=STEP)
        self._tell_second()
        if self._signal is not None:
            raise Interrupted(signal.Signals(self._signal).name)

    def ignore_signals(self) -> None:
        """From now on the demo ends anyway."""
        self._signal = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)

    def _handle_signal(self, number: int, _frame) -> None:
        self._signal = number

    def _handle_status(self, status: LinkStatus) -> None:
        self.record.handle_status(self.timeline.now(), status)
        self._second.handle_status(status)
        state, motion = LINK_NAMES[status.state], MOTION_NAMES[status.motion]
        link = (state, status.last_error if state in ("BACKOFF", "UNRESPONSIVE") else status.peer)
        if link[0] != (self._link or [""])[0] or (state == "BACKOFF" and link != self._link):
            self.timeline.say("link", link[1], state, STYLES.get(state, "bad"))
        self._link = link
        # A reason may tell an age, which grows: that is no news.
        words = (motion, re.sub(r"[0-9.]+", "#", status.reason))
        if words != self._motion:
            self.timeline.say("motion", status.reason, motion, STYLES.get(motion, "bad"))
        self._motion = words

    def _handle_command(self, command: ArmCommand) -> None:
        self.record.handle_command(self.timeline.now(), command)
        self._second.handle_command(command)

    def _tell_second(self) -> None:
        line = self._second.poll(self.timeline.now())
        if line:
            self.timeline.say("flow", line)


class Second:
    """What flows, a line a second."""

    def __init__(self) -> None:
        self._started = None
        self._commands = 0
        self._command = self._status = self._told = None

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
        line = (
            f"{rate:3.0f} commands/s   x {where.x * 1e3:6.1f}  y {where.y * 1e3:6.1f}  z {where.z * 1e3:6.1f} mm"
            f"   {self._command.gripper:<6}   {self._replies()}   round trip {status.rtt_last * 1e3:.2f} ms"
        )
        self._told = status
        return line

    def _replies(self) -> str:
        """Replies since the last line; counted by the bridge, which tells at least twice a second."""
        before = self._told.acknowledged if self._told else 0
        rejected = self._status.rejected - (self._told.rejected if self._told else 0)
        return f"{self._status.acknowledged - before:3d} ok" + (f", {rejected} refused" if rejected else "")
