"""Tests what survives the process: a stop, an unclean end, and who has restarted the bridge."""

import json
import os
import signal
import time

import pytest
from harness import QUICK
from preloaded import Preloaded
from record import PATIENCE
from std_srvs.srv import SetBool, Trigger

PLACE = (0.12, 0.0355, 0.21)
AT_PLACE = {**QUICK, "arm.home": list(PLACE)}


@pytest.fixture
def state(tmp_path):
    return State(tmp_path / "state")


class State:
    """A state folder that several runs share."""

    def __init__(self, folder):
        self.folder = folder

    def environment(self, **more):
        return {"XDG_STATE_HOME": str(self.folder), **more}

    def file(self, name="aether_bridge"):
        return self.folder / "aether_bridge" / f"{os.environ['ROS_DOMAIN_ID']}.{name}.json"

    def record(self, name="aether_bridge"):
        return json.loads(self.file(name).read_text())

    def wait(self, state):
        deadline = time.monotonic() + PATIENCE
        while not self.file().exists() or self.record()["state"] != state:
            assert time.monotonic() < deadline, self.record()
            time.sleep(0.01)


def kill(started):
    started.process.send_signal(signal.SIGKILL)
    started.wait()


def call(peer, name, **fields):
    kind = SetBool if fields else Trigger
    return peer.call(kind, f"/aether_bridge/{name}", **fields)


def moves_after_reset_and_arming(peer, status):
    assert not call(peer, "set_armed", data=True).success
    assert call(peer, "reset").success
    assert call(peer, "set_armed", data=True).success
    status.wait(motion="TRACKING")


def test_stop_survives_a_restart(controller, bridge, hand, peer, state):
    first = bridge(controller, AT_PLACE, environment=state.environment())
    hand(PLACE)
    first.status.wait(motion="TRACKING")
    assert call(peer, "stop").success
    first.end()
    assert state.record()["state"] == "stopped" and "~/stop" in state.record()["why"]

    after = controller.mark()
    status = bridge(controller, AT_PLACE, environment=state.environment()).status
    reason = r"stopped by ~/stop before this start, on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC; call ~/reset, then ~/set_armed"
    status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="STOPPED", reason=reason)
    controller.lines.assert_none(after=after)
    moves_after_reset_and_arming(peer, status)
    state.wait("running")


@pytest.mark.parametrize("arming", ["automatic", "operator"])
def test_restart_after_kill_moves_nothing(controller, bridge, hand, peer, state, arming):
    parameters = {**AT_PLACE, "teleop.arming": arming}
    first = bridge(controller, parameters, environment=state.environment())
    hand(PLACE)
    call(peer, "set_armed", data=True)
    first.status.wait(motion="TRACKING")
    kill(first)
    after = controller.mark()
    status = bridge(controller, parameters, environment=state.environment()).status
    status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="STOPPED", reason="did not end as it should")
    controller.lines.assert_none(after=after)
    moves_after_reset_and_arming(peer, status)


def test_stop_survives_an_immediate_kill(controller, bridge, hand, peer, state):
    first = bridge(controller, AT_PLACE, environment=state.environment())
    hand(PLACE)
    first.status.wait(motion="TRACKING")
    call(peer, "stop")
    kill(first)
    bridge(controller, AT_PLACE, environment=state.environment()).status.wait(state="CONNECTED", motion="STOPPED")


def test_clean_end_leaves_nothing_behind(controller, bridge, hand, state):
    hand(PLACE)
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run = bridge(controller, AT_PLACE, environment=state.environment())
        run.status.wait(motion="TRACKING")
        run.end(ending)
        assert state.record()["state"] == "ended"


def test_reset_is_kept_by_next_start(controller, bridge, hand, peer, state):
    hand(PLACE)
    run = bridge(controller, AT_PLACE, environment=state.environment())
    run.status.wait(motion="TRACKING")
    call(peer, "stop")
    call(peer, "reset")
    run.end()
    bridge(controller, AT_PLACE, environment=state.environment()).status.wait(motion="TRACKING")


def test_ros_failure_is_not_a_clean_end(controller, launch, hand, state, tmp_path):
    faults = Preloaded(tmp_path)
    parameters = {**AT_PLACE, "link.port": controller.port}
    controller.stand_at(parameters)
    run = launch(parameters, environment=state.environment(**faults.environment))
    hand(PLACE)
    run.status.wait(motion="TRACKING")
    faults.set(wait=1)
    assert run.wait() == 1
    assert state.record()["state"] == "running"


def test_two_nodes_share_no_state(controllers, bridge, hand, peer, state):
    one, other = controllers(), controllers()
    left = ("-r", "__ns:=/left")
    first = bridge(one, AT_PLACE, left, name="/left/aether_bridge", environment=state.environment())
    assert peer.call(Trigger, "/left/aether_bridge/stop").success
    first.end()
    assert state.record("left.aether_bridge")["state"] == "stopped"
    hand(PLACE)
    bridge(other, AT_PLACE, environment=state.environment()).status.wait(motion="TRACKING")


@pytest.mark.parametrize("text", ["", "{}", "\0\0\0", '{"state": "fine"}'])
def test_damaged_file_is_reported_as_stop(controller, bridge, hand, peer, state, text):
    state.file().parent.mkdir(parents=True)
    state.file().write_text(text)
    hand(PLACE)
    started = bridge(controller, AT_PLACE, environment=state.environment())
    started.status.wait(state="CONNECTED", motion="STOPPED", reason="state file .* cannot be understood")
    started.log.wait(lambda line: "WARN" in line and "treated as a latched stop" in line)
    moves_after_reset_and_arming(peer, started.status)
    state.wait("running")


def no_folder(state):
    return {"XDG_STATE_HOME": "", "HOME": ""}


def file_in_the_way(state):
    state.folder.write_text("")
    return state.environment()


@pytest.mark.parametrize("broken", [no_folder, file_in_the_way], ids=lambda broken: broken.__name__)
def test_without_state_file_operator_must_arm(controller, bridge, hand, peer, state, broken):
    hand(PLACE)
    started = bridge(controller, AT_PLACE, environment=broken(state))
    reason = "the state file cannot be written.*~/set_armed"
    started.status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="DISARMED", reason=reason)
    started.log.wait(lambda line: "WARN" in line and "no state file" in line and "XDG_STATE_HOME" in line)
    assert call(peer, "set_armed", data=True).success
    started.status.wait(motion="TRACKING")


def test_restart_by_launch_waits_for_operator(controller, bridge, hand, peer, state):
    hand(PLACE)
    environment = state.environment(AETHER_LAUNCH_RUN="7")
    first = bridge(controller, AT_PLACE, environment=environment)
    first.status.wait(motion="TRACKING")
    first.end(signal.SIGTERM)
    after = controller.mark()
    status = bridge(controller, AT_PLACE, environment=environment).status
    status.wait(lambda status: status.input_age >= 0, state="CONNECTED", motion="DISARMED", reason="aether_respawn.*~/set_armed")
    controller.lines.assert_none(after=after)
    assert call(peer, "set_armed", data=True).success
    status.wait(motion="TRACKING")
