#!/usr/bin/env python3
"""The smallest tracker: the hand moves on a circle. In each round the gripper closes and opens."""

import math

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from std_msgs.msg import Bool

RATE = 30.0  # Hz, as a camera; below 5 Hz the bridge holds the arm
CENTRE, RADIUS = (0.2, 0.0, 0.2), 0.05  # metres, in the frame header.frame_id
PERIOD = 6.0  # seconds for one round


class Circle(Node):
    def __init__(self):
        super().__init__("circle")
        self.poses = self.create_publisher(PoseStamped, "target_pose", 10)
        self.grippers = self.create_publisher(Bool, "gripper", 10)
        self.begin = self.get_clock().now()
        self.create_timer(1.0 / RATE, self.publish)

    def publish(self):
        now = self.get_clock().now()
        angle = 2.0 * math.pi * (now - self.begin).nanoseconds * 1e-9 / PERIOD
        # YOUR TRACKER: get the position of the hand here. If the tracker does not see the hand,
        # return without publishing: the bridge then holds the arm. Never repeat an old position.
        x, y, z = CENTRE
        y, z = y + RADIUS * math.sin(angle), z + RADIUS * math.cos(angle)
        pose = PoseStamped()
        pose.header.stamp = now.to_msg()  # when the camera saw the hand, not when the computation ended
        pose.header.frame_id = ""  # empty: the tracker's frame, set by retarget.frame; or the name of a TF frame
        pose.pose.position.x, pose.pose.position.y, pose.pose.position.z = x, y, z
        pose.pose.orientation.w = 1.0
        self.poses.publish(pose)
        self.grippers.publish(Bool(data=math.sin(angle) < 0.0))  # true: closed


def main():
    rclpy.init()
    try:
        rclpy.spin(Circle())
    except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
        pass


if __name__ == "__main__":
    main()
