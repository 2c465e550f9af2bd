"""Faults of the link in mid-motion: refused, gone, silent, half-open, full, at another address."""

import itertools
import time

from controller import OK, report
from elsewhere import Machine, Names
from faults import Fault, play, rows
from harness import PLAIN, QUICK, distance
from rcl_interfaces.srv import ListParameters
from std_srvs.srv import SetBool

SILENT = "the controller does not reply"
SHORT = {"link.timeout": 0.8}
BANNER = b"\xff\xfd\x2cready\r\n"
# The number of lines that a controller may read later. The kernels of both sides keep them for a
# connection.
ROOM = 150


def silence(rig):
    rig.answer(None)


def sends_the_rest(rig):
    rig.controller.send(OK[10:])


def sends_no_banner(rig):
    """Restart the controller without the newline of its banner."""
    rig.controller.kill()
    rig.controller.greeting = b"\xff\xfd\x2cready"
    rig.controller.restart()


def sends_banner_again(rig):
    rig.controller.greeting = BANNER


def with_banner(rig):
    rig.make_controller(greeting=BANNER)


def killed(after=b"", reset=True):
    def begin(rig):
        if after:
            rig.answer(None)
            rig.controller.send(after)
        rig.controller.kill(reset)

    return begin


def restarted(rig):
    rig.controller.restart()


def killed_before_reply(rig):
    """Kill the controller before its reply to a command.

    The next connection must not repeat this command.
    """
    rig.answer(None)
    rig.status.wait(lambda status: status.sent > status.acknowledged, state="UNRESPONSIVE")
    rig.begun = time.monotonic()
    rig.controller.kill()


def accepts_and_is_silent(rig):
    rig.controller.kill()
    rig.answer(None)
    rig.controller.restart()


def swallows(rig):
    rig.controller.kill()
    rig.controller.swallow()


def revived(rig):
    rig.controller.kill()
    rig.controller.restart()


def with_little_room(rig):
    rig.make_controller(receive_buffer=1)


def stops_reading(rig):
    rig.controller.pause()


def reads_again(rig):
    """The services work meanwhile, and few commands wait for the controller."""
    rig.call("set_armed", data=True)
    finds_little(rig)


def finds_little(rig):
    unread = rig.status.newest().sent - len(rig.controller.lines)
    assert unread <= ROOM * len(rig.controller.connections), f"{unread} commands wait to be read"
    rig.controller.resume()


def reads_again_and_operator_confirms(rig):
    """The operator confirms the arm's position, because the controller never replies.

    The services work meanwhile.
    """
    assert rig.peer.call(ListParameters, "/aether_bridge/list_parameters").result.names
    finds_little(rig)
    rig.status.wait(state="CONNECTED", motion="HOLDING", reason="the arm's position is unknown")
    calls = [rig.peer.call(SetBool, "/aether_bridge/set_armed", data=True).success for _ in range(2)]
    assert calls == [False, True]


def homed_elsewhere(rig):
    """Restart the controller. It homes its arm at the start."""
    rig.controller.kill()
    rig.controller.position = [250.0, -50.0, 150.0]


def is_approached_there(rig):
    before = rig.controller.mark()
    rig.controller.restart()
    first = rig.controller.lines.wait(after=before)
    assert distance(first.position, (0.25, -0.05, 0.15)) < 0.005, first


def counts_in_metres(rig):
    """Restart the controller as another program, which reports metres on a millimetre wire."""
    rig.controller.kill()
    rig.controller.heartbeat_reply = lambda line: report([axis / 1000 for axis in rig.controller.position])
    rig.controller.restart()


def on_another_machine(rig):
    rig.machine = rig.keep(Machine())
    rig.make_controller(host=rig.machine.host, make_socket=rig.machine.socket)


def loses_the_cable_at_rest(rig):
    rig.hand.on = False
    rig.status.wait(lambda status: status.sent == status.acknowledged, motion="HOLDING", reason="no new target")
    rig.begun = time.monotonic()
    rig.machine.pull_out()


def by_name(rig):
    rig.names = Names(rig.folder, arm="127.0.0.1")
    rig.host, rig.options["under"] = "arm.test", rig.names.under
    # The other controller runs all the time. Only the host name selects one of them.
    port = rig.make_controller().port
    rig.other = rig.make_controller(host="127.0.0.2", port=port)


def moves_to_another_address(rig):
    rig.names.set(arm="127.0.0.2")
    rig.controller.kill()


def has_got_there(rig):
    rig.other.lines.wait()


def loses_its_name(rig):
    rig.names.set()
    rig.controller.kill()


def has_its_name_again(rig):
    rig.names.set(arm="127.0.0.1")
    rig.controller.restart()


def another_bridge(rig):
    """Start a second bridge. The controller serves one client, as most do."""
    rig.controller.leave_waiting()
    where = {"link.host": rig.host, "link.port": rig.controller.port, **QUICK, **SHORT}
    rig.another = rig.launch(where, ["-r", "__node:=another"], "/another")
    return rig.another.status


def is_not_disturbed(rig):
    """The other bridge has asked for the arm's position and has sent no command.

    It does not disturb the first one.
    """
    assert len(rig.controller.connections) == 1
    assert rig.status.motions()[-1] == "TRACKING" and "HOLDING" not in rig.status.motions()
    assert rig.another.status.newest().sent == 0
    rig.another.end()


ROWS = [
    Fault("the new connection is refused", killed(), "BACKOFF", shows="Connection refused", within="link.backoff.initial", end=restarted),
    Fault(
        "a connection attempt without reply",
        swallows,
        "BACKOFF",
        shows="no connection within link.connect_timeout 0.5 s",
        within="link.connect_timeout",
        end=revived,
        parameters={"link.connect_timeout": 0.5},
    ),
    Fault(
        "the new connection is accepted, but no reply comes",
        accepts_and_is_silent,
        "UNRESPONSIVE",
        shows=SILENT,
        within="link.reply_timeout",
        parameters=SHORT,
    ),
    Fault(
        "no reply, then a late reply",
        silence,
        "UNRESPONSIVE",
        shows=SILENT,
        within="link.reply_timeout",
        end=lambda rig: rig.controller.send(OK),
    ),
    Fault(
        "half a reply; the rest comes late",
        lambda rig: rig.answer(OK[:10]),
        "UNRESPONSIVE",
        shows=SILENT,
        within="link.reply_timeout",
        end=sends_the_rest,
    ),
    Fault(
        "no reply until the bridge reconnects",
        silence,
        "BACKOFF",
        shows="no reply for link.timeout 0.8 s",
        within="link.timeout",
        parameters=SHORT,
    ),
    Fault(
        "the controller sends bytes, but never a newline",
        lambda rig: rig.send_pieces(itertools.repeat(b"."), 0.05),
        "BACKOFF",
        shows="no reply for link.timeout 0.8 s",
        within="link.timeout",
        parameters=SHORT,
    ),
    Fault(
        "the banner is missing after a restart",
        sends_no_banner,
        "BACKOFF",
        shows="0 of 1 banner lines have come within link.banner_timeout 0.5 s",
        within="link.backoff.initial + link.banner_timeout",
        end=sends_banner_again,
        parameters={"link.banner_lines": 1, "link.banner_timeout": 0.5},
        setup=with_banner,
    ),
    Fault("the controller is killed; connection reset", killed(), "BACKOFF", shows="no connection to the controller", end=restarted),
    Fault("the controller is killed; connection closed", killed(reset=False), "BACKOFF", shows="closed the connection", end=restarted),
    Fault("the controller is killed before its reply", killed_before_reply, "BACKOFF", shows="Connection refused", end=restarted),
    Fault("connection reset in the middle of a reply", killed(b'{"sta'), "BACKOFF", shows="no connection", end=restarted),
    Fault(
        "connection closed in the middle of a reply", killed(b'{"sta', False), "BACKOFF", shows="in the middle of a line", end=restarted
    ),
    Fault("the controller restarts immediately", revived, "BACKOFF", shows="no connection"),
    Fault(
        "the controller restarts; its arm homes elsewhere",
        homed_elsewhere,
        "BACKOFF",
        shows="no connection",
        end=is_approached_there,
    ),
    Fault(
        "the controller restarts and reports m, not mm",
        counts_in_metres,
        shows="1000 times larger; check that wire.position_unit",
        within="link.backoff.initial",
        parameters={"link.heartbeat.period": 0.1, "workspace.reach_min": 0.05},
    ),
    Fault(
        "the controller stops reading", stops_reading, "UNRESPONSIVE", shows=SILENT, within="link.reply_timeout", end=reads_again
    ),
    Fault(
        "the controller stops reading and never replies",
        stops_reading,
        "BACKOFF",
        shows=("receive window", "does the controller read"),
        within="until both kernels' buffers are full + link.tcp_user_timeout",
        end=reads_again_and_operator_confirms,
        parameters={**PLAIN, "link.expect_reply": False},
        setup=with_little_room,
    ),
    Fault(
        "stops reading, never replies, long TCP timeout",
        stops_reading,
        "BACKOFF",
        shows="receive window",
        within="until both kernels' buffers are full + link.timeout",
        end=reads_again_and_operator_confirms,
        parameters={**PLAIN, "link.expect_reply": False, "link.tcp_user_timeout": 20.0, **SHORT},
        setup=with_little_room,
    ),
    Fault(
        "the controller's cable is pulled",
        lambda rig: rig.machine.pull_out(),
        "BACKOFF",
        shows="is the cable in",
        within="link.tcp_user_timeout",
        end=lambda rig: rig.machine.plug_in(),
        setup=on_another_machine,
    ),
    Fault(
        "the cable is pulled while the arm rests",
        loses_the_cable_at_rest,
        "BACKOFF",
        shows="is the cable in",
        within="a keep-alive of 1 s + link.tcp_user_timeout",
        end=lambda rig: rig.machine.plug_in(),
        setup=on_another_machine,
    ),
    Fault(
        "the controller's machine is switched off",
        lambda rig: rig.machine.switch_off(),
        "BACKOFF",
        shows="is the cable in",
        within="link.tcp_user_timeout",
        end=lambda rig: rig.machine.switch_on(),
        setup=on_another_machine,
    ),
    Fault(
        "the controller's host name gets another address",
        moves_to_another_address,
        "BACKOFF",
        shows="no connection",
        end=has_got_there,
        setup=by_name,
    ),
    Fault(
        "the controller's host name no longer resolves",
        loses_its_name,
        "BACKOFF",
        shows="cannot resolve host 'arm.test'",
        within="link.backoff.initial",
        end=has_its_name_again,
        setup=by_name,
    ),
    Fault(
        "a second bridge; the controller serves one client",
        another_bridge,
        "BACKOFF",
        "DISARMED",
        shows="no reply for link.timeout 0.8 s",
        within="from the start of the second bridge + link.timeout",
        parameters=SHORT,
        check=is_not_disturbed,
    ),
]


@rows(ROWS)
def test_link_fault_holds_arm_and_bridge_recovers(rig, fault):
    play(rig, fault)
