"""Prints the timeline and the summary of the demo."""

import os
import signal
import time

COLOURS = {"good": "32", "warn": "33", "bad": "31", "quiet": "2", "bold": "1"}
ARROWS = "hand_sim ──target_pose, gripper──▶ bridge ──JSON lines over TCP──▶ arm_sim"


class Timeline:
    """Prints lines in columns with the time since the start. It uses colour only on a terminal."""

    def __init__(self, stream) -> None:
        self._stream, self._start, self._start_of_stamps = stream, time.monotonic(), time.time()
        self._colour = stream.isatty() and "NO_COLOR" not in os.environ

    def now(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    def at(self, stamp) -> float:
        """Convert the stamp of a message to seconds since the start."""
        return stamp.sec + stamp.nanosec * 1e-9 - self._start_of_stamps

    def head(self, seconds: float, seen_with: str) -> None:
        self.print("aether_bridge demo", "bold")
        self.print(f"  {ARROWS}")
        self.print(f"  About {seconds:g} s, on this machine only. Half-way, the demo kills the arm's controller, arm_sim,")
        self.print("  and restarts it a moment later. Press Ctrl-C to end the demo.")
        self.print(f"  To see its topics in another terminal of this machine: {seen_with}")
        self.print("")

    def show(self, who: str, what: str, state: str = "", style: str = "") -> None:
        """Print one event: who, what happened, the new state.

        `style` colours the state, or else the text.
        """
        first, *rest = what.split("\n")
        # Pad the columns before colouring, because escape sequences have no width.
        columns = f"{state:<14}" if state else ""
        words = first if state else self._paint(first, style)
        self.print(f"{self.now():7.2f}s   {who:<8}{self._paint(columns, style)}{words}")
        for line in rest:
            self.print(line)

    def print(self, line: str, style: str = "") -> None:
        print(self._paint(line.rstrip(), style), file=self._stream, flush=True)

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{COLOURS[style]}m{text}\x1b[0m" if self._colour and style and text else text


def summary(timeline: Timeline, record, story) -> int:
    """Print the results and return the exit code."""
    timeline.print("")
    timeline.print("Summary", "bold")
    for name, value in _facts(record, story):
        timeline.print(f"  {name:<36}{value}")
    faults = _faults(record, story)
    if not faults:
        timeline.print("")
        timeline.print("The bridge did its job: commands were acknowledged before and after the restart.", "good")
        return 0
    timeline.print("")
    for fault in faults:
        timeline.print(f"Problem: {fault}", "bad")
    return 130 if story.interrupted and not story.trouble else 1


def _facts(record, story) -> list:
    facts = []
    if record.status is not None:
        status, at_loss = record.status, record.at_loss
        facts.append(("commands", _counters(status)))
        if at_loss is not None:
            facts.append(("  before the controller was killed", _counters(at_loss)))
            facts.append(("  after it was restarted", _counters(status, at_loss)))
    if record.acknowledged:
        facts.append(("round trip", f"mean {status.rtt_mean * 1e3:.2f} ms, 99 % below {status.rtt_p99 * 1e3:.2f} ms"))
    if record.commands:
        facts.append(("largest step between commands", _mm(record.largest_step)))
    if record.first_step is not None:
        facts.append(("first command after the restart", f"{_mm(record.first_step)} from the restarted arm"))
    for name, start, end in (
        ("link loss noticed after", record.killed_at, record.lost_at),
        ("motion held after", record.killed_at, record.held_at),
        ("connected again after", story.restarted_at, record.reconnected_at),
        ("moving again after", story.restarted_at, record.moving_again_at),
    ):
        if start is not None and end is not None:
            facts.append((name, f"{end - start:.3f} s"))
    facts.append(("exit codes", ", ".join(f"{name} {_exit(code)}" for name, code, _ in story.ended) or "none"))
    return facts


def _counters(status, since=None) -> str:
    sent, acknowledged, rejected = (
        getattr(status, name) - (getattr(since, name) if since else 0)
        for name in ("sent", "acknowledged", "rejected")
    )
    return f"{sent} sent, {acknowledged} acknowledged, {rejected} rejected"


def _mm(metres: float) -> str:
    return f"{metres * 1e3:.1f} mm"


def _exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else str(code)


def _faults(record, story) -> list:
    faults = []
    if story.trouble:
        faults.append(story.trouble.split("\n")[0].rstrip(":"))
    if story.interrupted and not record.acknowledged_after:
        faults.append("the demo was ended before the arm moved again after the restart")
    elif not story.trouble and not record.acknowledged_after:
        faults.append("no command was acknowledged after the restart")
    for name, code, expected in story.ended:
        if code != expected:
            faults.append(f"{name} ended with {_exit(code)}, not {_exit(expected)}")
    return faults
