"""The ROS side of a soak: a moving hand, service calls, and subscriptions."""

import math
import threading
import time

import rclpy
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.srv import ListParameters, SetParametersAtomically
from rclpy.duration import Duration
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Bool
from std_srvs.srv import SetBool, Trigger

from aether_bridge.msg import ArmCommand, ArmState, LinkStatus

from .processes import Failure

RATE = 100  # Hz
SERVICE_TIMEOUT = 20.0  # s
ASK_AGAIN = 4.0  # s
BRIDGE = "/aether_bridge"
CENTRE = (0.2, 0.0, 0.2)
RADIUS = 0.05  # m, in 10 s around: 31 mm/s
MOTIONS = {getattr(LinkStatus, name): name for name in ("DISARMED", "APPROACH", "TRACKING", "HOLDING", "STOPPED")}
LATCHED = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class Spinner:
    """A thread that handles the messages of a node.

    The context is separate, so it is a participant of its own.
    """

    def __init__(self, name):
        self.context = rclpy.Context()
        rclpy.init(context=self.context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self.thread = threading.Thread(target=self._spin, name=name, daemon=True)

    def _spin(self):
        try:
            self._executor.spin()
        except ExternalShutdownException:
            pass

    def close(self):
        self._executor.shutdown()
        if self.thread.ident is not None:
            self.thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


class Graph(Spinner):
    """The tracker at 100 Hz, the gripper at 10 Hz, and all services.

    `alter` changes each pose or returns None.
    """

    def __init__(self):
        super().__init__("soak")
        self.status = None
        self.statuses = 0
        # Number of statuses in which the arm did not follow the hand.
        self.lapses = 0
        self.published = 0
        self.commands_received = 0
        self.alter = None
        self.gripper_rate = 1  # changes in 10 s
        self._news = threading.Condition()
        self._poses = self.node.create_publisher(PoseStamped, "target_pose", 10)
        self._grippers = self.node.create_publisher(Bool, "gripper", 10)
        self.node.create_subscription(LinkStatus, f"{BRIDGE}/link_status", self._receive_status, LATCHED)
        self.node.create_subscription(ArmCommand, f"{BRIDGE}/command", self._receive_command, 10)
        self._services = {
            name: self.node.create_client(kind, f"{BRIDGE}/{name}")
            for name, kind in [
                ("stop", Trigger),
                ("reset", Trigger),
                ("reconnect", Trigger),
                ("set_armed", SetBool),
                ("set_parameters_atomically", SetParametersAtomically),
            ]
        }
        self._timer = self.node.create_timer(1 / RATE, self._publish)
        self.thread.start()

    def check_alive(self):
        if not self.thread.is_alive():
            raise Failure("the tracker's own thread has ended")

    def stop_publishing(self):
        self._timer.cancel()

    def burst(self, count):
        """Publish poses as fast as possible."""
        for _ in range(count):
            self._poses.publish(self.pose())

    def pose(self):
        """Return the current pose of the hand."""
        turn = 2 * math.pi * time.monotonic() / 10
        pose = PoseStamped()
        pose.header.frame_id = "arm_base"
        pose.header.stamp = self.node.get_clock().now().to_msg()
        x, y, z = CENTRE
        pose.pose.position.x, pose.pose.position.y = x + RADIUS * math.cos(turn), y + RADIUS * math.sin(turn)
        pose.pose.position.z = z
        pose.pose.orientation.w = 1.0
        return pose

    def aged(self, pose, seconds):
        """Return the pose with a stamp that is older by some seconds."""
        pose.header.stamp = (self.node.get_clock().now() - Duration(seconds=seconds)).to_msg()
        return pose

    def call(self, name, **fields):
        client = self._services[name]
        if not client.wait_for_service(SERVICE_TIMEOUT):
            raise Failure(f"there is no service {name}")
        answered = threading.Event()
        futures = []
        # Repeat the request. DDS may still deliver it to a bridge that was killed. Also, a server
        # drops its response if it has not found the client within 0.1 s.
        while not answered.wait(ASK_AGAIN if futures else 0):
            if len(futures) * ASK_AGAIN >= SERVICE_TIMEOUT:
                raise Failure(f"{name} did not respond in {SERVICE_TIMEOUT:.0f} s, asked {len(futures)} times")
            futures.append(client.call_async(client.srv_type.Request(**fields)))
            futures[-1].add_done_callback(lambda _: answered.set())
        return next(future.result() for future in futures if future.done())

    def leave_call(self):
        """Call a service and close the client before the response."""
        caller = Spinner("impatient")
        client = caller.node.create_client(ListParameters, f"{BRIDGE}/list_parameters")
        if not client.wait_for_service(SERVICE_TIMEOUT):
            raise Failure("there is no service list_parameters for another participant")
        client.call_async(ListParameters.Request())
        caller.close()

    def set(self, **values):
        """Set parameters together; "__" stands for a dot. Return the reason of a refusal, or ""."""
        pairs = [(name.replace("__", "."), value) for name, value in values.items()]
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in pairs]
        return self.call("set_parameters_atomically", parameters=parameters).result.reason

    def wait(self, what, condition, timeout):
        """Wait until a status and this object fulfil a condition."""
        deadline = time.monotonic() + timeout
        with self._news:
            while not (self.status is not None and condition(self.status)):
                self.check_alive()
                self._news.wait(1.0)
                if time.monotonic() > deadline:
                    raise Failure(f"not {what} in {timeout:.0f} s; the last status: {describe(self.status)}")

    def _receive_status(self, status):
        with self._news:
            self.status = status
            self.statuses += 1
            self.lapses += status.motion != LinkStatus.TRACKING
            self._news.notify_all()

    def _receive_command(self, _command):
        self.commands_received += 1

    def _publish(self):
        self.published += 1
        pose = self.pose()
        if self.alter is not None:
            pose = self.alter(pose)
        if pose is not None:
            self._poses.publish(pose)
        if self.published % (RATE // 10) == 0:
            closed = int(time.monotonic() / 10 * 2 * self.gripper_rate) % 2 == 1
            self._grippers.publish(Bool(data=closed))


class Guest(Spinner):
    """Another participant. It subscribes to all topics of the bridge, and may publish a hand."""

    def __init__(self, hand=None):
        super().__init__("guest")
        for kind, topic, qos in [
            (LinkStatus, f"{BRIDGE}/link_status", LATCHED),
            (Bool, f"{BRIDGE}/connected", LATCHED),
            (ArmCommand, f"{BRIDGE}/command", 10),
            (ArmState, f"{BRIDGE}/arm_state", 10),
        ]:
            self.node.create_subscription(kind, topic, lambda _: None, qos)
        if hand is not None:
            poses = self.node.create_publisher(PoseStamped, "target_pose", 10)
            self.node.create_timer(1 / RATE, lambda: poses.publish(hand()))
        self.thread.start()


def describe(status):
    if status is None:
        return "no status received"
    return f"link {status.state}, {MOTIONS.get(status.motion)}: {status.reason} (last error: {status.last_error})"
