"""A stop works while the readers of the console and of /rosout are blocked."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from controller import STOP
from harness import QUICK
from record import MEASUREMENTS, PATIENCE, Record
from std_srvs.srv import Trigger

READER = """
import rclpy
from rcl_interfaces.msg import Log

rclpy.init()
node = rclpy.create_node("log_reader")
node.create_subscription(Log, "/rosout", lambda log: print(log.name, flush=True), 1000)
rclpy.spin(node)
"""


@pytest.fixture
def log_reader():
    """A process that reads /rosout, and a Record of what it has read."""
    with subprocess.Popen([sys.executable, "-c", READER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reader:
        read = Record("the reader of /rosout")
        thread = threading.Thread(target=lambda: [read.append(line.strip()) for line in reader.stdout])
        thread.start()
        yield reader, read
        for ending in (signal.SIGCONT, signal.SIGINT):
            reader.send_signal(ending)
        thread.join(PATIENCE)


def fill(pipe):
    os.set_blocking(pipe, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b"." * size)
    os.set_blocking(pipe, True)


def test_stop_is_sent_while_log_is_not_read(controller, bridge, hand, peer, log_reader):
    log, output = os.pipe()
    environment = {"RUST_LOG": "aether_bridge=trace"}
    status = bridge(controller, QUICK | {"teleop.hold_behavior": "stop"}, output=output, environment=environment).status
    hand((0.12, 0.0355, 0.21))
    status.wait(motion="TRACKING")
    reader, read = log_reader
    read.wait(lambda name: name == "aether_bridge")
    reader.send_signal(signal.SIGSTOP)
    fill(output)
    after = controller.mark()
    controller.lines.wait_count(after + 50)

    asked = time.monotonic()
    response = peer.call(Trigger, "/aether_bridge/stop")
    stop = controller.stops.wait(lambda line: line.at >= asked)
    assert response.success and stop.data == STOP
    MEASUREMENTS.seconds("~/stop → its line, while the log is not read", stop.at - asked, "wanted: 1 s")
    assert stop.at - asked < 1.0
    for end in (log, output):
        os.close(end)
