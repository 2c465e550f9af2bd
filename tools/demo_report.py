"""What a person sees of the demo: the timeline and the summary."""

import os
import shutil
import textwrap
import time

COLOURS = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "bold": "1"}
# time, who, state: what is said starts behind them.
LAYOUT = "{time:>8}  {who:<7} {state:<12} "
INDENT = len(LAYOUT.format(time="", who="", state=""))


class Timeline:
    """Lines with the time since the start. In colour on a terminal only."""

    def __init__(self, stream) -> None:
        self._stream, self._start = stream, time.monotonic()
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ
        self._width = shutil.get_terminal_size((110, 24)).columns if stream.isatty() else 0

    def now(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start

    def head(self, seconds: float, domain: str) -> None:
        self.print("aether_bridge demo", "bold")
        self.print("  hand_sim ──target_pose, gripper──▶ bridge ──JSON lines over TCP──▶ arm_sim")
        self.print(f"  about {seconds:g} s on this machine alone (ROS_DOMAIN_ID {domain}). Half-way the arm's controller,")
        self.print("  arm_sim, is killed and restarted. Ctrl-C ends it.\n")
        self.print(LAYOUT.format(time="time", who="who", state="state") + "what", "quiet")

    def say(self, who: str, what: str, state: str = "", style: str = "") -> None:
        head = LAYOUT.format(time=f"{self.now():.2f} s", who=who, state=state)
        first, *rest = what.split("\n")
        self.print((head + self._paint(first, style if not state else "")).replace(f" {state} ", f" {self._paint(state, style)} ", 1) if state else head + self._paint(first, style))
        for line in rest:
            self.print(line)

    def print(self, line: str, style: str = "") -> None:
        print(self._paint(line, style).rstrip(), file=self._stream, flush=True)

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if self._colour and style and text else text
