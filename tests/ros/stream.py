"""A tracker that plays samples: a pose and a gripper message for each sample, at the recorded rate.
"""

import collections
import dataclasses
import itertools
import threading
import time

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from record import PATIENCE, Record
from recording import RATE, Sample
from std_msgs.msg import Bool


@dataclasses.dataclass(frozen=True)
class Published:
    """A published sample."""

    # The time just before publication, on the steady clock and in seconds of ROS time.
    at: float
    ros: float
    # The stamp in seconds of ROS time.
    stamp: float
    sample: Sample


class Stream:
    """Publishes the samples to play. Between them it publishes `idle` again and again.

    Stamps are exactly one period apart, as from a camera. Messages leave a moment later. If this
    process is delayed, the stamps are delayed too, as if the camera had been: no sample is left
    out, and there is no burst.
    """

    def __init__(self, peer, idle, rate=RATE):
        self.idle = idle
        self.published = Record("samples published")
        self._peer, self._node = peer, peer.node
        self._pose = peer.node.create_publisher(PoseStamped, "/target_pose", 10)
        self._closed = peer.node.create_publisher(Bool, "/gripper", 10)
        self._period = 1.0 / rate
        self._queue = collections.deque()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stream")
        self._thread.start()

    def play(self, samples, then=None):
        """Play samples, wait until the last is published, and return the published samples.

        Then publish `then` as idle.
        """
        with self._lock:
            first = len(self.published)
            self._queue.extend(samples)
            self.idle = then or self.idle
        count = len(samples)
        played = self.published.wait_count(first + count, timeout=PATIENCE + 3 * count * self._period)
        return played[first:]

    def close(self):
        self._end.set()
        self._thread.join()
        self._peer.destroy(self._pose)
        self._peer.destroy(self._closed)

    def _run(self):
        start, start_stamp = time.monotonic(), self._node.get_clock().now().nanoseconds
        shift = 0.0
        for tick in itertools.count():
            due = tick * self._period + shift
            if self._end.wait(max(0.0, start + due - time.monotonic())):
                return
            late = time.monotonic() - start - due
            if late > self._period:
                shift, due = shift + late, due + late
            with self._lock:
                self._publish(start_stamp + round(due * 1e9), self._queue.popleft() if self._queue else self.idle)

    def _publish(self, stamp, sample):
        pose = PoseStamped()
        pose.header.stamp = Time(sec=stamp // 10**9, nanosec=stamp % 10**9)
        point = pose.pose.position
        point.x, point.y, point.z = sample.position
        pose.pose.orientation.w = 1.0
        ros = self._node.get_clock().now().nanoseconds * 1e-9
        self.published.append(Published(time.monotonic(), ros, stamp * 1e-9, sample))
        # Publish the gripper first. The real tracker sends both in one message, so the bridge must
        # know the gripper when the pose arrives.
        self._closed.publish(Bool(data=sample.closed))
        self._pose.publish(pose)
