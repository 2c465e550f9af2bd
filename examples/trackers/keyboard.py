#!/usr/bin/env python3
"""A tracker without a camera: keys move the hand.

w s: forward, back   a d: left, right   r f: up, down
space: close or open the gripper   h: hide or show the hand   q: quit
"""

import contextlib
import os
import select
import sys
import termios
import tty

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_msgs.msg import Bool

RATE = 30.0  # Hz
STEP = 0.005  # metres for each key press
START = (0.2, 0.0, 0.2)
KEYS = {"w": (0, 1), "s": (0, -1), "a": (1, 1), "d": (1, -1), "r": (2, 1), "f": (2, -1)}  # axis, direction


class Keyboard(Node):
    def __init__(self):
        super().__init__("keyboard")
        self.poses = self.create_publisher(PoseStamped, "target_pose", 10)
        self.grippers = self.create_publisher(Bool, "gripper", 10)
        self.position, self.closed, self.seen = list(START), False, True
        self.create_timer(1.0 / RATE, self.publish)

    def press(self, key):
        if key in KEYS:
            axis, direction = KEYS[key]
            self.position[axis] += direction * STEP
        elif key == " ":
            self.closed = not self.closed
        elif key == "h":
            self.seen = not self.seen

    def publish(self):
        if not self.seen:
            return  # publish no message without a hand: the bridge then holds the arm
        pose = PoseStamped()
        pose.header.stamp = self.get_clock().now().to_msg()
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = self.position
        pose.pose.orientation.w = 1.0
        self.poses.publish(pose)
        self.grippers.publish(Bool(data=self.closed))


@contextlib.contextmanager
def single_keys():
    """Set the terminal to deliver each key immediately, not after Enter."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def run(node):
    while True:
        rclpy.spin_once(node, timeout_sec=1.0 / RATE)
        while select.select([sys.stdin], [], [], 0.0)[0]:
            key = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
            if key in ("q", ""):
                return
            node.press(key)


def main():
    print(__doc__, flush=True)
    rclpy.init()
    with single_keys(), contextlib.suppress(KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        run(Keyboard())


if __name__ == "__main__":
    main()
