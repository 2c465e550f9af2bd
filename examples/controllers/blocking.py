#!/usr/bin/env python3
"""A controller with a blocking socket: one thread, one client. If in doubt, start from it."""

import argparse
import atexit
import contextlib
import json
import select
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
    and continues from there. If the arm cannot do it, raise ValueError("out of reach: ...")."""
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


def receive(client):
    """Return all bytes sent so far. The end of the connection comes after the last line. If the
    client has gone, raise before any of its lines is obeyed: it must not move the arm any more."""
    client.settimeout(0)
    data = b""
    with contextlib.suppress(BlockingIOError):
        while len(data) < 1_000_000 and (part := client.recv(4096)):
            data += part
        raise ConnectionError("the bridge has gone, or sends too fast")
    return data


def serve(client, server):
    # Send replies without delay. If the system can, detect a vanished laptop within seconds.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("KEEPIDLE", 1), ("KEEPINTVL", 1), ("KEEPCNT", 3), ("USER_TIMEOUT", 4000)):
        if hasattr(socket, f"TCP_{option}"):
            client.setsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{option}"), value)
    session = Session()
    while True:
        ready, _, _ = select.select([client, server], [], [], session.watch())
        if client in ready:  # read this client first: if it has disconnected, the new one replaces it
            replies = session.feed(receive(client))
            client.settimeout(1.0)  # disconnect a client that does not read its replies for 1 s
            client.sendall(replies)
        # Refuse a second client now: waiting lines could move the arm after their client has gone.
        if server in ready:
            with contextlib.suppress(OSError), server.accept()[0] as other:
                other.sendall(b'{"status":"error","message":"another client is served"}\n')


def run(host, port):
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit(0))
    atexit.register(lambda: halt("halt: the controller ends"))  # also after an uncaught exception
    with socket.create_server((host, port)) as server:
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            client, _ = server.accept()
            try:
                with client:
                    serve(client, server)
            except (OSError, ValueError) as problem:
                halt(f"halt: {problem}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 means all")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on; 0: any free port")
    arguments = parser.parse_args()
    run(arguments.host, arguments.port)
