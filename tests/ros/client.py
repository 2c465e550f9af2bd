"""A participant that subscribes to all topics of the bridge, sends requests, and then kills itself.
"""

import os
import signal
import sys

import rclpy
from aether_bridge.msg import ArmCommand, LinkStatus
from rcl_interfaces.srv import ListParameters
from std_srvs.srv import SetBool

rclpy.init()
node = rclpy.create_node(f"client_{os.getpid()}")
node.create_subscription(LinkStatus, "/aether_bridge/link_status", lambda _: None, 10)
node.create_subscription(ArmCommand, "/aether_bridge/command", lambda _: None, 10)
clients = [
    node.create_client(SetBool, "/aether_bridge/set_armed"),
    node.create_client(ListParameters, "/aether_bridge/list_parameters"),
]
for client in clients:
    client.wait_for_service()
print("ready", flush=True)
sys.stdin.readline()
clients[0].call_async(SetBool.Request(data=True))
clients[1].call_async(ListParameters.Request())
# The requests are on their way. This process will not read the responses.
os.kill(os.getpid(), signal.SIGKILL)
