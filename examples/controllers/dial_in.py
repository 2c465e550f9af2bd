#!/usr/bin/env python3
"""A controller that connects to the bridge. Set `link.transport: tcp_server` in the bridge."""

import argparse
import atexit
import contextlib
import json
import signal
import socket
import sys
import time

LINE_LIMIT = 4096  # bytes: the bridge never sends a longer line
WATCHDOG = 0.5  # seconds: after a heartbeat, halt the arm if no valid line comes for this long


# YOUR ARM: fill in these two functions. The rest can stay as it is.
def move(x, y, z, gripper):
    """MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, gripper "open" or "closed".
    Start the motion and return. Do not wait for its end: the next command comes about 20 ms later
    and continues from there. If the arm cannot do it, raise ValueError("out of reach: ...").
    """
    print(f"move x={x} y={y} z={z} gripper={gripper}", flush=True)


def halt(why):
    """HALT THE ARM HERE: hold its position, leave the gripper. The arm may already be at rest."""
    print(why, flush=True)


def wrong(message, name, wanted):
    found = json.dumps(message[name])[:60] if name in message else "missing"
    return ValueError(f"{name} is {found}; it should be {wanted}")


def number(message, name):
    value = message.get(name)
    # Python accepts True as a number, and NaN and Infinity as JSON. Reject all three.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e6 <= value <= 1e6:
        raise wrong(message, name, "a number from -1e6 to 1e6")
    return float(value)


class Session:
    """One connection. Turns received bytes into replies, and halts the arm after a silence."""

    def __init__(self):
        self.rest = b""  # the beginning of a line whose end has not arrived yet
        self.heartbeats, self.silence, self.deadline = False, None, None

    def feed(self, data):
        """Return the replies to all lines that `data` completes. Raise ValueError to disconnect."""
        # TCP carries bytes, not lines: one recv may return half a line, or three lines.
        *lines, self.rest = (self.rest + data).split(b"\n")
        if max(map(len, (*lines, self.rest))) > LINE_LIMIT:
            raise ValueError(f"a line is longer than {LINE_LIMIT} bytes")
        return b"".join(map(self.reply_to, lines))

    def reply_to(self, line):
        """Return the reply to one line. Every line gets exactly one reply, also a bad line."""
        reply = {"status": "ok", "message": "Command received"}
        try:
            message = json.loads(line.decode())
            if not isinstance(message, dict):
                raise ValueError("not a JSON object")
            if type(message.get("seq")) is int:
                reply["seq"] = message["seq"]
            self.obey(message)
        except (ValueError, RecursionError) as problem:
            reply.update(status="error", message=f"{problem}, in: {line[:60].decode(errors='replace')}")
        return json.dumps(reply).encode() + b"\n"

    def obey(self, message):
        kind = message.get("type")  # check the whole line before acting on any of it
        if kind not in ("command", "stop", "heartbeat"):
            raise wrong(message, "type", '"command", "stop" or "heartbeat"')
        target = [number(message, name) for name in "xyz"] if kind == "command" else None
        if target and message.get("gripper") not in ("open", "closed"):
            raise wrong(message, "gripper", '"open" or "closed"')
        self.heartbeats = self.heartbeats or kind == "heartbeat"
        # Without ttl and heartbeats, silence is normal: a resting arm gets no commands.
        self.silence = number(message, "ttl") / 1000 if "ttl" in message else WATCHDOG if self.heartbeats else None
        self.deadline = None if self.silence is None else time.monotonic() + self.silence
        if target:
            move(*target, message["gripper"])
        elif kind == "stop":
            halt("stop")

    def watch(self):
        """Halt the arm if the deadline has passed. Return the seconds until then, or None."""
        if self.deadline is not None and time.monotonic() >= self.deadline:
            self.deadline = None
            halt(f"halt: nothing came for {self.silence:g} s")
        return None if self.deadline is None else max(0.001, self.deadline - time.monotonic())


def receive(bridge):
    """Return all bytes sent so far. The end of the connection comes after the last line. If the
    bridge has gone, raise before any of its lines is obeyed: it must not move the arm any more.
    """
    data = bridge.recv(4096)
    bridge.settimeout(0)
    with contextlib.suppress(BlockingIOError):
        while 0 < len(data) < 1_000_000 and (part := bridge.recv(4096)):
            data += part
        raise ConnectionError("the bridge has gone, or sends too fast")
    return data


def serve(bridge):
    bridge.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # send replies without delay
    session = Session()
    while True:
        bridge.settimeout(session.watch())
        try:
            data = receive(bridge)
        except TimeoutError:
            continue
        replies = session.feed(data)
        bridge.settimeout(1.0)
        bridge.sendall(replies)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address of the bridge")
    parser.add_argument("--port", type=int, default=5000)
    arguments = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit(0))
    atexit.register(halt, "halt: the controller ends")  # also after an uncaught exception
    wait = 0.1
    while True:
        try:
            with socket.create_connection((arguments.host, arguments.port), timeout=3.0) as bridge:
                print("connected to {}:{}".format(*bridge.getpeername()), flush=True)
                wait = 0.1
                serve(bridge)
        except (OSError, ValueError) as problem:
            halt(f"halt: {problem}")
            time.sleep(wait)
            wait = min(2 * wait, 4.0)
