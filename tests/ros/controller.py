"""Controllers: one that records every byte for the tests, and `arm_sim` as a process."""

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
# The exact bytes. The controller records any other line as a command. If a test then reads this
# line as a command, the test fails.
STOP = b'{"type":"stop"}\n'
HEARTBEAT = b'{"type":"heartbeat"}\n'
# The beginning of a heartbeat, also of one with more members.
ANY_HEARTBEAT = HEARTBEAT[:-2]

# The number format of the protocol: one to three decimals, no trailing zeros, no negative zero.
NUMBER = rb"(?!-0\.0[,}])(-?(?:0|[1-9]\d*)\.(?:\d|\d{1,2}[1-9]))"
COMMAND = re.compile(
    rb'\{"type":"command","x":' + NUMBER + rb',"y":' + NUMBER + rb',"z":' + NUMBER + rb',"gripper":"(open|closed)"\}\n'
)
# The position in a command line, whatever follows it.
POSITION = re.compile(rb'\{"type":"command","x":' + NUMBER + rb',"y":' + NUMBER + rb',"z":' + NUMBER + b",")


def command(x, y, z, gripper="open"):
    """Return the command line for a position in millimetres.

    The numbers are given as they are written.
    """
    return f'{{"type":"command","x":{x},"y":{y},"z":{z},"gripper":"{gripper}"}}\n'.encode()


# Wire units in a metre.
PER_METRE = {"mm": 1000, "cm": 100, "m": 1}


def report(at, **more):
    """Return a reply that reports the arm at rest at this position, in the unit of the wire."""
    position = {} if at is None else {"position": list(at), "moving": False}
    return json.dumps({"status": "ok", "message": "", **position, **more}).encode() + b"\n"


def error(message):
    """Return a reply that refuses a command with this message."""
    return json.dumps({"status": "error", "message": message}).encode() + b"\n"


class Journal:
    """The events at a controller, in the format of `arm_sim --replay`."""

    def __init__(self):
        self.events = []

    def note(self, connection, event, data=b""):
        text = data.decode(errors="replace")
        self.events.append({"at": time.monotonic(), "connection": connection, "event": event, "text": text})


@dataclasses.dataclass(frozen=True)
class Line:
    """A received line, with its newline."""

    PATTERN: typing.ClassVar = COMMAND

    at: float
    # Number of the connection, counted from 1 over the life of the controller.
    connection: int
    data: bytes
    # Number of earlier lines on the connection that had no reply yet.
    owed: int = 0

    @property
    def position(self):
        """Return the position in metres."""
        return tuple(float(number) / 1000 for number in self._match().groups()[:3])

    @property
    def gripper(self):
        return self._match()[4].decode()

    def _match(self):
        match = self.PATTERN.fullmatch(self.data)
        assert match, f"not a command byte for byte: {self.data!r}"
        return match


class Controller:
    """A TCP server on its own port. It keeps the port while it is down.

    `reply` makes the reply to a command from its Line. If it is None, commands and stop lines get
    no reply. `stop_reply` and `heartbeat_reply` make the replies to stop lines and heartbeats. If
    one of them is None, these lines get no reply. By default `reply` and `stop_reply` are "ok", and
    `heartbeat_reply` reports the arm at the position of the last command that was not refused. A
    test may replace them at any time. The controller sends `greeting` on every connection.
    `make_socket` may make sockets of another network. `receive_buffer` limits the unread bytes that
    the kernel keeps.
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
        # The arm's position in the unit of the wire. None: replies do not report it.
        self.position = None
        # The tool's orientation. None: replies do not report it.
        self.rpy = None
        # All lines except stop lines and heartbeats: commands, and lines that should have been
        # commands.
        self.lines = Record("lines at the controller")
        self.stops = Record("stops at the controller")
        self.heartbeats = Record("heartbeats at the controller")
        self.journal = Journal()
        # The time of each connection.
        self.connections = Record("connections")
        # The number of each connection that the client has closed.
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
        """Put the arm at the home position of a bridge with these parameters."""
        per_metre = PER_METRE[parameters.get("wire.position_unit", "mm")]
        self.position = [per_metre * metres for metres in parameters.get("arm.home", (0.2, 0.0, 0.2))]

    def report(self, line):
        return report(self.position, **({} if self.rpy is None else {"rpy": self.rpy}))

    def fall_silent(self):
        """Reply to nothing any more, not even to heartbeats."""
        self.reply = self.heartbeat_reply = None

    def recover(self):
        """Reply to all lines with success."""
        self.reply, self.heartbeat_reply = lambda line: OK, self.report

    def restart(self):
        """Listen (again) on the same port."""
        with self._lock:
            self._listener.listen()
            self._poll.register(self._listener, select.EPOLLIN)

    def kill(self, reset=True):
        """Close every connection, as the end of a process does, and stop listening. Return the
        time.

        With `reset` the peer gets a reset, as from a process that had unread bytes. Otherwise the
        peer gets an end of stream.
        """
        with self._lock:
            self._drain()
            at = time.monotonic()
            self._listener.close()
            for filler in self._fillers:
                filler.close()
            # A bound socket that does not listen refuses connections, and keeps the port for the
            # restart.
            self._listener = self._bound(self.port)
            for connection in list(self._open.values()):
                connection.end(reset)
            self._open.clear()
        return at

    def swallow(self):
        """Listen with a queue that is full and stays full, so that connection attempts hang."""
        with self._lock:
            self._listener.listen(0)
            self._fillers = [self._make_socket() for _ in range(2)]
            for filler in self._fillers:
                filler.setblocking(False)
                filler.connect_ex((self.host, self.port))

    def leave_waiting(self):
        """Serve only the clients that are connected. Others connect but are not accepted."""
        with self._lock:
            self._poll.unregister(self._listener)

    def pause(self):
        """Stop reading and replying."""
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
        """Send bytes to all clients."""
        with self._lock:
            for connection in self._open.values():
                connection.send(data)

    def mark(self):
        """Return the number of lines without stops and heartbeats.

        It includes all that the client has sent before.
        """
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
        except OSError:  # killed meanwhile
            return
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted.sendall(self.greeting)
        self.connections.append(time.monotonic())
        self._open[accepted.fileno()] = _Connection(accepted, len(self.connections), self.journal)
        self.journal.note(len(self.connections), "connected")
        if not self._paused:
            self._poll.register(accepted, select.EPOLLIN)

    def _drain(self):
        """Read all received bytes, so that no byte is still on its way at the next event."""
        for connection in [] if self._paused else list(self._open.values()):
            self._read(connection)

    def _read(self, connection):
        """Handle all received bytes."""
        while data := self._receive(connection):
            self._take(connection, data)

    def _receive(self, connection):
        """Return the next bytes, if there are any.

        Record silence, or the end of the connection.
        """
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
            # Reply first: if a test sees the line in the record, the reply is already on its way.
            # Replies are in the order of the lines. So a controller that does not reply to commands
            # replies to no other line either.
            reply, record = {
                STOP: (self.reply and self.stop_reply, self.stops),
                HEARTBEAT: (self.heartbeat_reply, self.heartbeats),
            }.get(line.data, (self.reply, self.lines))
            if line.data.startswith(ANY_HEARTBEAT):
                reply = self.heartbeat_reply
            answer = reply and reply(line)
            if (position := POSITION.match(line.data)) and b'"error"' not in (answer or b""):
                self.position = [float(number) for number in position.groups()]
            if answer:
                try:
                    connection.send(answer)
                except OSError:  # the client has gone; the next read detects it
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
        # The beginning of an incomplete reply.
        self._begun = b""
        self.rest = b""
        # Number of lines without a reply.
        self.owed = 0

    def send(self, data):
        # For the bridge, a reply ends at the last brace of the object.
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
    """A UDP controller.

    It replies if `accepts` returns true, with the numbers that `answers` returns.
    """

    def __init__(self):
        self.accepts = lambda message: True
        self.answers = lambda seq: [seq]
        self.lines = Record("datagrams")
        self.position = None
        self.journal = Journal()
        # The address of the bridge.
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
            if self.accepts(message):
                if message["type"] == "command":
                    self.position = [message[axis] for axis in "xyz"]
                for number in self.answers(message["seq"]) if "seq" in message else [None]:
                    reply = json.loads(report(self.position)) | ({"seq": number} if number is not None else {})
                    # No newline is needed: a datagram is complete as it is.
                    self._socket.sendto(json.dumps(reply).encode(), self.sender)
            self.lines.append(Datagram(time.monotonic(), 1, data))


class OneShot:
    """A TCP server that replies to one line and then closes the connection."""

    stand_at = Controller.stand_at

    def __init__(self):
        self.position = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.connections = Record("connections")
        # If set, it replies to every line of a connection.
        self.fixed = threading.Event()
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
                # Until the client closes, which it does before the test ends.
                while data := connection.recv(1024):
                    connection.sendall(report(self.position) if data == HEARTBEAT else OK)
                    if not self.fixed.is_set():
                        break


class ControllerProcess:
    """A controller that is a program.

    Its output is recorded. `type_line` writes to its standard input.
    """

    def __init__(self, command, env=None):
        self.printed = Record(f"printed by {command[0]}")
        self._process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env
        )
        self._reader = threading.Thread(target=self._read, name="controller's output")
        self._reader.start()

    def type_line(self, words):
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
