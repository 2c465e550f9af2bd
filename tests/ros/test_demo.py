"""Tests the demo as a process: its output and exit code."""

import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import threading

import pytest

DEMO = pathlib.Path(__file__).resolve().parents[2] / "tools" / "demo"
# Seconds after which a demo that hangs is killed.
FAR_TOO_LONG = 180


class Demo:
    """A running demo. Its lines are read as they come."""

    def __init__(self, seconds: str, **environment: str) -> None:
        environment = dict(os.environ, DEMO_SECONDS=seconds, **environment)
        self.process = subprocess.Popen(
            [sys.executable, DEMO],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.lines = []
        self._watchdog = threading.Timer(FAR_TOO_LONG, self.process.kill)
        self._watchdog.start()

    def read_until(self, pattern: str) -> None:
        """Read until a line matches, or to the end."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return

    def finish(self) -> int:
        """Read to the end and return the exit code."""
        self.read_until(r"(?!)")
        code = self.process.wait()
        self._watchdog.cancel()
        return code

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def children(self) -> list:
        """Return the process ids of the programs that the demo runs."""
        pid = self.process.pid
        return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    return pathlib.Path(f"/proc/{pid}").exists()


def test_demo_shows_restart_and_summary():
    demo = Demo("10")
    code = demo.finish()
    assert code == 0, demo.output
    story = [
        r"link +CONNECTED +127\.0\.0\.1:\d+",
        r"motion +APPROACH",
        r"motion +TRACKING",
        r"flow +\d+ commands/s",
        r"killing the controller",
        r"link +BACKOFF +\S",
        r"starting the controller, arm_sim, on \S+ again",
        # An approach is not required, because the hand may have come back to the arm's position.
        r"link +CONNECTED",
        r"motion +TRACKING",
        r"^Summary",
        r"after it was restarted +\d+ sent, [1-9]\d* acknowledged",
        r"first command after the restart +\d\.\d mm from the restarted arm",
        r"exit codes +arm_sim killed by SIGKILL, bridge 0, hand_sim 0, arm_sim 0",
        r"did its job",
    ]
    lines = iter(demo.lines)
    for pattern in story:
        assert any(re.search(pattern, line) for line in lines), f"no {pattern!r} in this order in\n{demo.output}"
    assert "\x1b" not in demo.output, "colour is for terminals"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=lambda how: how.name)
def test_interrupted_demo_ends_programs_and_shows_summary(how):
    demo = Demo("3600")
    demo.read_until(r"motion +TRACKING")
    children = demo.children()
    assert len(children) == 3, demo.output
    demo.process.send_signal(how)
    code = demo.finish()
    assert code == 130, demo.output
    assert not [pid for pid in children if is_alive(pid)], demo.output
    assert re.search(rf"{how.name}: ending early", demo.output), demo.output
    assert re.search(r"exit codes +bridge 0, hand_sim 0, arm_sim 0", demo.output), demo.output


# The libraries of this machine are newer than Humble. They accept Humble's variable too.
@pytest.mark.parametrize("distro, more", [("humble", " ROS_LOCALHOST_ONLY=1"), ("jazzy", "")])
def test_demo_shows_settings_for_another_terminal(distro, more):
    demo = Demo("3600", ROS_DISTRO=distro)
    demo.read_until(r"motion +TRACKING")
    (child, *_) = demo.children()
    environment = pathlib.Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
    demo.process.send_signal(signal.SIGINT)
    assert demo.finish() == 130, demo.output
    shown = re.search(r"To see its topics in another terminal of this machine: export (.*)$", demo.output, re.MULTILINE)
    assert re.fullmatch(rf"ROS_DOMAIN_ID=\d+{more}", shown[1]), demo.output
    settings = {name for name in environment if name.startswith(("ROS_DOMAIN_ID=", "ROS_LOCALHOST_ONLY="))}
    assert set(shown[1].split()) == settings


def test_programs_end_with_killed_demo():
    demo = Demo("3600")
    demo.read_until(r"motion +TRACKING")
    programs = [os.pidfd_open(pid) for pid in demo.children()]
    assert len(programs) == 3, demo.output
    demo.process.kill()
    demo.finish()
    for program in programs:
        # The descriptor is readable when the program has ended.
        ended, _, _ = select.select([program], [], [], FAR_TOO_LONG)
        os.close(program)
        assert ended, "a program still runs"


@pytest.mark.parametrize("seconds", ["2", "abc", "nan", "-1"])
def test_invalid_length_is_refused_with_range(seconds):
    demo = Demo(seconds)
    assert demo.finish() == 2
    assert demo.output == (
        f"demo: DEMO_SECONDS is '{seconds}'; it must be a number of seconds from 10 to 86400, or not set for 20"
    )
