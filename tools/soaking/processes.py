"""The bridge and the simulated arm as processes, and what the kernel says of them."""

import dataclasses
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time

STOP_TIMEOUT = 5.0  # s, for a process to end
ANSWER_TIMEOUT = 10.0  # s, for arm_sim to answer a word


class Failure(Exception):
    """Why the run cannot go on."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the kernel says of a process at one moment."""

    at: float  # s since the first command
    memory: int  # KiB resident
    threads: int
    descriptors: int
    cpu: float  # s, user and system


class Process:
    """A program that runs until it is told to end."""

    def __init__(self, name, command, **streams):
        self.name = name
        # In a session of its own: Ctrl-C is for this script, which then ends the others in order.
        self.process = subprocess.Popen(list(map(str, command)), start_new_session=True, **streams)
        self._proc = pathlib.Path("/proc", str(self.process.pid))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} has ended by itself, with {self.process.returncode}")

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def sample(self, at):
        try:
            status = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines())
            # After the name in parentheses: state is field 3, utime and stime are 14 and 15.
            ticks = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
            return Sample(
                at=at,
                memory=int(status["VmRSS"].split()[0]),
                threads=int(status["Threads"]),
                descriptors=len(list((self._proc / "fd").iterdir())),
                cpu=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
            )
        except (OSError, KeyError) as error:
            raise Failure(f"{self.name} cannot be looked at any more: {error}") from error

    def stop(self):
        """Ends it as an operator would; returns what was wrong with that."""
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return [f"{self.name} has not ended {STOP_TIMEOUT:.0f} s after SIGTERM"]
        return [f"{self.name} ended with {code} and not 0"] if code else []


class Bridge(Process):
    def __init__(self, path, parameters, log):
        words = [word for setting in written(parameters) for word in ("-p", setting)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        super().__init__("the bridge", [path, "--ros-args", *words], **streams)


class ArmSim(Process):
    """The simulated arm with its judge, on a free port. Words are typed to it."""

    def __init__(self, path, rules, arguments):
        command = [path, "--port", 0, *arguments, "--judge", *written(rules)]
        super().__init__("arm_sim", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.violations = 0
        # The first of them, each with what was done meanwhile, and what was printed last.
        self.found = []
        self.during = "nothing"
        self._lines = []
        self._news = threading.Condition()
        first = self.process.stdout.readline()
        if "listening on" not in first:
            raise Failure(f"arm_sim does not listen: {first!r}")
        self.port = int(first.rsplit(":", 1)[1])
        threading.Thread(target=self._read, name="arm_sim's output", daemon=True).start()

    def say(self, words):
        self.check_alive()
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def ask(self, words, answer):
        """Types words and returns the match of what is printed then."""
        with self._news:
            self._lines.clear()
        self.say(words)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        with self._news:
            while True:
                for line in self._lines:
                    if match := re.search(answer, line):
                        return match
                if not self._news.wait(deadline - time.monotonic()):
                    raise Failure(f"arm_sim does not answer {words!r} with {answer!r}; it says {self._lines[-3:]}")

    def commands(self):
        """How many commands it has received."""
        return int(self.ask("status", r"connected, (\d+) commands")[1])

    def judge_by(self, **rules):
        """Gives the judge other values of parameters; "__" stands for a dot."""
        words = " ".join(written({name.replace("__", "."): value for name, value in rules.items()}))
        self.ask(f"judge {words}", "the monitor uses the new value")

    def _read(self):
        for line in self.process.stdout:
            with self._news:
                if line.startswith("{"):
                    self.violations += 1
                    if len(self.found) < FOUND_KEPT:
                        self.found.append(f"during {self.during}: {line.strip()}")
                self._lines = [*self._lines[-LINES_KEPT:], line.strip()]
                self._news.notify_all()


def written(parameters):
    """As arguments, for ROS and for arm_sim: JSON is YAML, and without spaces it is one word."""
    return [f"{name}:={json.dumps(value, separators=(',', ':'))}" for name, value in parameters.items()]


FOUND_KEPT = 5
LINES_KEPT = 50
