#!/usr/bin/env python3
"""A controller with `asyncio`: many clients in one thread. One at a time moves the arm."""

import argparse
import asyncio
import contextlib
import json
import signal
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

    mover, last_line = None, 0.0  # the one session that moves the arm, and the time of its last line

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
            # A silent client may be a switched-off laptop. After 2 s another client may take over.
            if Session.mover not in (None, self) and time.monotonic() < Session.last_line + 2.0:
                raise ValueError("another client moves the arm")
            Session.mover, Session.last_line = self, time.monotonic()
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
            self.end(f"nothing came for {self.silence:g} s")
        return None if self.deadline is None else max(0.001, self.deadline - time.monotonic())

    def end(self, why):
        """Halt the arm if this session moves it."""
        self.deadline = None
        if Session.mover is self:
            Session.mover = None
            halt(f"halt: {why}")


async def receive(reader, patience):
    """Return all bytes sent so far. Raise if the client has gone: then it must not move the arm."""
    data = await asyncio.wait_for(reader.read(4096), patience)
    with contextlib.suppress(asyncio.TimeoutError):
        while 0 < len(data) < 1_000_000 and (part := await asyncio.wait_for(reader.read(4096), 0.001)):
            data += part
        raise ConnectionError("the bridge has gone, or sends too fast")
    return data


async def serve(reader, writer):
    session, why = Session(), "an error in move or halt"
    try:
        while True:
            try:
                data = await receive(reader, session.watch())
            except asyncio.TimeoutError:
                continue
            writer.write(session.feed(data))
            await asyncio.wait_for(writer.drain(), 1.0)  # disconnect a client that does not read its replies for 1 s
    except asyncio.CancelledError:
        why = "the controller ends"
    except (OSError, ValueError, asyncio.TimeoutError) as problem:
        why = str(problem) or "the client does not read its replies"
    finally:
        session.end(why)
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 means all")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on; 0: any free port")
    arguments = parser.parse_args()
    ended = asyncio.Event()
    for ending in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(ending, ended.set)
    server = await asyncio.start_server(serve, arguments.host, arguments.port)
    print("listening on {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main())
