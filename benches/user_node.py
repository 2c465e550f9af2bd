#!/usr/bin/env python3
"""A simple node, as many users write it first. `make bench` compares the bridge with it.

    tools/ros-env benches/user_node.py PORT

One callback formats the target, sends it and waits for the reply. The node has no checks and no
limits, and a lost connection ends it.
"""

import json
import socket
import sys

import rclpy
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node


class ArmNode(Node):
    def __init__(self, port: int) -> None:
        super().__init__("arm_node")
        self.subscription = self.create_subscription(PoseStamped, "target_pose", self.send_target, 10)
        self.controller = socket.create_connection(("127.0.0.1", port))

    def send_target(self, message: PoseStamped) -> None:
        position = message.pose.position
        command = {
            "type": "command",
            "x": round(position.x * 1000, 3),
            "y": round(position.y * 1000, 3),
            "z": round(position.z * 1000, 3),
            "gripper": "open",
        }
        self.controller.sendall((json.dumps(command) + "\n").encode())
        reply = json.loads(self.controller.recv(1024))
        if reply["status"] != "ok":
            self.get_logger().warning(f"the controller rejected the command: {reply['message']}")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: user_node.py PORT")
    rclpy.init()
    rclpy.spin(ArmNode(int(sys.argv[1])))


if __name__ == "__main__":
    main()
