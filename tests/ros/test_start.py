"""Tests the start scripts that cmake/start.cmake makes from cmake/start.in."""

import os
import pathlib
import shutil
import subprocess

import pytest
from harness import EXECUTABLES, QUICK

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The environment of a terminal in which nothing is sourced.
BARE = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C"}
PACKAGES = ("rcl", "std_msgs", "foo_msgs")


class Start:
    """A start script for a program that prints its environment.

    The build had a ROS and a workspace of messages.
    """

    def __init__(self, folder):
        self.ros, self.messages, self.home = folder / "ros", folder / "it's a $workspace", folder / "install"
        self.libraries = self.ros / "lib" / "x86_64-linux-gnu"
        add_package(self.ros, "rcl")
        add_package(self.ros, "std_msgs")
        add_package(self.messages, "foo_msgs")
        (folder / "cmake").mkdir()
        for name in ("start.in", "start.cmake"):
            shutil.copy(ROOT / "cmake" / name, folder / "cmake")
        (folder / "write.cmake").write_text(
            f"""
            set(PROJECT_NAME aether_bridge)
            set(CMAKE_INSTALL_PREFIX "{self.home}")
            set(sourced_prefixes "{self.home};{self.messages.as_posix().replace("$", chr(92) + "$")};{self.ros}")
            set(interfaces "{";".join(PACKAGES[1:])}")
            set(ros_programs show)
            include(cmake/start.cmake)
            configure_start_scripts()
            """
        )
        sourced = {"LD_LIBRARY_PATH": f"/elsewhere/lib:{self.libraries}", "ROS_DISTRO": "jazzy"}
        subprocess.run(["cmake", "-P", "write.cmake"], cwd=folder, env=os.environ | sourced, check=True)
        # The installed location.
        self.script = self.home / "lib" / "aether_bridge" / "show"
        self.program = self.home / "libexec" / "aether_bridge" / "show"
        for path in (self.script, self.program):
            path.parent.mkdir(parents=True)
        shutil.copy(folder / "start" / "show", self.script)
        self.program.write_text('#!/bin/sh\necho "$AMENT_PREFIX_PATH"\necho "$LD_LIBRARY_PATH"\nprintf "<%s>" "$@"\n')
        self.program.chmod(0o755)

    def run(self, *arguments, script=None, **environment):
        command = [script or self.script, *arguments]
        return subprocess.run(command, env=BARE | environment, capture_output=True, text=True, check=False)


def add_package(prefix, name):
    folder = prefix / "share" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.xml").write_text("<package/>")


@pytest.fixture
def start(tmp_path):
    return Start(tmp_path)


def test_bare_terminal_uses_environment_of_build(start):
    done = start.run("a b", "", "*")
    prefixes, libraries, arguments = done.stdout.splitlines()
    assert prefixes == f"{start.home}:{start.messages}:{start.ros}"
    assert libraries == f"{start.home}/lib:{start.messages}/lib:{start.ros}/lib:{start.libraries}"
    assert arguments == "<a b><><*>"
    assert (done.returncode, done.stderr) == (0, "")


def test_sourced_environment_precedes_the_build(start):
    done = start.run(AMENT_PREFIX_PATH=f"/mine:{start.ros}", LD_LIBRARY_PATH="/mine/lib")
    prefixes, libraries, _ = done.stdout.splitlines()
    assert prefixes == f"/mine:{start.ros}:{start.home}:{start.messages}"
    assert libraries.split(":")[:2] == ["/mine/lib", f"{start.home}/lib"]


def test_moved_installation_finds_itself(start, tmp_path):
    moved = start.home.rename(tmp_path / "moved here")
    done = start.run(script=moved / "lib" / "aether_bridge" / "show")
    assert done.stdout.startswith(f"{moved}:")


def test_symlink_to_script_starts_program(start, tmp_path):
    link = tmp_path / "show"
    link.symlink_to(start.script)
    assert start.run(script=link).stdout.startswith(f"{start.home}:")


@pytest.mark.parametrize("package", PACKAGES)
def test_missing_package_is_named_in_one_line(start, package):
    for prefix in (start.ros, start.messages):
        shutil.rmtree(prefix / "share" / package, ignore_errors=True)
    done = start.run()
    assert done.returncode == 2 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("show: ") and "source " in line
    assert ("source /opt/ros/jazzy/setup.bash" if package == "rcl" else f"message package {package}") in line


def test_package_sourced_elsewhere_is_used(start, tmp_path):
    start.messages.rename(tmp_path / "moved")
    assert start.run(AMENT_PREFIX_PATH=str(tmp_path / "moved")).returncode == 0


def test_missing_program_is_named_in_one_line(start):
    start.program.unlink()
    done = start.run()
    assert done.returncode == 2
    assert done.stderr == f"show: {start.program} is missing: build and install aether_bridge again\n"


@pytest.mark.parametrize("program", ["arm_sim", "arm_check", "hand_sim"])
def test_installed_program_runs_in_bare_terminal(program):
    done = subprocess.run([EXECUTABLES / program, "--help"], env=BARE, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_installed_bridge_runs_in_bare_terminal(controller, bridge, hand):
    # The harness adds only the domain. No variable of a setup.bash is set.
    under = ["env", *(f"--unset={name}" for name in ("AMENT_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH"))]
    status = bridge(controller, {**QUICK, "arm.home": [0.12, 0.0355, 0.21]}, under=under).status
    hand((0.12, 0.0355, 0.21))
    status.wait(motion="TRACKING")
