"""Arm controllers: one of the tests' own, that keeps every byte, and the package's `arm_sim` as a process."""

import dataclasses
import json
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import typing

from record import PATIENCE, Record

OK = b'{"status":"ok","message":"Command received"}\n'
# To the byte: anything else is a line among the commands, and fails where it is read as one.
STOP = b'{"type":"stop"}\n'
HEARTBEAT = b'{"type":"heartbeat"}\n'
# With members of its own too.
ANY_HEARTBEAT = HEARTBEAT[:-2]

# As the protocol has it: numbers with one to three decimals, none of them for show, and no negative zero.
NUMBER = rb"(?!-0\.0[,}])(-?(?:0|[1-9]\d*)\.(?:\d|\d{1,2}[1-9]))"
COMMAND = re.compile(
    rb'\{"type":"command","x":' + NUMBER + rb',"y":' + NUMBER + rb',"z":' + NUMBER + rb',"gripper":"(open|closed)"\}\n'
)
# The place in a line, whatever follows it.
PLACE = re.compile(rb'\{"type":"command","x":' + NUMBER + rb',"y":' + NUMBER + rb',"z":' + NUMBER + b",")


def command(x, y, z, gripper="open"):
    """The line for a position in millimetres, given as it is to be written."""
    return f'{{"type":"command","x":{x},"y":{y},"z":{z},"gripper":"{gripper}"}}\n'.encode()


# Of the unit of the wire, in a metre.
PER_METRE = {"mm": 1000, "cm": 100, "m": 1}


def report(place, **more):
    """A reply that says that the arm rests at this place, in the unit of the wire."""
    position = {} if place is None else {"position": list(place), "moving": False}
    return json.dumps({"status": "ok", "message": "", **position, **more}).encode() + b"\n"


def error(message):
    """The reply that refuses a command with these words."""
    return json.dumps({"status": "error", "message": message}).encode() + b"\n"


class Journal:
    """What a controller has seen, as `arm_sim --replay` reads it."""

    def __init__(self):
        self.events = []

    def note(self, connection, event, data=b""):
        text = data.decode(errors="replace")
        self.events.append({"at": time.monotonic(), "connection": connection, "event": event, "text": text})


@dataclasses.dataclass(frozen=True)
class Line:
    """A line as it arrived, newline included."""

    PATTERN: typing.ClassVar = COMMAND

    at: float
    # Of the controller's life, from 1.
    connection: int
    data: bytes
    # How many lines before it on its connection had no reply yet.
    owed: int = 0

    @property
    def position(self):
        """In metres."""
        return tuple(float(number) / 1000 for number in self._match().groups()[:3])

    @property
    def gripper(self):
        return self._match()[4].decode()

    def _match(self):
        match = self.PATTERN.fullmatch(self.data)
        assert match, f"not a command byte for byte: {self.data!r}"
        return match


class Controller:
    """A TCP server on a port of its own, which it keeps while it is down.

    `reply` makes the answer to the Line of a command, or is None: then neither commands nor stops are answered. `stop_reply`
    and `heartbeat_reply` make the answers to those, or are None: then those are not answered. From the start `reply` and
    `stop_reply` are ok, and `heartbeat_reply` says where the arm is: at once where the last command leads that was not
    refused. All may be exchanged at any time. `greeting` is said on every connection. `make_socket` may make sockets of another
    network; with a `receive_buffer`, in bytes, the kernel keeps no more than that of what has not been read.
    """

    def __init__(
        self,
        reply=lambda line: OK,
        up=True,
        greeting=b"",
        host="127.0.0.1",
        port=0,
        make_socket=socket.socket,
        receive_buffer=None,
    ):
        self.reply = reply
        self.host = host
        self.greeting, self._make_socket, self._receive_buffer = greeting, make_socket, receive_buffer
        self.stop_reply = lambda line: OK
        self.heartbeat_reply = self.report
        # Where the arm is, in the unit of the wire. None: it does not say.
        self.place = None
        # How the tool is turned. None: it does not say.
        self.rpy = None
        # All that came but stops and heartbeats: commands, and what should have been one.
        self.lines = Record("lines at the controller")
        self.stops = Record("stops at the controller")
        self.heartbeats = Record("heartbeats at the controller")
        self.journal = Journal()
        # When each connection came.
        self.connections = Record("connections")
        # The number of each connection that the client has ended.
        self.closed = Record("connections ended")
        self._listener = self._bound(port)
        self.port = self._listener.getsockname()[1]
        self.peer = f"{host}:{self.port}"
        self._open = {}
        self._paused = False
        self._fillers = []
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._wake, self._woken = socket.socketpair()
        self._poll.register(self._woken, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="controller")
        self._thread.start()
        if up:
            self.restart()

    def stand_at(self, parameters):
        """Puts the arm where a bridge with these parameters has its home."""
        per_metre = PER_METRE[parameters.get("wire.position_unit", "mm")]
        self.place = [per_metre * metres for metres in parameters.get("arm.home", (0.2, 0.0, 0.2))]

    def report(self, line):
        return report(self.place, **({} if self.rpy is None else {"rpy": self.rpy}))

    def fall_silent(self):
        """Answers nothing any more, heartbeats too."""
        self.reply = self.heartbeat_reply = None

    def recover(self):
        """Answers all lines well."""
        self.reply, self.heartbeat_reply = lambda line: OK, self.report

    def restart(self):
        """Listens (again), on the same port."""
        with self._lock:
            self._listener.listen()
            self._poll.register(self._listener, select.EPOLLIN)

    def kill(self, reset=True):
        """Ends every connection as the end of a process does, and listens no more. Returns when that was.

        With `reset` bytes that nobody has read were there, and the peer is told so; otherwise it is told of an end.
        """
        with self._lock:
            self._drain()
            at = time.monotonic()
            self._listener.close()
            for filler in self._fillers:
                filler.close()
            # Bound without listening it refuses, and keeps the port for the restart.
            self._listener = self._bound(self.port)
            for connection in list(self._open.values()):
                connection.end(reset)
            self._open.clear()
        return at

    def swallow(self):
        """Instead of a restart: listens with a queue that is full and stays so, which lets attempts hang."""
        with self._lock:
            self._listener.listen(0)
            self._fillers = [self._make_socket() for _ in range(2)]
            for filler in self._fillers:
                filler.setblocking(False)
                filler.connect_ex((self.host, self.port))

    def leave_waiting(self):
        """Serves those who are there, and nobody else: others connect, and are not accepted."""
        with self._lock:
            self._poll.unregister(self._listener)

    def pause(self):
        """Reads no more, and says no more."""
        with self._lock:
            self._paused = True
            for fd in self._open:
                self._poll.unregister(fd)

    def resume(self):
        with self._lock:
            self._paused = False
            for fd in self._open:
                self._poll.register(fd, select.EPOLLIN)

    def send(self, data):
        """Sends bytes of the test's choosing to the client."""
        with self._lock:
            for connection in self._open.values():
                connection.send(data)

    def mark(self):
        """How many lines, stops and heartbeats apart, have come: all that the client had sent when this was called."""
        with self._lock:
            self._drain()
            return len(self.lines)

    def close(self):
        self._wake.send(b"x")
        self._thread.join(PATIENCE)
        for connection in self._open.values():
            connection.socket.close()
        for end in (self._listener, self._wake, self._woken, self._poll, *self._fillers):
            end.close()

    def _run(self):
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._woken.fileno():
                    return
                with self._lock:
                    if fd == self._listener.fileno():
                        self._accept()
                    elif fd in self._open:
                        self._read(self._open[fd])

    def _accept(self):
        try:
            accepted, _ = self._listener.accept()
        except OSError:  # killed in between
            return
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.sendall(self.greeting)
        self.connections.append(time.monotonic())
        self._open[accepted.fileno()] = _Connection(accepted, len(self.connections), self.journal)
        self.journal.note(len(self.connections), "connected")
        if not self._paused:
            self._poll.register(accepted, select.EPOLLIN)

    def _drain(self):
        """Reads all that has come, so that nothing is on its way when something else happens."""
        for connection in [] if self._paused else list(self._open.values()):
            self._read(connection)

    def _read(self, connection):
        """Takes all that is there to be read."""
        while data := self._receive(connection):
            self._take(connection, data)

    def _receive(self, connection):
        """The next bytes, if there are any; notes that there are none, and the end."""
        try:
            data = connection.socket.recv(1 << 16, socket.MSG_DONTWAIT)
        except BlockingIOError:
            self.journal.note(connection.number, "quiet")
            return b""
        except OSError:
            data = b""
        if not data:
            del self._open[connection.socket.fileno()]
            connection.socket.close()
            self.closed.append(connection.number)
        return data

    def _take(self, connection, data):
        *whole, connection.rest = (connection.rest + data).split(b"\n")
        for text in whole:
            line = Line(time.monotonic(), connection.number, text + b"\n", connection.owed)
            connection.owed += 1
            self.journal.note(connection.number, "line", text)
            # Answered first: who sees the line in the record knows that the answer is on its way. Answers are in the
            # order of the lines, so one that answers no command answers nothing else either.
            reply, record = {
                STOP: (self.reply and self.stop_reply, self.stops),
                HEARTBEAT: (self.heartbeat_reply, self.heartbeats),
            }.get(line.data, (self.reply, self.lines))
            if line.data.startswith(ANY_HEARTBEAT):
                reply = self.heartbeat_reply
            answer = reply and reply(line)
            if (place := PLACE.match(line.data)) and b'"error"' not in (answer or b""):
                self.place = [float(number) for number in place.groups()]
            if answer:
                try:
                    connection.send(answer)
                except OSError:  # the client has gone; the next read tells
                    pass
            record.append(line)

    def _bound(self, port):
        bound = self._make_socket()
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        bound.bind((self.host, port))
        return bound


class _Connection:
    def __init__(self, accepted, number, journal):
        self.socket = accepted
        self.number = number
        self._journal = journal
        # Of a reply that is not complete.
        self._begun = b""
        self.rest = b""
        # Lines without a reply.
        self.owed = 0

    def send(self, data):
        # The bridge takes an object's last brace for its end.
        complete, brace, rest = data.rpartition(b"}")
        if brace:
            self._journal.note(self.number, "reply", self._begun + complete + brace + b"\n")
            self._begun = b""
        self._begun = (self._begun + rest).lstrip()
        self.socket.sendall(data)
        self.owed -= data.count(b"}")

    def end(self, reset):
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@dataclasses.dataclass(frozen=True)
class Datagram(Line):
    """A numbered line."""

    PATTERN: typing.ClassVar = re.compile(COMMAND.pattern.replace(rb"\}\n", rb',"seq":[1-9]\d*\}\n'))


class Receiver:
    """A controller that takes datagrams, and answers those that `hears` says it hears, by the numbers of `answers`."""

    def __init__(self):
        self.hears = lambda message: True
        self.answers = lambda seq: [seq]
        self.lines = Record("datagrams")
        self.place = None
        self.journal = Journal()
        # Where the bridge is.
        self.sender = None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.host, self.port = self._socket.getsockname()
        self._end = False
        self._thread = threading.Thread(target=self._run, name="receiver")
        self._thread.start()

    stand_at = Controller.stand_at

    def close(self):
        self._end = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", (self.host, self.port))
        self._thread.join(PATIENCE)
        self._socket.close()

    def _run(self):
        self.journal.note(1, "connected")
        while True:
            data, self.sender = self._socket.recvfrom(65536)
            if self._end:
                return
            message = json.loads(data)
            self.journal.note(1, "line", data.rstrip(b"\n"))
            if self.hears(message):
                if message["type"] == "command":
                    self.place = [message[axis] for axis in "xyz"]
                for number in self.answers(message["seq"]) if "seq" in message else [None]:
                    reply = json.loads(report(self.place)) | ({"seq": number} if number is not None else {})
                    # Without the newline: a datagram is whole as it is.
                    self._socket.sendto(json.dumps(reply).encode(), self.sender)
            self.lines.append(Datagram(time.monotonic(), 1, data))


class OneShot:
    """A TCP server that takes a connection for a question: it answers one line, and closes."""

    stand_at = Controller.stand_at

    def __init__(self):
        self.place = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = Record("connections")
        # From then on it answers each line.
        self.mended = threading.Event()
        self._end = False
        self._thread = threading.Thread(target=self._run, name="one-shot controller")
        self._thread.start()

    def close(self):
        self._end = True
        with socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._thread.join(PATIENCE)
        self._listener.close()

    def _run(self):
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._end:
                    return
                self.connections.append(time.monotonic())
                # Until the client ends it, which it does before the test ends.
                while data := connection.recv(1024):
                    connection.sendall(report(self.place) if data == HEARTBEAT else OK)
                    if not self.mended.is_set():
                        break


class ControllerProcess:
    """A controller that is a program: what it prints is recorded, what it is told goes to its standard input."""

    def __init__(self, command, env=None):
        self.printed = Record(f"printed by {command[0]}")
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self._reader = threading.Thread(target=self._read, name="controller's output")
        self._reader.start()

    def say(self, words):
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()

    def close(self, ending=signal.SIGINT):
        self._process.send_signal(ending)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._process.stdin.close()
        self._process.stdout.close()

    def _read(self):
        for line in self._process.stdout:
            self.printed.append(line.rstrip("\n"))


class ArmSim(ControllerProcess):
    """The installed `arm_sim` on a free port."""

    def __init__(self, executable, *arguments):
        super().__init__([executable, "--port", 0, *arguments])
        self.port = int(self.printed.wait(lambda line: "listening on" in line).rsplit(":", 1)[1])
        self.peer = f"127.0.0.1:{self.port}"


class Tutorial(ControllerProcess):
    """The controller from the tutorial, as its own process."""

    def __init__(self, script):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.peer = f"127.0.0.1:{self.port}"
        super().__init__([sys.executable, "-u", script, self.port])
        self.printed.wait()
