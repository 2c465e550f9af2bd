#!/usr/bin/env python3
"""A controller that uses UDP.

Set in the bridge: `link.transport: udp`, `wire.extra_fields: ["seq", "ttl"]` and
`link.heartbeat.period: 0.1`.
"""

import argparse
import atexit
import json
import signal
import socket
import sys
import time

DATAGRAM_LIMIT = 4096  # bytes: the bridge never sends a longer datagram
# Seconds without a datagram. After this time accept a new sender, and halt the arm. If the last
# datagram has a ttl, halt the arm after the ttl instead.
SILENCE = 0.5
# A bridge counts from 1. So a seq below this, after a silence, shows that the bridge has restarted.
RESTARTED = 100


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


class Receiver:
    """Turns received datagrams into replies, and halts the arm after a silence."""

    def __init__(self):
        self.sender, self.seq = None, 0  # the sender that is obeyed, and its highest seq
        self.obeyed_at = -SILENCE  # when the last obeyed datagram arrived
        self.silence = SILENCE
        self.moving = False  # whether there is anything to halt

    def reply_to(self, datagram, sender):
        """Return the reply to a datagram. Return None if the datagram is late or repeated, because
        the bridge no longer waits for its reply.
        """
        reply = {"status": "ok", "message": "Command received"}
        try:
            # The rest of a longer datagram is lost: recvfrom() has cut it.
            if len(datagram) > DATAGRAM_LIMIT:
                raise ValueError(f"longer than {DATAGRAM_LIMIT} bytes")
            message = json.loads(datagram.decode())
            if not isinstance(message, dict):
                raise ValueError("not a JSON object")
            if type(message.get("seq")) is not int or message["seq"] < 1:
                raise wrong(message, "seq", "a whole number from 1; set wire.extra_fields: [seq, ttl]")
            reply["seq"] = message["seq"]
            if not self.obey(message, sender):
                return None
        except (ValueError, RecursionError) as problem:
            reply.update(status="error", message=f"{problem}, in: {datagram[:60].decode(errors='replace')}")
        return json.dumps(reply).encode() + b"\n"

    def obey(self, message, sender):
        """Execute a message. Return False for an old message, which must not move the arm back."""
        kind = message.get("type")  # check the whole line before acting on any of it
        if kind not in ("command", "stop", "heartbeat"):
            raise wrong(message, "type", '"command", "stop" or "heartbeat"')
        target = [number(message, name) for name in "xyz"] if kind == "command" else None
        if target and message.get("gripper") not in ("open", "closed"):
            raise wrong(message, "gripper", '"open" or "closed"')
        silence = number(message, "ttl") / 1000 if "ttl" in message else SILENCE
        silent = time.monotonic() >= self.obeyed_at + SILENCE
        if sender != self.sender and not silent:
            raise ValueError("another sender moves the arm")
        if sender != self.sender or (silent and message["seq"] < min(self.seq, RESTARTED)):
            self.sender, self.seq = sender, message["seq"] - 1
        # Datagrams can get lost, overtake each other or arrive twice. The seq shows this.
        if message["seq"] <= self.seq:
            return False
        if message["seq"] > self.seq + 1:
            print(f"lost {message['seq'] - self.seq - 1} before seq {message['seq']}", flush=True)
        self.seq, self.obeyed_at, self.silence, self.moving = message["seq"], time.monotonic(), silence, True
        if target:
            move(*target, message["gripper"])
        elif kind == "stop":
            halt("stop")
        return True

    def watch(self):
        """Halt the arm if the deadline has passed. Return the seconds until then, or None."""
        # UDP has no connection that could end. Only silence shows that the bridge has gone.
        if self.moving and time.monotonic() >= self.obeyed_at + self.silence:
            self.moving = False
            halt(f"halt: nothing came for {self.silence:g} s")
        return max(0.001, self.obeyed_at + self.silence - time.monotonic()) if self.moving else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 means all")
    parser.add_argument("--port", type=int, default=5000, help="port to listen on; 0: any free port")
    arguments = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit(0))
    atexit.register(halt, "halt: the controller ends")  # also after an uncaught exception
    receiver = Receiver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((arguments.host, arguments.port))
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            server.settimeout(receiver.watch())
            try:
                datagram, sender = server.recvfrom(DATAGRAM_LIMIT + 1)
                reply = receiver.reply_to(datagram, sender)
                if reply:
                    server.sendto(reply, sender)
            except OSError:
                pass  # no datagram in time, or the reply could not be sent: the watchdog decides
