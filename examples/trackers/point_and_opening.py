#!/usr/bin/env python3
"""A tracker with other messages: a point in millimetres, and the opening of the fingers.

point_and_opening.yaml configures the bridge for these messages. No converter node is needed.
"""

import math

import rclpy
from geometry_msgs.msg import PointStamped
from rclpy.node import Node
from std_msgs.msg import Float32

RATE = 30.0  # Hz
PERIOD = 6.0  # seconds


class PointAndOpening(Node):
    def __init__(self):
        super().__init__("point_and_opening")
        self.points = self.create_publisher(PointStamped, "finger_tip", 10)
        self.openings = self.create_publisher(Float32, "gripper", 10)
        self.begin = self.get_clock().now()
        self.create_timer(1.0 / RATE, self.publish)

    def publish(self):
        now = self.get_clock().now()
        turn = math.sin(2.0 * math.pi * (now - self.begin).nanoseconds * 1e-9 / PERIOD)
        point = PointStamped()
        point.header.stamp = now.to_msg()
        point.point.x, point.point.y, point.point.z = 200.0, 50.0 * turn, 200.0
        self.points.publish(point)
        # 0.0: the fingers touch; 1.0: they are fully open. Below gripper.close_below the bridge
        # closes the gripper. Above gripper.open_above it opens the gripper. Between the two it
        # changes nothing.
        self.openings.publish(Float32(data=0.5 + 0.5 * turn))


def main():
    rclpy.init()
    try:
        rclpy.spin(PointAndOpening())
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass


if __name__ == "__main__":
    main()
