"""Faults of the process in mid-motion: signals, a blocked log, no descriptors, and ROS itself."""

import contextlib
import os
import resource
import signal
import subprocess
import time

from elsewhere import mounted
from faults import Fatal, Fault, play, rows
from harness import EXECUTABLES
from preloaded import CLOCK_FAILS, WAIT_FAILS, Preloaded

STOP_LINES = {"teleop.hold_behavior": "stop"}


def signalled(which):
    return lambda rig: rig.bridge.process.send_signal(which)


def stopped_for_a_second(rig):
    """Stop the process for longer than the maximum age of a target."""
    rig.bridge.process.send_signal(signal.SIGSTOP)
    time.sleep(1.0)  # the fault itself
    rig.bridge.process.send_signal(signal.SIGCONT)


def killed(rig):
    rig.controller.kill()


def restarted(rig):
    rig.controller.restart()


def log_to_a_full_disk(rig):
    rig.options["output"] = rig.keep(open("/dev/full", "w"))


def log_to_a_pipe(rig):
    rig.log, rig.options["output"] = os.pipe()


def pipe_is_closed(rig):
    os.close(rig.options["output"])
    os.close(rig.log)
    rig.controller.kill()


def pipe_is_full(rig):
    """Fill the pipe, as a terminal after Ctrl-S or a reader that hangs."""
    pipe = rig.options["output"]
    os.set_blocking(pipe, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(pipe, b"." * size)
    os.set_blocking(pipe, True)
    rig.controller.kill()


def log_folder_that_is_full(rig):
    folder = rig.folder / "log"
    folder.mkdir()
    fill = f"head -c 4096 /dev/zero > {folder}/full"
    rig.options["under"] = mounted([f"mount -t tmpfs -o size=4k none {folder}", fill])
    rig.options["arguments"] = ["--log-level", "debug"]


def out_of_descriptors(rig):
    pid = rig.bridge.process.pid
    rig.limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    rig.controller.kill()
    # The process needs one more descriptor for a socket.
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, rig.limits[1]))
    rig.controller.restart()


def descriptors_again(rig):
    resource.prlimit(rig.bridge.process.pid, resource.RLIMIT_NOFILE, rig.limits)


def with_faults(rig):
    rig.faults = Preloaded(rig.folder)
    rig.options["environment"] = rig.faults.environment


def wait_fails(rig):
    rig.faults.set(wait=WAIT_FAILS)


def hangs_after_sigint(rig):
    """Hang as the middleware does while it waits for a killed reader."""
    rig.faults.set(hangs=True)
    rig.bridge.process.send_signal(signal.SIGINT)


def wait_fails_and_node_hangs(rig):
    rig.faults.set(wait=WAIT_FAILS, hangs=True)


def panics(rig):
    rig.faults.set(wait=CLOCK_FAILS)


def killed_and_started_again(rig):
    """Restart as systemd does: with the same state folder and on another connection."""
    rig.bridge.process.send_signal(signal.SIGKILL)
    rig.bridge.wait()
    rig.controllers.clear()
    rig.controller = rig.make_controller()
    rig.controller.stand_at(rig.bridge_parameters)
    rig.begun = time.monotonic()
    rig.bridge = rig.launch({**rig.bridge_parameters, "link.port": rig.controller.port}, **rig.options)
    rig.status = rig.bridge.status


def with_state(rig):
    rig.options["environment"] = {"XDG_STATE_HOME": str(rig.folder / "state")}


def allowed_again(rig):
    rig.call("reset")
    rig.call("set_armed", data=True)


ROWS = [
    Fatal("SIGTERM", signalled(signal.SIGTERM), shows="SIGTERM: shutting down", parameters=STOP_LINES, exit=0),
    Fatal("SIGINT", signalled(signal.SIGINT), shows="SIGINT: shutting down", parameters=STOP_LINES, exit=0),
    Fatal("SIGHUP", signalled(signal.SIGHUP), shows="SIGHUP: shutting down", parameters=STOP_LINES, exit=0),
    Fatal(
        "SIGINT; the middleware hangs",
        hangs_after_sigint,
        shows="SIGINT: shutting down",
        parameters=STOP_LINES,
        setup=with_faults,
        exit=0,
    ),
    Fatal(
        "waiting for ROS messages fails; the middleware hangs",
        wait_fails_and_node_hangs,
        shows="ROS no longer waits for messages",
        parameters=STOP_LINES,
        setup=with_faults,
    ),
    Fault(
        "SIGSTOP; SIGCONT a second later",
        stopped_for_a_second,
        shows=("was stalled", "no new target"),
        within="when the process continues",
    ),
    Fault(
        "SIGKILL and a restart",
        killed_and_started_again,
        motion="STOPPED",
        shows="did not end as it should",
        within="at the restart",
        end=allowed_again,
        setup=with_state,
    ),
    Fatal(
        "waiting for ROS messages fails",
        wait_fails,
        shows="ROS no longer waits for messages",
        parameters=STOP_LINES,
        setup=with_faults,
    ),
    Fatal(
        "the ROS thread panics",
        panics,
        shows="the ROS thread panicked",
        parameters=STOP_LINES,
        setup=with_faults,
    ),
    Fault(
        "no free file descriptors",
        out_of_descriptors,
        "BACKOFF",
        shows="Too many open files",
        within="link.backoff.initial",
        end=descriptors_again,
    ),
    Fault("the log's disk is full", killed, "BACKOFF", shows="no connection", end=restarted, setup=log_to_a_full_disk),
    Fault(
        "the log's pipe is closed",
        pipe_is_closed,
        "BACKOFF",
        shows="no connection",
        end=restarted,
        setup=log_to_a_pipe,
    ),
    Fault(
        "the log's pipe is full and not read",
        pipe_is_full,
        "BACKOFF",
        shows="no connection",
        end=restarted,
        setup=log_to_a_pipe,
    ),
    Fault(
        "the log's folder is full",
        killed,
        "BACKOFF",
        shows="no connection",
        end=restarted,
        setup=log_folder_that_is_full,
    ),
]


@rows(ROWS)
def test_bridge_recovers_from_process_fault_or_ends(rig, fault):
    play(rig, fault)


def test_full_log_pipe_does_not_block_exit(rig):
    fault = next(fault for fault in ROWS if fault.begin is pipe_is_full)
    rig.start(fault)
    fault.begin(rig)
    rig.bridge.end()


def test_exit_code_shows_fault_without_log():
    with open("/dev/full", "w") as full:
        wrong = subprocess.run([EXECUTABLES / "bridge", "--ros-args", "-p", "link.port:=-1"], stderr=full, stdout=full)
        assert wrong.returncode == 2
