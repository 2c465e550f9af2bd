"""Simulated time, controlled by a test."""

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock


class Simulation:
    """Publishes /clock. While it is paused, it publishes nothing."""

    def __init__(self, repeat, start=100.0):
        self.now = start
        self._repeat = repeat
        self._clock = None
        self.run()

    def run(self):
        self._clock = self._repeat(Clock, "/clock", self._tick, rate=50.0)

    def pause(self):
        self._clock.close()

    def stamp(self, _):
        """Return the simulated time as the stamp for a hand."""
        return clock_time(self.now)

    def _tick(self):
        self.now += 0.02
        return Clock(clock=clock_time(self.now))


def clock_time(seconds):
    return Time(sec=int(seconds), nanosec=int(seconds % 1 * 1e9))
