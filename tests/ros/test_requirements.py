"""Tests what CMake reports if something that the build needs is missing: cmake/requirements.cmake.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NEEDED = re.search(r'^rust-version = "([\d.]+)"$', (ROOT / "Cargo.toml").read_text(), re.MULTILINE)[1]
UBUNTU = "1.75.0"  # the version of Ubuntu's package
GET_RUST = "curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"


class Machine:
    """The folders in which CMake searches; a test fills them.

    The compilers are from this machine.
    """

    def __init__(self, folder):
        self.bin, self.home, self.build = folder / "bin", folder / "home", folder / "build"
        self.bin.mkdir()
        self.home.mkdir()
        for name in ("cc", "c++", "make", "ninja", "cmake", "sh", "ld", "as", "ar", "python3"):
            if path := shutil.which(name):
                (self.bin / name).symlink_to(path)
        dropped = re.compile(r"CARGO|RUST|LIBCLANG|LLVM|AETHER_EXTRA|CMAKE_GENERATOR")
        self.environment = {name: value for name, value in os.environ.items() if not dropped.match(name)}
        self.environment |= {"PATH": str(self.bin), "HOME": str(self.home)}
        # Only the tests of libclang need a libclang in a system folder.
        self.environment["LIBCLANG_PATH"] = str(self.add_libclang(folder / "clang"))

    def add(self, name, body, folder=None):
        """Add a program that is a script."""
        folder = folder or self.bin
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)

    def add_rust(self, version, folder=None):
        for name in ("cargo", "rustc"):
            self.add(name, f'echo "{name} {version} (0123abcd 2026-01-01)"', folder)

    def add_libclang(self, folder, name="libclang-14.so.1"):
        folder.mkdir(parents=True)
        (folder / name).touch()
        return folder

    def configure(self, *arguments):
        """Run CMake, and return what it reported as missing: pairs of a line and of a command."""
        command = ["cmake", "-S", ROOT, "-B", self.build, *arguments]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
        printed = done.stderr + done.stdout
        # CMake adds its location before the message, and an end after it.
        error = r"^CMake Error at CMakeLists.txt:\d+ \(message\):\n(.*?)\n-- Conf"
        found = re.search(error, printed, re.MULTILINE | re.DOTALL)
        if not found:
            assert done.returncode == 0, done.stderr
            return []
        lines = [line.strip() for line in found[1].splitlines() if line.strip()]
        assert done.returncode != 0 and len(lines) % 2 == 0, done.stderr
        return list(zip(lines[::2], lines[1::2]))


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def test_missing_cargo_is_reported_with_fix(machine):
    (missing,) = machine.configure()
    assert missing == (
        f"cargo is missing: it is neither on PATH nor in ~/.cargo/bin. Install Rust {NEEDED} or newer:",
        GET_RUST,
    )


def test_old_cargo_is_reported_with_fix(machine):
    machine.add_rust(UBUNTU)
    (missing,) = machine.configure()
    assert missing == (
        f"cargo is too old: {machine.bin}/cargo is {UBUNTU}, and this package needs {NEEDED} or newer:",
        GET_RUST,
    )


def test_old_rustc_beside_new_cargo_is_named(machine):
    machine.add_rust(NEEDED)
    machine.add("rustc", f"echo rustc {UBUNTU}")
    ((what, command),) = machine.configure()
    assert what.startswith(f"rustc is too old: rustc is {UBUNTU}")
    assert command == GET_RUST


def test_old_rustup_toolchain_gets_update_advice(machine):
    folder = machine.home / ".cargo" / "bin"
    machine.add_rust("1.80.1", folder)
    machine.add("rustup", "true", folder)
    ((what, command),) = machine.configure()
    assert what.startswith(f"cargo is too old: {folder}/cargo is 1.80.1")
    assert command == f"rustup update stable && rustup override set stable --path '{ROOT}'"
    machine.environment["RUSTUP_TOOLCHAIN"] = "1.80.1"
    ((_, command),) = machine.configure()
    assert command == "rustup update stable && export RUSTUP_TOOLCHAIN=stable"


def test_rustup_without_toolchain_shows_its_error(machine):
    error = "error: rustup could not choose a version of cargo to run"
    machine.add("cargo", f"echo '{error}' >&2; exit 1")
    machine.add("rustup", "true")
    ((what, _),) = machine.configure()
    assert what == f"cargo does not run ({machine.bin}/cargo: {error}). Rust {NEEDED} or newer is needed:"


def test_rustup_cargo_precedes_older_cargo_on_path(machine):
    machine.add_rust(UBUNTU)
    folder = machine.home / ".cargo" / "bin"
    machine.add_rust(NEEDED, folder)
    machine.add("rustup", "true", folder)
    assert machine.configure() == []
    # The build runs this cargo.
    assert f"AETHER_CARGO={folder}/cargo" in next(machine.build.glob("CMakeFiles/programs.dir/build.make")).read_text()


def test_second_cmake_run_finds_new_cargo(machine):
    machine.add_rust(UBUNTU)
    assert machine.configure()
    machine.add_rust(NEEDED, machine.home / ".cargo" / "bin")
    machine.add_rust(NEEDED)
    assert machine.configure() == []


@pytest.mark.parametrize("name", ["libclang.so", "libclang-18.so", "libclang.so.1", "libclang-14.so.13"])
@pytest.mark.parametrize("how", ["LIBCLANG_PATH", "its file", "LD_LIBRARY_PATH", "llvm-config"])
def test_libclang_is_found_where_bindgen_looks(machine, tmp_path, how, name):
    folder = machine.add_libclang(tmp_path / "llvm" / "lib", name)
    del machine.environment["LIBCLANG_PATH"]
    if how == "LIBCLANG_PATH":
        machine.environment["LIBCLANG_PATH"] = str(folder)
    elif how == "its file":
        machine.environment["LIBCLANG_PATH"] = str(folder / name)
    elif how == "LD_LIBRARY_PATH":
        machine.environment["LD_LIBRARY_PATH"] += f":{folder}"
    else:
        machine.add("llvm-config", f"echo {folder.parent}")
    # Only cargo is missing.
    assert [what.split()[0] for what, _ in machine.configure()] == ["cargo"]


def test_libclang_path_without_libclang_is_named(machine, tmp_path):
    machine.add_rust(NEEDED)
    folder = machine.add_libclang(tmp_path / "other", "libclang-cpp.so.14")
    machine.environment["LIBCLANG_PATH"] = str(folder)
    (missing,) = machine.configure()
    assert missing == (
        f"libclang is missing: LIBCLANG_PATH is '{folder}', but it contains no libclang.so. Use the libclang of the system:",
        "unset LIBCLANG_PATH && sudo apt install libclang-dev",
    )


def test_missing_libclang_is_reported_with_package(machine):
    if any(pathlib.Path("/usr").glob("l*/**/libclang*.so*")):
        pytest.skip("this machine has a libclang in /usr, so it cannot be missing")
    machine.add_rust(NEEDED)
    del machine.environment["LIBCLANG_PATH"]
    (missing,) = machine.configure()
    assert missing == (
        "libclang is missing: bindgen needs it to read the headers of ROS. Install it:",
        "sudo apt install libclang-dev",
    )


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_unsourced_interfaces_are_named(machine, how):
    machine.add_rust(NEEDED)
    names = "foo_msgs;std_msgs;my_interfaces"
    if how == "argument":
        missing = machine.configure(f"-DEXTRA_INTERFACES={names}")
    else:
        machine.environment["AETHER_EXTRA_INTERFACES"] = names
        missing = machine.configure()
    advice = "is not sourced. Source the workspace that contains it. If it is part of ROS, install it:"
    distro = os.environ["ROS_DISTRO"]
    assert missing == [
        (f"The message package foo_msgs {advice}", f"sudo apt install ros-{distro}-foo-msgs"),
        (f"The message package my_interfaces {advice}", f"sudo apt install ros-{distro}-my-interfaces"),
    ]


def test_interfaces_needed_by_others_are_named(machine, tmp_path):
    machine.add_rust(NEEDED)
    needed = "builtin_interfaces;deep_msgs;rosidl_runtime_c"
    folder = tmp_path / "workspace" / "share" / "foo_msgs"
    (folder / "cmake").mkdir(parents=True)
    (folder / "package.xml").write_text("<package/>")
    (folder / "cmake" / "ament_cmake_export_dependencies-extras.cmake").write_text(
        f'# generated\n\nset(_exported_dependencies "{needed}")\n'
    )
    machine.environment["AMENT_PREFIX_PATH"] += f":{tmp_path / 'workspace'}"
    ((what, _),) = machine.configure("-DEXTRA_INTERFACES=foo_msgs")
    assert what.startswith("The message package deep_msgs is not sourced. foo_msgs needs it. Source the workspace")


def test_extra_interface_packages_are_built_in(machine):
    machine.add_rust(NEEDED)
    assert machine.configure("-DEXTRA_INTERFACES=visualization_msgs") == []
    packages = (machine.build / "interfaces" / "packages").read_text().strip().split(";")
    # Markers contain images, which are messages of sensor_msgs.
    assert {"visualization_msgs", "sensor_msgs", "std_msgs"} <= set(packages)
    assert len(packages) == len(set(packages))


def test_unsourced_terminal_gets_advice(machine):
    machine.add_rust(NEEDED)
    for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "ROS_DISTRO"):
        machine.environment.pop(name, None)
    ((what, command),) = machine.configure()
    assert what.startswith("No ROS 2 is sourced: ament_cmake is in no folder of AMENT_PREFIX_PATH")
    assert re.fullmatch(r"source /opt/ros/\w+/setup\.bash", command)


def test_all_missing_requirements_are_named_together(machine):
    machine.environment["LIBCLANG_PATH"] = "/nowhere"
    missing = machine.configure("-DEXTRA_INTERFACES=foo_msgs")
    assert [what.split()[0] for what, _ in missing] == ["cargo", "libclang", "The"]
