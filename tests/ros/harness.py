"""The bridge as a process, and an independent peer in rclpy for the rest of the ROS graph."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import threading
import time

import rclpy
import shared_memory
from aether_bridge.msg import ArmCommand, LinkStatus
from ament_index_python.packages import get_package_prefix
from geometry_msgs.msg import PoseStamped, Quaternion
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from record import PATIENCE, Record

EXECUTABLES = pathlib.Path(get_package_prefix("aether_bridge"), "lib", "aether_bridge")

# For tests that do not test these parameters. Motion starts soon and leads exactly to the hand. The
# timeouts are long enough for a busy machine. The bridge asks the controller for the arm's position
# and sends no other heartbeats.
QUICK = {"teleop.settle_time": 0.1, "input.timeout": 0.5, "filter.kind": "none", "link.heartbeat.period": 60.0}
# For a plain controller that knows only commands. Its arm is at home when the bridge starts.
PLAIN = {"link.heartbeat.period": 0.0, "arm.assume_position": "home"}

# Seconds to wait for a response before the request is repeated.
ASK_AGAIN = 4.0

LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)

# The bridge has two subscriptions to the gripper's topic: one for new messages, one for latched
# messages.
GRIPPER_READERS = 2

LINK_STATES = ["DISCONNECTED", "CONNECTING", "CONNECTED", "UNRESPONSIVE", "BACKOFF", "LISTENING"]
MOTIONS = ["DISARMED", "APPROACH", "TRACKING", "HOLDING", "STOPPED"]


class Session:
    """The ROS context of the test process, and the thread that handles its messages."""

    def __init__(self, domain):
        self._domain = domain
        # Shared memory files of killed processes.
        self.left_behind = set()
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain)
        self.executor = SingleThreadedExecutor(context=self.context)
        self._thread = threading.Thread(target=self.executor.spin, name="rclpy")
        self._thread.start()

    def run(self, function):
        """Call a function in the executor's thread, between two waits. Return its result.

        Objects that a wait uses must be destroyed in this thread. If another thread destroys them,
        rclpy delays the destruction, or the executor ends with InvalidHandle. During the delay a
        topic keeps its old type, and a subscription of another type fails.
        """
        ended = threading.Event()
        task = self.executor.create_task(function)
        task.add_done_callback(lambda _: ended.set())
        assert ended.wait(PATIENCE), "the executor's thread has ended, or hangs"
        return task.result()

    def close(self):
        self.executor.shutdown()
        self._thread.join(PATIENCE)
        rclpy.shutdown(context=self.context)
        shared_memory.sweep(self._domain, self.left_behind)


class Peer:
    """A ROS node for one test."""

    def __init__(self, session):
        self.session = session
        self.node = rclpy.create_node("tester", context=session.context)
        session.executor.add_node(self.node)

    def record(self, message_type, topic, qos=10):
        """Return a Record of the messages on a topic from now on."""
        record = Record(topic)
        self.node.create_subscription(message_type, topic, record.append, qos)
        return record

    def status(self, topic="/aether_bridge/link_status"):
        return StatusWatcher(self, topic)

    def commands(self, topic="/aether_bridge/command"):
        return self.record(ArmCommand, topic, QoSProfile(depth=1000))

    def sees_node(self, name, timeout=PATIENCE):
        """Wait until a node is in the graph.

        `name` includes the namespace. rclpy has its own method for this only since Iron.
        """
        folder, _, base = name.rpartition("/")
        deadline = time.monotonic() + timeout
        while (base, folder or "/") not in self.node.get_node_names_and_namespaces():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def take(self, message_type, topic, qos=10):
        """Subscribe and return the first message with its send time in ns.

        In Humble a callback has no send time.
        """
        node = rclpy.create_node("taker", context=self.session.context)
        try:
            subscription = node.create_subscription(message_type, topic, lambda _: None, qos)
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with subscription.handle:
                    if taken := subscription.handle.take_message(message_type, False):
                        return taken[0], taken[1]["source_timestamp"]
                time.sleep(0.002)
            raise AssertionError(f"nothing on {topic} in {PATIENCE} s")
        finally:
            node.destroy_node()

    def call(self, service_type, name, **fields):
        """Call a service and return its response."""
        return ask(self.node.create_client(service_type, name), service_type.Request(**fields))

    def close(self):
        self.session.run(self._destroy)

    def destroy(self, publisher):
        self.session.run(lambda: self.node.destroy_publisher(publisher))

    def _destroy(self):
        self.session.executor.remove_node(self.node)
        self.node.destroy_node()


def ask(client, request):
    """Return the response of a service as soon as it arrives."""
    assert client.wait_for_service(PATIENCE), f"no service {client.srv_name}"
    answered = threading.Event()
    futures = []
    # Repeat the request: a server drops its response if it has not found the client within 0.1 s.
    # On a busy machine the server may find the client later than that.
    while not answered.wait(ASK_AGAIN if futures else 0):
        assert len(futures) * ASK_AGAIN < PATIENCE, f"no response from {client.srv_name}, asked {len(futures)} times"
        futures.append(client.call_async(request))
        futures[-1].add_done_callback(lambda _: answered.set())
    return next(future.result() for future in futures if future.done())


def call_without_response(peer, service_type, name, period=0.5, **fields):
    """Call a service again and again.

    The client requires a QoS that the server does not offer, so the middleware cannot deliver the
    responses.
    """
    wants_history = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client = peer.node.create_client(service_type, name, qos_profile=wants_history)
    # The client cannot detect that the server has found it: that needs a matching QoS too.
    peer.node.create_timer(period, lambda: client.call_async(service_type.Request(**fields)))


class StatusWatcher:
    """Follows a LinkStatus topic.

    Each wait continues after the status that the previous wait returned.
    """

    def __init__(self, peer, topic):
        # Pairs of receive time and message.
        self.seen = Record(topic)
        self._cursor = 0
        # The receive time of the last status that wait() returned.
        self.at = None
        receive = lambda message: self.seen.append(_Seen(time.monotonic(), message))  # noqa: E731
        peer.node.create_subscription(LinkStatus, topic, receive, LATCHED)

    def wait(self, predicate=lambda status: True, state=None, motion=None, reason=None, timeout=PATIENCE):
        """Return the next matching status.

        `state` and `motion` are names; `reason` is a regular expression.
        """

        def matches(seen):
            status = seen.message
            return (
                (state is None or LINK_STATES[status.state] == state)
                and (motion is None or MOTIONS[status.motion] == motion)
                and (reason is None or re.search(reason, status.reason) is not None)
                and predicate(status)
            )

        self._cursor = self.seen.find(matches, self._cursor, timeout)
        self.at, message = self.seen[self._cursor].at, self.seen[self._cursor].message
        return message

    def skip(self):
        """Ignore all statuses up to now."""
        self._cursor = len(self.seen)
        return self

    def newest(self):
        return self.seen[-1].message

    def motions(self):
        """Return the motions so far, in order, without repetitions."""
        names = [MOTIONS[seen.message.motion] for seen in self.seen]
        return [name for name, before in zip(names, [None, *names]) if name != before]


@dataclasses.dataclass
class _Seen:
    at: float
    message: LinkStatus

    def __str__(self):
        status = self.message
        return f"{LINK_STATES[status.state]} {MOTIONS[status.motion]} {status.reason!r} {status.last_error!r}"


class Bridge:
    """The installed `bridge` as a process.

    `under` is a command prefix. `environment` adds variables. `output` receives the log instead of
    the record. Each bridge has its own state folder, unless the environment names one, so that
    tests do not affect each other.
    """

    def __init__(
        self,
        peer,
        parameters=None,
        arguments=(),
        log_folder="",
        name="/aether_bridge",
        under=(),
        environment=None,
        output=subprocess.PIPE,
    ):
        self.name = name
        self._session = peer.session
        self._state = tempfile.TemporaryDirectory(prefix="aether_state_")
        # Subscribe before the process starts, so that no status is missed.
        self.status = peer.status(f"{name}/link_status")
        self.log = Record("the bridge's log")
        given = [f"{key}:={_yaml(value)}" for key, value in (parameters or {}).items()]
        command = [*under, EXECUTABLES / "bridge", "--ros-args"]
        command += [part for value in given for part in ("-p", value)] + list(arguments)
        inherited = {key: value for key, value in os.environ.items() if key not in ("RUST_LOG", "RUST_BACKTRACE")}
        self.process = subprocess.Popen(
            list(map(str, command)),
            env=inherited | {"ROS_LOG_DIR": str(log_folder), "XDG_STATE_HOME": self._state.name} | (environment or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, name="bridge's log")
        self._reader.start()

    def end(self, ending=signal.SIGINT):
        """Send the signal, wait for the end and return the duration.

        Fail if the exit code is not 0.
        """
        before = time.monotonic()
        self.process.send_signal(ending)
        code = self.wait()
        took = time.monotonic() - before
        assert code == 0, f"the bridge ended with {code}"
        return took

    def wait(self):
        """Wait for the end and return the exit code."""
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._kill()
            raise
        self._reader.join(PATIENCE)
        if self.process.stdout:
            self.process.stdout.close()
        self._state.cleanup()
        return code

    def cpu_seconds(self):
        """Return the processor time of the current threads so far, in seconds.

        The resolution is 1 ns; ticks have 10 ms.
        """
        threads = pathlib.Path(f"/proc/{self.process.pid}/task").glob("*/schedstat")
        return sum(int(path.read_text().split()[0]) for path in threads) / 1e9

    def ended(self):
        return self.process.poll() is not None

    def _kill(self):
        """Kill the process, because it did not end by itself.

        Its shared memory stays, and is removed at the end of the session.
        """
        self._session.left_behind |= shared_memory.mapped(self.process.pid)
        self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout or ():
            # Fast DDS writes this line if another process, stopped or killed, still locks a port in
            # shared memory. It then uses another port. The bridge is not involved.
            if "RTPS_TRANSPORT_SHM" not in line:
                self.log.append(line.rstrip("\n"))


class Hand:
    """A hand tracker. While it is started, it publishes its pose at its rate.

    `stamp` makes the stamp of the header from the time of a node's clock: `fresh` (the default),
    `unstamped`, or `aged(seconds)`.
    """

    def __init__(self, peer, position, topic="/target_pose", rate=30.0, stamp=None):
        self._peer, self._node = peer, peer.node
        self._publisher = peer.node.create_publisher(PoseStamped, topic, 10)
        self.position = position
        self.frame = ""
        self.orientation = Quaternion(w=1.0)
        self.stamp = stamp or fresh
        self.rate = rate
        self._on = threading.Event()
        self._end = threading.Event()
        # Held while a pose is published. So no pose is on its way after stop().
        self._publishing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="hand")
        self._thread.start()
        self._on.set()

    def start(self):
        self._on.set()

    def stop(self):
        self._on.clear()
        with self._publishing:
            pass

    def close(self):
        self._end.set()
        self._on.set()
        self._thread.join(PATIENCE)
        self._peer.destroy(self._publisher)

    def _run(self):
        while not self._end.wait(1.0 / self.rate):
            self._on.wait()
            with self._publishing:
                if self._on.is_set() and not self._end.is_set():
                    self._publish()

    def _publish(self):
        pose = PoseStamped()
        pose.header.frame_id = self.frame
        pose.header.stamp = self.stamp(self._node.get_clock().now())
        point = pose.pose.position
        point.x, point.y, point.z = map(float, self.position)
        pose.pose.orientation = self.orientation
        self._publisher.publish(pose)


class Repeater:
    """Publishes the messages that a function makes, at a rate.

    If the function returns None, it publishes nothing.
    """

    def __init__(self, peer, message_type, topic, make, rate=30.0):
        self._peer = peer
        self._publisher = peer.node.create_publisher(message_type, topic, 10)
        self.make = make
        self._period = 1.0 / rate
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name=topic)
        self._thread.start()

    def publish(self):
        message = self.make()
        if message is not None:
            self._publisher.publish(message)

    def close(self):
        self._end.set()
        self._thread.join(PATIENCE)
        self._peer.destroy(self._publisher)

    def _run(self):
        while not self._end.wait(self._period):
            self.publish()


def fresh(now):
    return now.to_msg()


def unstamped(now):
    return PoseStamped().header.stamp


def aged(seconds):
    return lambda now: (now - Duration(seconds=seconds)).to_msg()


def distance(one, other):
    return sum((a - b) ** 2 for a, b in zip(one, other)) ** 0.5


def stamp_seconds(stamp):
    return stamp.sec + stamp.nanosec * 1e-9


def _yaml(value):
    # JSON is valid YAML. The decimal point makes a number a float.
    return json.dumps(value)

