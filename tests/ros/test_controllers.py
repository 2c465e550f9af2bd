"""Tests the reference controllers: byte for byte without a bridge, and then with the real bridge.

Controllers whose tools are missing (node, a JDK, a C compiler, mujoco) are skipped by name.
"""

import contextlib
import json
import random
import signal
import socket
import struct
import subprocess
import time

import pytest
from aether_bridge.msg import ArmState
from harness import EXECUTABLES, QUICK, distance
from record import NEVER, PATIENCE
from reference import CONTROLLERS, ONE_BY_ONE, TOGETHER, Client, Dialling, Listening, Program, Workshop
from std_srvs.srv import SetBool

SERVERS = [*ONE_BY_ONE, *TOGETHER]
COMMAND = b'{"type":"command","x":120.0,"y":35.5,"z":210.0,"gripper":"open"}\n'
PLACE = (120.0, 35.5, 210.0, "open")
STOP = b'{"type":"stop"}\n'
HEARTBEAT = b'{"type":"heartbeat"}\n'
# The time of the controllers' own watchdog.
WATCHDOG = 0.5

# Pairs: a wrong line, and words that the reply must contain.
BAD = [
    (b"garbage", ["garbage"]),
    (b"", []),
    (b"[1,2,3]", ["object", "[1,2,3]"]),
    (b'"command"', ["object"]),
    (b"17", ["object", "17"]),
    (b'{"type":"stop"', ['{"type":"stop"']),
    (b'{"type":"stop"} {"type":"stop"}', ['{"type":"stop"}']),
    (b'{"type":"stop",}', [",}"]),
    (b'{"type":"stop","a":"\xff"}', ["UTF-8"]),
    (b'{"type":"stop"}\0', ['{"type":"stop"}']),
    (b"[" * 4000, ["[[["]),
    (b"{}", ["type"]),
    (b'{"x":120.0,"y":35.5,"z":210.0,"gripper":"open"}', ["type"]),
    (b'{"type":"dance"}', ["type", "dance"]),
    (b'{"type":["stop"]}', ["type", "["]),
    (COMMAND.replace(b'"y":35.5,', b""), ["y"]),
    (COMMAND.replace(b"120.0", b'"abc"'), ["x", "abc"]),
    (COMMAND.replace(b"35.5", b"null"), ["y", "null"]),
    (COMMAND.replace(b"35.5", b"true"), ["y", "true"]),
    (COMMAND.replace(b"210.0", b"[210.0]"), ["z", "["]),
    (COMMAND.replace(b"120.0", b"NaN"), ["NaN"]),
    (COMMAND.replace(b"120.0", b"-Infinity"), ["Infinity"]),
    (COMMAND.replace(b"120.0", b"1e999"), ["x"]),
    (COMMAND.replace(b"120.0", b"1" + b"0" * 400), ["x", "1000"]),
    (COMMAND.replace(b"open", b"ajar"), ["gripper", "ajar"]),
    (COMMAND.replace(b'"open"', b"null"), ["gripper", "null"]),
    (COMMAND.replace(b',"gripper":"open"', b""), ["gripper"]),
    (b'{"type":"heartbeat","ttl":"soon"}', ["ttl", "soon"]),
]


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    return Workshop(tmp_path_factory.mktemp("controllers"))


@pytest.fixture
def run(workshop):
    """Start a controller: run(name)."""
    with contextlib.ExitStack() as stack:

        def start(name, *arguments, **options):
            kind = {"dial_in.py": Dialling}.get(name, Listening)
            started = kind(workshop.command(name), *arguments, **options)
            stack.callback(started.close)
            return started

        yield start


@pytest.fixture(params=[*SERVERS, "dial_in.py"])
def program(run, request):
    """Each controller that uses TCP."""
    return run(request.param)


@pytest.fixture
def client(program):
    with program.client() as connected:
        yield connected


def test_every_reference_controller_is_short():
    for source in CONTROLLERS.iterdir():
        if source.suffix in (".py", ".js", ".c", ".java"):
            assert len(source.read_text().splitlines()) < 150, source.name


def test_line_may_arrive_byte_by_byte(program, client):
    for byte in COMMAND[:-1]:
        client.send(bytes([byte]))
    assert client.silent(), "a reply before the end of the line"
    assert client.ask(COMMAND[-1:])[0]["status"] == "ok"
    program.wait_for_move(*PLACE)


def test_joined_lines_get_replies_in_order(program, client):
    numbered = [COMMAND.replace(b"}", b',"seq":%d}' % seq) for seq in (7, 8, 9, 10)]
    replies = client.ask(b"".join(numbered[:3]) + numbered[3][:20], 3)
    assert [(reply["status"], reply["seq"]) for reply in replies] == [("ok", 7), ("ok", 8), ("ok", 9)]
    assert client.silent()
    assert client.ask(numbered[3][20:])[0]["seq"] == 10
    program.printed.wait_count(5)
    assert program.moves() == [PLACE] * 4


def test_bad_line_gets_error_and_moves_nothing(program, client):
    for line, words in BAD:
        [reply] = client.ask(line.rstrip(b"\n") + b"\n")
        assert reply["status"] == "error", line
        for word in words:
            assert word.lower() in reply["message"].lower(), (line, reply)
    assert client.ask(COMMAND)[0]["status"] == "ok", "after all the bad lines"
    program.wait_for_move(*PLACE)
    assert program.printed[1:] == [program.printed[1]], "the controller acted on a bad line"


def test_stop_halts_and_heartbeat_moves_nothing(program, client):
    replies = client.ask(COMMAND + HEARTBEAT + STOP + HEARTBEAT + COMMAND, 5)
    assert [reply["status"] for reply in replies] == ["ok"] * 5
    printed = program.printed.wait_count(4)[1:]
    assert printed[1] == "stop" and program.moves() == [PLACE, PLACE]


def test_replies_and_errors_repeat_seq(program, client):
    good, bad, refused, without = client.ask(
        b'{"type":"stop","seq":17,"stamp":1732233600.123456}\n{"type":"dance","seq":18}\n'
        + COMMAND.replace(b"120.0", b'"abc"').replace(b"}", b',"seq":19}') + STOP,
        4,
    )
    assert (good["status"], good["seq"]) == ("ok", 17)
    assert (bad["status"], bad["seq"]) == ("error", 18)
    assert (refused["status"], refused["seq"]) == ("error", 19)
    assert "seq" not in without


def test_members_may_have_any_order_and_spacing(program, client):
    line = (
        ' {\t"gripper" : "closed" ,"quaternion":[0.0,0.0,0.0,1.0],"stamp":1732233600.123456, "z":2.1e2,"y" :-35.5,'
        '"nested":{"x":1,"a":[{"type":"dance"},"]}\\"",null,true]},"who":"\\u00e9\\\\\\ud83d\\ude00 \u00e9","type":"command",'
        '"x":12E1,"rpy":[0.0,0.0,1.5708],"empty":{},"none":[]} \r\n'
    )
    assert client.ask(line.encode())[0]["status"] == "ok"
    program.wait_for_move(120.0, -35.5, 210.0, "closed")


def test_line_over_4096_bytes_ends_connection(program):
    for ending in (b"\n", b""):
        with program.client() as client:
            whole = b'{"type":"heartbeat","padding":"' + b"p" * 4063 + b'"}\n'
            assert len(whole) == 4097
            assert client.ask(whole)[0]["status"] == "ok"
            client.send(b'{"type":"stop","padding":"' + b"p" * 5000 + b'"}' + ending)
            assert client.wait_closed() == b""
    with program.client() as client:
        assert client.ask(STOP)[0]["status"] == "ok"
    program.printed.wait(lambda line: line == "stop")
    assert list(program.printed).count("stop") == 1


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
def test_arm_halts_when_bridge_disconnects(program, reset):
    for _ in range(2):
        before = len(program.printed)
        with program.client() as client:
            # The incomplete line at the end does not count.
            assert client.ask(COMMAND + STOP[:-1])[0]["status"] == "ok"
            if reset:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        program.printed.wait(lambda line: line.startswith("halt: "), before)
        assert "stop" not in list(program.printed)


def test_garbage_does_not_end_controller(program):
    dice = random.Random(5)
    for _ in range(20):
        with program.client() as client:
            with contextlib.suppress(OSError):  # the controller closes after a line that is too long
                for _ in range(30):
                    client.send(dice.randbytes(dice.randrange(300)) + dice.choice([b"", b"\n", b"{", COMMAND[:30]]))
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with program.client() as client:
        assert client.ask(STOP)[0]["status"] == "ok"


def test_arm_halts_after_ttl_of_last_line(program, client):
    for line in (COMMAND, STOP, HEARTBEAT):
        before = len(program.printed)
        sent = time.monotonic()
        client.ask(line.replace(b"}", b',"ttl":300}'))
        program.printed.wait(lambda line: line.startswith("halt: nothing came"), before)
        assert time.monotonic() - sent > 0.29
    # The controller still runs, and halts only once.
    program.printed.assert_none(after=len(program.printed))
    assert client.ask(COMMAND)[0]["status"] == "ok"


def test_only_a_full_line_restarts_watchdog(program, client):
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        client.ask(COMMAND.replace(b"}", b',"ttl":1000}'))
        client.silent(0.05)
    assert not [line for line in program.printed if line.startswith("halt")]
    client.ask(COMMAND.replace(b"}", b',"ttl":300}'))
    deadline = time.monotonic() + PATIENCE
    while not program.printed[-1].startswith("halt: nothing came"):
        assert time.monotonic() < deadline
        client.send(b" ")
        client.silent(0.02)


def test_silence_halts_only_after_a_heartbeat(program, client):
    client.ask(COMMAND)
    program.printed.assert_none(lambda line: line.startswith("halt"), within=WATCHDOG + NEVER)
    client.ask(HEARTBEAT + COMMAND, 2)
    program.printed.wait(lambda line: line.startswith("halt: nothing came"))
    # Every connection starts without heartbeats.
    client.close()
    with program.client() as other:
        after = len(program.printed)
        other.ask(COMMAND)
        program.printed.assert_none(lambda line: line.startswith("halt: nothing"), after, within=WATCHDOG + NEVER)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_signal_halts_arm_and_exits_zero(program, client, ending):
    client.ask(COMMAND)
    assert program.end(ending) == 0
    program.printed.wait(lambda line: line.startswith("halt: "))


ELSEWHERE = COMMAND.replace(b"120.0", b"333.0").replace(b"open", b"closed")


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_second_client_is_refused_immediately(run, name):
    program = run(name)
    with program.client() as first:
        assert first.ask(COMMAND)[0]["status"] == "ok"
        for _ in range(3):
            with program.client() as second:
                refused = json.loads(second.wait_closed())
                assert refused["status"] == "error" and "another client" in refused["message"]
        assert first.ask(HEARTBEAT)[0]["status"] == "ok"
    with program.client() as third:
        assert third.ask(COMMAND)[0]["status"] == "ok"


@pytest.mark.parametrize("name", SERVERS)
def test_dead_second_client_moves_nothing_later(run, name):
    program = run(name)
    with program.client() as first:
        assert first.ask(COMMAND)[0]["status"] == "ok"
        with program.client() as second, contextlib.suppress(ConnectionError):
            second.send(ELSEWHERE)
        assert first.ask(HEARTBEAT)[0]["status"] == "ok"
    with program.client() as third:
        assert third.ask(STOP)[0]["status"] == "ok"
    program.printed.wait(lambda line: line == "stop")
    assert program.moves() == [PLACE], "a client that is gone moved the arm"


@pytest.mark.parametrize("reset", [True, False], ids=["reset", "closed"])
@pytest.mark.parametrize("lines", [1, 2000], ids=lambda lines: f"{lines}_lines")
def test_lines_of_dead_client_move_nothing(program, reset, lines):
    with program.client() as gone:
        program.send_signal(signal.SIGSTOP)  # a busy controller
        gone.send(ELSEWHERE * lines)
        if reset:
            gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    program.send_signal(signal.SIGCONT)
    with program.client() as next_client:
        assert next_client.ask(STOP)[0]["status"] == "ok"
    program.printed.wait(lambda line: line == "stop")
    assert not program.moves(), "a client that is gone moved the arm"


@pytest.mark.parametrize("name", TOGETHER)
def test_second_client_moves_nothing_during_first(run, name):
    program = run(name)
    with program.client() as first, program.client() as second:
        assert first.ask(COMMAND)[0]["status"] == "ok"
        [refused] = second.ask(COMMAND.replace(b"}", b',"seq":3}'))
        assert (refused["status"], refused["seq"]) == ("error", 3) and "another client" in refused["message"]
        second.close()
        assert first.ask(STOP)[0]["status"] == "ok"
    assert program.printed.wait(lambda line: line.startswith("halt: "))
    assert program.moves() == [PLACE], "the second client moved the arm, or its end halted the arm"
    with program.client() as third:
        assert third.ask(COMMAND)[0]["status"] == "ok"


@pytest.mark.parametrize("name", TOGETHER)
def test_silent_first_client_loses_the_arm(run, name):
    program = run(name)
    with program.client() as first, program.client() as second:
        assert first.ask(COMMAND)[0]["status"] == "ok"
        deadline = time.monotonic() + PATIENCE
        while second.ask(COMMAND)[0]["status"] == "error" and time.monotonic() < deadline:
            second.silent(0.1)
        assert first.ask(COMMAND)[0]["status"] == "error"
    program.printed.wait_count(3)


@pytest.mark.parametrize("name", [*SERVERS, "dial_in.py", "udp_receiver.py"])
def test_arm_check_passes(workshop, run, name):
    check = [str(EXECUTABLES / "arm_check"), "127.0.0.1"]
    options = ["--at", "200", "0", "200", "--gripper", "open", "--yes", "--stop", "--heartbeat", "--seq"]
    if name == "dial_in.py":
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        # It retries until arm_check listens.
        program = Program(workshop.command(name), port)
        options.append("--listen")
    else:
        program = run(name)
        port = program.port
        options += ["--udp"] if name == "udp_receiver.py" else []
    try:
        done = subprocess.run([*check, str(port), *options], capture_output=True, text=True, timeout=120, check=False)
    finally:
        if name == "dial_in.py":
            program.close()
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 wrong" in done.stdout.splitlines()[-1]


def test_dial_in_retries_until_bridge_listens(workshop):
    with socket.socket() as bridge:
        # A bound socket that does not listen refuses connections.
        bridge.bind(("127.0.0.1", 0))
        program = Program(workshop.command("dial_in.py"), bridge.getsockname()[1])
        try:
            program.printed.find(lambda _: len(program.printed) == 3)
            assert all("refused" in line for line in program.printed)
            bridge.listen()
            bridge.settimeout(PATIENCE)
            for _ in range(2):
                with Client(bridge.accept()[0]) as client:
                    assert client.ask(COMMAND)[0]["status"] == "ok"
            program.printed.find(lambda _: len(program.moves()) == 2)
        finally:
            program.close()


# UDP


class Sender:
    """The bridge's side of an exchange of datagrams."""

    def __init__(self, port):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", port))

    def ask(self, data, seq=None):
        """Return the reply to a datagram, or None if no reply comes soon."""
        self._socket.settimeout(PATIENCE)
        self._socket.send(data if seq is None else numbered(data, seq))
        return json.loads(self._socket.recv(4096))

    def ignored(self, data, seq):
        """Return whether a datagram gets no reply: the next reply has another number."""
        self._socket.send(numbered(data, seq))
        self._socket.settimeout(0.2)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        return False

    def close(self):
        self._socket.close()


def numbered(data, seq, extra=b""):
    return data.replace(b"}", b',"seq":%d%s}' % (seq, extra))


@pytest.fixture
def udp(run):
    return run("udp_receiver.py")


@pytest.fixture
def sender(udp):
    with contextlib.closing(Sender(udp.port)) as made:
        yield made


def test_udp_reply_has_seq_of_datagram(udp, sender):
    # The first datagram may have any number, because the controller may have been restarted.
    for seq, line in enumerate([COMMAND, STOP, HEARTBEAT, COMMAND], start=41):
        reply = sender.ask(line, seq)
        assert (reply["status"], reply["seq"]) == ("ok", seq)
    assert udp.printed.wait_count(4)[2] == "stop" and udp.moves() == [PLACE, PLACE]
    refused = sender.ask(COMMAND.replace(b"120.0", b'"abc"'), 45)
    assert (refused["status"], refused["seq"]) == ("error", 45) and "abc" in refused["message"]


def test_udp_reply_names_the_error(udp, sender):
    for line, words in BAD:
        reply = sender.ask(numbered(line.rstrip(b"\n"), 1) if line.startswith(b'{"type":"command"') else line)
        assert reply["status"] == "error", line
        for word in words if b"seq" not in line and line.startswith(b'{"type":"command"') else []:
            assert word in reply["message"], (line, reply)
    assert "seq" in sender.ask(COMMAND)["message"]
    assert "4096" in sender.ask(b" " * 5000 + STOP)["message"]
    assert sender.ask(COMMAND, 2)["status"] == "ok"
    udp.wait_for_move(*PLACE)
    assert len(udp.moves()) == 1


def test_udp_counts_lost_and_ignores_old_datagrams(udp, sender):
    assert sender.ask(COMMAND, 1)["seq"] == 1
    assert sender.ask(COMMAND.replace(b"120.0", b"130.0"), 5)["seq"] == 5
    udp.printed.wait(lambda line: line == "lost 3 before seq 5")
    udp.wait_for_move(130.0, *PLACE[1:])
    for old in (5, 4, 1):
        assert sender.ignored(COMMAND.replace(b"120.0", b"999.0"), old)
    assert sender.ask(HEARTBEAT, 6)["seq"] == 6
    assert [move[0] for move in udp.moves()] == [120.0, 130.0]


def test_udp_accepts_restarted_bridge_only_after_silence(udp, sender):
    assert sender.ask(COMMAND, 5000)["status"] == "ok"
    assert sender.ignored(COMMAND, 1)
    udp.printed.wait(lambda line: line.startswith("halt: nothing came"))
    # A late datagram is still late.
    assert sender.ignored(COMMAND, 4999)
    assert sender.ask(COMMAND, 2)["seq"] == 2
    assert sender.ask(COMMAND, 3)["seq"] == 3


def test_udp_obeys_one_sender_at_a_time(udp, sender):
    assert sender.ask(COMMAND, 7)["status"] == "ok"
    with contextlib.closing(Sender(udp.port)) as other:
        refused = other.ask(STOP, 1)
        assert (refused["status"], refused["seq"]) == ("error", 1) and "another sender" in refused["message"]
        udp.printed.wait(lambda line: line.startswith("halt: nothing came"))
        # A restarted bridge uses another port.
        assert other.ask(STOP, 2)["status"] == "ok"
        assert sender.ask(COMMAND, 8)["status"] == "error"


def test_udp_halts_after_ttl_or_half_second(udp, sender):
    for seq, extra, least in ((1, b"", 0.49), (2, b',"ttl":200', 0.19), (3, b',"ttl":900', 0.89)):
        before, sent = len(udp.printed), time.monotonic()
        sender.ask(numbered(COMMAND, seq, extra))
        udp.printed.wait(lambda line: line.startswith("halt: nothing came"), before)
        assert least < time.monotonic() - sent < 5
    udp.printed.assert_none(after=len(udp.printed))
    assert udp.end() == 0


# MuJoCo


def reached(client, x, y, z, within=5.0):
    """Return the reply when the arm has reached the position and rests."""
    deadline = time.monotonic() + PATIENCE
    while True:
        [reply] = client.ask(HEARTBEAT)
        if not reply["moving"] and distance(reply["position"], (x, y, z)) < within:
            return reply
        assert time.monotonic() < deadline, reply
        client.silent(0.02)


def test_mujoco_arm_reaches_target_and_reports_position(run):
    with run("mujoco_arm.py").client() as client:
        for x, y, z, gripper in [(120, 35.5, 210, "closed"), (-150, 200, 100, "open"), (250, -200, 150, "closed")]:
            command = {"type": "command", "x": x, "y": y, "z": z, "gripper": gripper}
            [reply] = client.ask(json.dumps(command).encode() + b"\n")
            # The simulated arm needs time to move.
            assert reply["status"] == "ok" and distance(reply["position"], (x, y, z)) > 20
            reply = reached(client, x, y, z)
            assert reply["gripper"] == gripper
            assert len(reply["joints"]) == 3 and all(-3.2 < joint < 3.2 for joint in reply["joints"])


def test_mujoco_arm_stops_on_its_way(run):
    with run("mujoco_arm.py").client() as client:
        client.ask(COMMAND.replace(b"120.0", b"-150.0"))
        while not client.ask(HEARTBEAT)[0]["moving"]:
            pass
        client.ask(STOP)
        while (reply := client.ask(HEARTBEAT)[0])["moving"]:
            pass
        assert distance(reply["position"], (-150.0, 35.5, 210.0)) > 50
        reached(client, *reply["position"])


def test_mujoco_arm_refuses_targets_out_of_reach(run):
    program = run("mujoco_arm.py")
    with program.client() as client:
        for x in (b"500.0", b"-400.0"):
            [reply] = client.ask(COMMAND.replace(b"120.0", x))
            assert reply["status"] == "error" and "out of reach" in reply["message"]
        [reply] = client.ask(COMMAND.replace(b"210.0", b"-20.0"))
        assert reply["status"] == "error" and "z -20.0" in reply["message"]
    assert not program.moves()


def test_mujoco_arm_draws_itself(run, tmp_path):
    picture = tmp_path / "arm.png"
    try:
        program = run("mujoco_arm.py", arguments=["--render", picture])
    except AssertionError:
        pytest.skip("mujoco_arm.py --render: no OpenGL here")
    with program.client() as client:
        assert client.ask(COMMAND)[0]["status"] == "ok"
    assert program.end() == 0
    assert picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size > 5000


# Behind the bridge

METRES = tuple(value / 1000 for value in PLACE[:3])
# If a controller does not report the position, the arm is at home.
AT_PLACE = {**QUICK, "arm.home": list(METRES), "arm.assume_position": "home"}
FULL = {**AT_PLACE, "teleop.hold_behavior": "stop", "link.heartbeat.period": 0.1}
# At 0.1 m/s the first step of a ramp is 2 mm. After a rest a step may be twice as long.
STEP = 4.0 + 1e-6


def follows(started, program, hand):
    """The bridge follows a hand, which then rests and is lost. Return the tracker."""
    tracker = hand(METRES)
    started.status.wait(state="CONNECTED", motion="TRACKING")
    program.wait_for_move(*PLACE)
    tracker.position = (0.15, -0.02, 0.2)
    program.wait_for_move(150.0, -20.0, 200.0)
    tracker.stop()
    held = started.status.wait(lambda status: status.acknowledged == status.sent, motion="HOLDING")
    assert held.acknowledged > 5 and held.rejected == 0
    return tracker


@pytest.mark.parametrize("name", SERVERS)
def test_restarted_controller_is_approached_again(run, bridge, hand, peer, name):
    program = run(name)
    started = bridge(program, FULL)
    tracker = follows(started, program, hand)
    program.printed.wait(lambda line: line == "stop")

    started.status.skip()
    program.end(signal.SIGKILL)
    started.status.wait(state="BACKOFF", motion="HOLDING")
    again = run(name, program.port)
    started.status.wait(state="CONNECTED")
    # The target is not across the base, where the simulated arm cannot reach.
    tracker.position = (0.05, 0.2, 0.21)
    tracker.start()
    # mujoco_arm.py knows its position, and a new one starts at its initial position. For the others
    # an operator confirms the position.
    if name != "mujoco_arm.py":
        started.status.wait(motion="HOLDING", reason="the arm's position is unknown")
        assert again.moves() == []
        calls = [peer.call(SetBool, "/aether_bridge/set_armed", data=True).success for _ in range(2)]
        assert calls == [False, True]
    started.status.wait(motion="APPROACH")
    again.wait_for_move(50.0, 200.0, 210.0)
    if name != "mujoco_arm.py":
        assert distance(again.moves()[0][:3], PLACE[:3]) <= STEP, "a jump"
    assert all(distance(one[:3], other[:3]) < 50 for one, other in zip(again.moves(), again.moves()[1:]))
    assert started.status.newest().rejected == 0


@pytest.mark.parametrize("name", ["blocking.py", "asyncio_server.py", "controller.c"])
def test_controller_halts_when_bridge_hangs(run, bridge, hand, name):
    program = run(name)
    started = bridge(program, FULL)
    hand(METRES)
    started.status.wait(motion="TRACKING")
    # Hang the bridge as a laptop may hang: the connection stays open, but no data comes.
    started.process.send_signal(signal.SIGSTOP)
    try:
        program.printed.wait(lambda line: line.startswith("halt: nothing came"))
    finally:
        started.process.send_signal(signal.SIGCONT)
    after = len(program.printed)
    program.wait_for_move(*PLACE, after=after)


def test_controller_works_with_default_parameters(run, bridge, hand):
    program = run("blocking.py")
    started = bridge(program, AT_PLACE)
    follows(started, program, hand)
    assert not [line for line in program.printed if line == "stop" or line.startswith("halt")]


def test_arm_state_has_position_of_mujoco_arm(run, bridge, hand, peer):
    states = peer.record(ArmState, "/aether_bridge/arm_state")
    started = bridge(run("mujoco_arm.py"), FULL)
    hand(METRES)
    started.status.wait(motion="TRACKING")
    there = lambda at: distance((at.x, at.y, at.z), METRES) < 0.005  # noqa: E731
    states.wait(lambda state: there(state.position) and state.gripper == "open")


def test_controller_that_dials_in_follows_hand(run, launch, hand):
    program = run("dial_in.py", free_port())
    started = launch({**FULL, "link.transport": "tcp_server", "link.host": "127.0.0.1", "link.port": program.port, "link.min_clients": 1})
    follows(started, program, hand)
    program.printed.wait(lambda line: line == "stop")
    program.end(signal.SIGKILL)
    started.status.skip().wait(state="LISTENING", motion="HOLDING")
    run("dial_in.py", program.port).printed.wait(lambda line: line.startswith("connected to"))
    started.status.wait(state="CONNECTED")


@pytest.mark.parametrize("extras", [["seq", "ttl"], ["seq", "stamp", "rpy", "quaternion", "ttl"]], ids=len)
def test_udp_receiver_follows_hand(run, bridge, hand, extras):
    udp = run("udp_receiver.py")
    parameters = {**FULL, "link.transport": "udp", "wire.extra_fields": extras, "link.max_in_flight": 8}
    started = bridge(udp, parameters)
    follows(started, udp, hand)
    udp.printed.wait(lambda line: line == "stop")
    assert not [line for line in udp.printed if line.startswith("lost")]


@pytest.mark.parametrize("name", SERVERS)
def test_controller_accepts_seq_and_ttl(run, bridge, hand, name):
    program = run(name)
    parameters = {**FULL, "wire.extra_fields": ["seq", "stamp", "rpy", "quaternion", "ttl"], "wire.command_ttl": 0.4}
    started = bridge(program, parameters)
    follows(started, program, hand)
    started.process.send_signal(signal.SIGSTOP)
    try:
        program.printed.wait(lambda line: line.startswith("halt: nothing came"))
    finally:
        started.process.send_signal(signal.SIGCONT)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
