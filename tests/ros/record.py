"""Records of events with which tests wait without sleeping."""

import threading
import time

# Seconds. Far more than anything here needs: only a failing test waits so long.
PATIENCE = 20.0
# Seconds in which an event that must never happen could happen. Long compared with all periods of
# sending.
NEVER = 0.5


class Record:
    """An append-only list that other threads fill."""

    def __init__(self, name):
        self.name = name
        self._entries = []
        self._news = threading.Condition()

    def append(self, entry):
        with self._news:
            self._entries.append(entry)
            self._news.notify_all()

    def __len__(self):
        return len(self._entries)

    def __getitem__(self, index):
        return self._entries[index]

    def find(self, predicate, after=0, timeout=PATIENCE):
        """Return the index of the first entry from `after` on that fulfils the predicate.

        Wait for it.
        """
        deadline = time.monotonic() + timeout
        index = after
        with self._news:
            while True:
                while index < len(self._entries):
                    if predicate(self._entries[index]):
                        return index
                    index += 1
                left = deadline - time.monotonic()
                if left <= 0 or not self._news.wait(left):
                    if index < len(self._entries):
                        continue
                    newest = "".join(f"\n    {entry}" for entry in self._entries[after:][-4:])
                    raise AssertionError(f"{self.name}: never within {timeout} s; the newest are:{newest or ' none'}")

    def wait(self, predicate=lambda entry: True, after=0, timeout=PATIENCE):
        """Return the first entry from `after` on that fulfils the predicate. Wait for it."""
        return self[self.find(predicate, after, timeout)]

    def wait_count(self, count, timeout=PATIENCE):
        """Wait for this many entries and return them."""
        if count > 0:
            self.find(lambda _: len(self._entries) >= count, 0, timeout)
        return self._entries[:count]

    def assert_none(self, predicate=lambda entry: True, after=0, within=NEVER):
        """Fail if an entry from `after` on fulfils the predicate, now or within the time."""
        try:
            entry = self.wait(predicate, after, within)
        except AssertionError:
            return
        raise AssertionError(f"{self.name}: must not happen: {entry}")


class Measurements:
    """The measured values, for the table at the end of a run."""

    def __init__(self):
        self.rows = []

    def note(self, name, value, wanted=""):
        self.rows.append((name, value, wanted))

    def seconds(self, name, seconds, wanted=""):
        self.note(name, f"{seconds * 1e3:8.1f} ms", wanted)

    def lines(self):
        width = max((len(name) for name, *_ in self.rows), default=0)
        return [f"{name:{width}}  {value}  {wanted}".rstrip() for name, value, wanted in sorted(self.rows)]


MEASUREMENTS = Measurements()
