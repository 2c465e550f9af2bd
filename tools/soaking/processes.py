"""The bridge and the simulated arm as processes, and their use of the machine."""

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
ANSWER_TIMEOUT = 10.0  # s, for arm_sim to reply to a console command


class Failure(Exception):
    """The reason why the run cannot continue."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """The resources that a process uses at one moment, as the kernel reports them."""

    at: float  # s since the first command
    memory: int  # KiB resident
    threads: int
    descriptors: int
    cpu: float  # s, user and system


class Process:
    """A program that runs until it gets a signal to end."""

    def __init__(self, name, command, **streams):
        self.name = name
        # A separate session: Ctrl-C reaches only this program, which then ends the others in order.
        self.process = subprocess.Popen(list(map(str, command)), start_new_session=True, **streams)
        self._proc = pathlib.Path("/proc", str(self.process.pid))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def check_alive(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended unexpectedly with exit code {self.process.returncode}")

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def sample(self, at):
        try:
            status = dict(line.split(":", 1) for line in (self._proc / "status").read_text().splitlines())
            # The fields after the name in parentheses: state is field 3, utime and stime are fields
            # 14 and 15.
            ticks = (self._proc / "stat").read_text().rpartition(")")[2].split()[11:13]
            return Sample(
                at=at,
                memory=int(status["VmRSS"].split()[0]),
                threads=int(status["Threads"]),
                descriptors=len(list((self._proc / "fd").iterdir())),
                cpu=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"),
            )
        except (OSError, KeyError) as error:
            raise Failure(f"{self.name} cannot be read from /proc: {error}") from error

    def stop(self):
        """End the process as an operator would. Return the problems."""
        self.resume()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            return [f"{self.name} has not ended {STOP_TIMEOUT:.0f} s after SIGTERM"]
        return [f"{self.name} ended with exit code {code}, not 0"] if code else []


class Bridge(Process):
    def __init__(self, path, parameters, log):
        words = [word for setting in written(parameters) for word in ("-p", setting)]
        streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
        super().__init__("the bridge", [path, "--ros-args", *words], **streams)


class ArmSim(Process):
    """The simulated arm with its monitor, on a free port. Commands are typed into its console."""

    def __init__(self, path, rules, arguments):
        command = [path, "--port", 0, *arguments, "--judge", *written(rules)]
        super().__init__("arm_sim", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.violations = 0
        # The first violations, each with the fault that was played at that time.
        self.found = []
        self.during = "nothing"
        self._lines = []
        self._news = threading.Condition()
        first = self.process.stdout.readline()
        if "listening on" not in first:
            raise Failure(f"arm_sim does not listen: {first!r}")
        self.port = int(first.rsplit(":", 1)[1])
        threading.Thread(target=self._read, name="arm_sim's output", daemon=True).start()

    def type_line(self, words):
        self.check_alive()
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()

    def ask(self, words, answer):
        """Type a console command and return the match of the printed reply."""
        with self._news:
            self._lines.clear()
        self.type_line(words)
        deadline = time.monotonic() + ANSWER_TIMEOUT
        with self._news:
            while True:
                for line in self._lines:
                    if match := re.search(answer, line):
                        return match
                if not self._news.wait(deadline - time.monotonic()):
                    raise Failure(f"arm_sim did not reply to {words!r} with {answer!r}; last lines: {self._lines[-3:]}")

    def commands(self):
        """Return the number of commands that arm_sim has received."""
        return int(self.ask("status", r"connected, (\d+) commands")[1])

    def judge_by(self, **rules):
        """Change parameters of the monitor; "__" stands for a dot."""
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
    """Return parameters as arguments for ROS and arm_sim.

    JSON is valid YAML; without spaces it is one word.
    """
    return [f"{name}:={json.dumps(value, separators=(',', ':'))}" for name, value in parameters.items()]


FOUND_KEPT = 5
LINES_KEPT = 50
