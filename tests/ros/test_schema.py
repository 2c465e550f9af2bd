"""docs/protocol.md, docs/protocol.schema.json, and the real lines of bridge and controllers agree.
"""

import json
import pathlib
import re
import socket

import pytest
from controller import command
from harness import QUICK
from std_srvs.srv import SetBool, Trigger

jsonschema = pytest.importorskip("jsonschema", reason="the PyPI package jsonschema is not installed")

# Ubuntu 22.04 has jsonschema 3.2. The schema uses only features of draft 7.
VALIDATOR = getattr(jsonschema, "Draft202012Validator", jsonschema.Draft7Validator)
DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
SCHEMA = json.loads((DOCS / "protocol.schema.json").read_text())
PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}


def errors(name, line):
    """Return the errors of a line against this part of the schema; an empty list if it is valid."""
    validator = VALIDATOR({**SCHEMA, "anyOf": [{"$ref": f"#/$defs/{name}"}]})
    return [error.message for error in validator.iter_errors(_parse(line))]


def _parse(line):
    """Parse as strictly as the protocol: no NaN, and no repeated member."""

    def once(pairs):
        assert len({name for name, _ in pairs}) == len(pairs), f"a member is repeated: {line}"
        return dict(pairs)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON: {line}")

    return json.loads(line, object_pairs_hook=once, parse_constant=refuse)


def examples():
    """Return pairs of the label of a line in docs/protocol.md, and the line."""
    page = (DOCS / "protocol.md").read_text()
    for kind, block in re.findall(r"^```json ([a-z-]+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            yield kind, line
    for block in re.findall(r"^```text\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            sent_by, text, wrong = re.fullmatch(r"(?:(→|←) )?(.*?)(   # wrong: .*)?", line).groups()
            if sent_by and text.startswith("{"):
                yield ("bad-" if wrong else "") + {"→": "bridge", "←": "controller"}[sent_by], text


def test_schema_is_valid():
    VALIDATOR.check_schema(SCHEMA)


def test_every_line_kind_has_labelled_examples():
    page = (DOCS / "protocol.md").read_text()
    assert "```json\n" not in page
    kinds = {kind for kind, _ in examples()}
    labels = {"command", "stop", "heartbeat", "hello", "reply", "state", "bad-reply", "other", "bridge", "controller"}
    assert kinds == labels | {"bad-controller"}


@pytest.mark.parametrize("kind, line", list(examples()))
def test_every_example_fits_its_label(kind, line):
    if kind == "other":
        assert errors("bridge", line), "only the bridge may send this line"
    elif kind.startswith("bad-"):
        assert errors(kind.removeprefix("bad-"), line)
    else:
        assert errors(kind, line) == []
        # Good examples have no unknown members, and lines of the bridge have exactly its spelling.
        if kind in ("reply", "state", "controller"):
            assert errors("reported", line) == []
        else:
            assert json.dumps(json.loads(line), separators=(",", ":")) == line


@pytest.mark.parametrize(
    "name, line",
    [
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0}'),
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0,"gripper":"ajar"}'),
        ("command", '{"type":"command","x":"1","y":2.0,"z":3.0,"gripper":"open"}'),
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0,"gripper":"open","speed":1}'),
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0,"gripper":"open","seq":0}'),
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0,"gripper":"open","ttl":0.5}'),
        ("command", '{"type":"command","x":1.0,"y":2.0,"z":3.0,"gripper":"open","quaternion":[0.0,0.0,0.0]}'),
        ("stop", '{"type":"stop","x":1.0}'),
        ("stop", '{"type":"heartbeat"}'),
        ("heartbeat", '{"type":"heartbeat","rpy":[0.0,0.0,0.0]}'),
        ("reported", '{"status":"ok","position":[1,2]}'),
        ("reported", '{"status":"ok","gripper":0.5}'),
        ("state", '{"type":"reply"}'),
        ("state", '{"position":[1,2,3]}'),
    ],
)
def test_schema_rejects_invalid_bridge_lines(name, line):
    assert errors(name, line)


@pytest.mark.parametrize(
    "line",
    ['{"status":"ok","message":null,"mine":{"a":[1]}}', '{"status":"error","position":"far","moving":1,"gripper":0.5}'],
)
def test_schema_accepts_extra_members_of_controllers(line):
    assert errors("reply", line) == []


EXTRAS = ["seq", "stamp", "rpy", "quaternion", "ttl"]
# The extra members of stops and heartbeats.
BARE_EXTRAS = ["seq", "stamp", "ttl"]


@pytest.mark.parametrize(
    "extras",
    [None, *([name] for name in EXTRAS), EXTRAS],
    ids=lambda extras: "+".join(extras or ["default"]),
)
def test_all_bridge_lines_fit_the_schema(controllers, bridge, hand, peer, extras):
    controller = controllers()
    parameters = {**AT_PLACE, "teleop.hold_behavior": "stop", "link.heartbeat.period": 0.05}
    controller.rpy = [0.0, 0.0, 0.0]
    if extras:
        parameters["wire.extra_fields"] = extras
    status = bridge(controller, parameters).status
    # The controller recognises stops and heartbeats by their exact bytes. With extra members they
    # are in its record of lines.
    extended = set(extras or []) & set(BARE_EXTRAS)
    has_type = lambda kind: lambda line: json.loads(line.data)["type"] == kind  # noqa: E731
    tracker = hand(PLACE)
    status.wait(motion="TRACKING")
    tracker.position = (0.14, 0.0355, 0.21)
    assert peer.call(Trigger, "/aether_bridge/stop").success
    (controller.lines if extended else controller.stops).wait(has_type("stop"))
    status.wait(motion="STOPPED")
    assert peer.call(Trigger, "/aether_bridge/reset").success
    (controller.lines if extended else controller.heartbeats).wait(has_type("heartbeat"))
    assert peer.call(SetBool, "/aether_bridge/set_armed", data=True).success
    status.wait(motion="TRACKING")

    lines = [*controller.lines, *controller.stops, *controller.heartbeats]
    kinds = set()
    for line in lines:
        members = list(_parse(line.data))
        kinds.add(_parse(line.data)["type"])
        assert errors("bridge", line.data) == [], line.data
        # Exactly the requested extra members, in their order.
        wanted = extras or []
        if members[0] == "type" and _parse(line.data)["type"] != "command":
            wanted = [name for name in wanted if name in BARE_EXTRAS]
        assert [name for name in members if name in EXTRAS] == wanted, line.data
    assert kinds == {"command", "stop", "heartbeat"}
    if "seq" in (extras or []):
        assert sorted(_parse(line.data)["seq"] for line in lines) == list(range(1, len(lines) + 1))


@pytest.mark.parametrize(
    ("plain", "arguments"), [(True, ()), (False, ()), (True, ("--fault", "error:no"))], ids=["plain", "state", "error"]
)
def test_all_arm_sim_replies_fit_the_schema(arm_sim, plain, arguments):
    sim = arm_sim(*arguments, plain=plain)
    lines = [command("120.0", "35.5", "210.0"), b'{"type":"stop"}\n', b'{"type":"heartbeat"}\n', b"nonsense\n"]
    with socket.create_connection(("127.0.0.1", sim.port)) as client, client.makefile() as replies:
        for line in lines:
            client.sendall(line)
            reply = replies.readline()
            assert errors("reply", reply) == [] and errors("reported", reply) == [], reply
