#!/usr/bin/env python3
"""An arm's controller over UDP: for `link.transport: udp` with `wire.extra_fields: ["seq", "ttl"]` and `link.heartbeat.period: 0.1`."""

import argparse
import atexit
import json
import signal
import socket
import sys
import time

DATAGRAM_LIMIT = 4096  # bytes: who sends a longer one is not the bridge
SILENCE = 0.5  # seconds after which the arm is halted if no ttl says otherwise, and another sender may come
RESTARTED = 100  # a bridge counts from 1 when it starts: after silence a number below this one is a new start


# YOUR ARM: fill in these two functions. The rest can stay as it is.
def move(x, y, z, gripper):
    """MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, with the gripper "open" or "closed".
    Begin the motion and return; do not wait for its end: the next command comes within some 20 ms, and leads on from
    wherever the arm is. For what the arm cannot do, raise ValueError("out of reach: ...").
    """
    print(f"move x={x} y={y} z={z} gripper={gripper}", flush=True)


def halt(why):
    """HALT THE ARM HERE: where it is, with the gripper as it is. It may be at rest already."""
    print(why, flush=True)


def wrong(message, name, wanted):
    found = json.dumps(message[name])[:60] if name in message else "missing"
    return ValueError(f"{name} is {found}; it should be {wanted}")


def number(message, name):
    value = message.get(name)
    # Python takes True for a number, and NaN and Infinity for JSON. None of them is a place.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1e6 <= value <= 1e6:
        raise wrong(message, name, "a number from -1e6 to 1e6")
    return float(value)


class Receiver:
    """Datagrams go in, replies come out, and it knows when there has been silence for too long."""

    def __init__(self):
        self.sender, self.seq = None, 0  # whose datagrams are obeyed, and the newest number of them
        self.heard = -SILENCE  # when the last one came that was obeyed
        self.silence = SILENCE
        self.moving = False  # whether there is anything to halt

    def answer(self, datagram, sender):
        """The reply to a datagram; None for one that is late, or came twice: the bridge has given it up."""
        reply = {"status": "ok", "message": "Command received"}
        try:
            # A longer datagram was cut on receiving.
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
        """Does what the message says. Returns False for an old one, which must not move the arm back."""
        kind = message.get("type")  # everything is looked at before anything is done
        if kind not in ("command", "stop", "heartbeat"):
            raise wrong(message, "type", '"command", "stop" or "heartbeat"')
        target = [number(message, name) for name in "xyz"] if kind == "command" else None
        if target and message.get("gripper") not in ("open", "closed"):
            raise wrong(message, "gripper", '"open" or "closed"')
        silence = number(message, "ttl") / 1000 if "ttl" in message else SILENCE
        silent = time.monotonic() >= self.heard + SILENCE
        if sender != self.sender and not silent:
            raise ValueError("another sender moves the arm")
        if sender != self.sender or (silent and message["seq"] < min(self.seq, RESTARTED)):
            self.sender, self.seq = sender, message["seq"] - 1
        # Datagrams get lost, overtake each other and come twice; the numbers tell.
        if message["seq"] <= self.seq:
            return False
        if message["seq"] > self.seq + 1:
            print(f"lost {message['seq'] - self.seq - 1} before seq {message['seq']}", flush=True)
        self.seq, self.heard, self.silence, self.moving = message["seq"], time.monotonic(), silence, True
        if target:
            move(*target, message["gripper"])
        elif kind == "stop":
            halt("stop")
        return True

    def watch(self):
        """Halts the arm if it is time to. Returns for how many seconds to wait for a datagram; None: for ever."""
        # There is no connection that could end: only silence tells that the bridge, or the cable, is gone.
        if self.moving and time.monotonic() >= self.heard + self.silence:
            self.moving = False
            halt(f"halt: nothing came for {self.silence:g} s")
        return max(0.001, self.heard + self.silence - time.monotonic()) if self.moving else None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every address of this machine")
    parser.add_argument("--port", type=int, default=5000, help="0: a free one")
    arguments = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, lambda *_: sys.exit(0))
    atexit.register(halt, "halt: the controller ends")  # also after an exception that nobody has caught
    receiver = Receiver()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((arguments.host, arguments.port))
        print("listening on {}:{}".format(*server.getsockname()), flush=True)
        while True:
            server.settimeout(receiver.watch())
            try:
                datagram, sender = server.recvfrom(DATAGRAM_LIMIT + 1)
                reply = receiver.answer(datagram, sender)
                if reply:
                    server.sendto(reply, sender)
            except OSError:
                pass  # nothing came in time, or the reply cannot leave: silence will tell
