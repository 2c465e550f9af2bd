"""Tests package.xml as catkin_pkg reads it, and the packages that it must name."""

import ast
import pathlib
import re
import sys

import pytest
from ament_index_python.packages import get_packages_with_prefixes

packages = pytest.importorskip("catkin_pkg.package", reason="catkin_pkg is not installed")

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Keys of rosdep that are not ROS packages. They are in rosdep/base.yaml or python.yaml of
# rosdistro.
SYSTEM_KEYS = {
    "libclang-dev",
    "python3-catkin-pkg-modules",
    "python3-jsonschema",
    "python3-pytest",
    "python3-pytest-xdist",
    "python3-yaml",
}
# Modules that the tests import, and their keys. Other modules are ROS packages with the same name.
MODULES = {
    "catkin_pkg": "python3-catkin-pkg-modules",
    "jsonschema": "python3-jsonschema",
    "pytest": "python3-pytest",
    "xdist": "python3-pytest-xdist",
    "yaml": "python3-yaml",
}
# Packages that tests/fixtures builds, and packages without which a test skips. launch has its own
# key; mujoco has none.
OPTIONAL = {"aether_bridge", "aether_interfaces", "tf2_msgs", "mujoco"}


@pytest.fixture(scope="module")
def package():
    return packages.parse_package(str(ROOT / "package.xml"))


def names(dependencies):
    return {dependency.name for dependency in dependencies}


@pytest.mark.parametrize("path", [ROOT, *sorted((ROOT / "tests" / "fixtures").iterdir())], ids=lambda path: path.name)
def test_package_is_valid_without_warning(path):
    warnings = []
    package = packages.parse_package(str(path / "package.xml"), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []


def test_package_version_equals_crate_version(package):
    assert f'\nversion = "{package.version}"\n' in (ROOT / "Cargo.toml").read_text()


def test_every_key_is_known_to_ros(package):
    dependencies = package.build_depends + package.buildtool_depends + package.exec_depends + package.test_depends
    keys = names(dependencies)
    assert all(re.fullmatch(r"[a-z0-9_]+", key) for key in keys - SYSTEM_KEYS)
    assert SYSTEM_KEYS <= keys
    # The exceptions: no wheel has launch, and tf2_msgs exists only if it is built.
    assert keys - SYSTEM_KEYS - set(get_packages_with_prefixes()) <= {"launch", "launch_ros", "ros2launch", "tf2_msgs"}


def test_messages_that_cmake_finds_are_dependencies(package):
    text = (ROOT / "CMakeLists.txt").read_text()
    listed = re.findall(r"^set\((?:message_dependencies|interfaces) (.*)\)$", text, re.MULTILINE)
    wanted = {word for line in listed for word in line.split() if "$" not in word} | {"tf2_msgs"}
    assert len(listed) == 2 and wanted <= names(package.build_depends) & names(package.exec_depends)


def imported(folders):
    """Return the top-level modules that the Python files import."""
    found = {}
    for path in (path for folder in folders for path in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module]
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.importorskip":
                modules = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
            found |= {module.partition(".")[0]: path.name for module in modules}
    return found


def test_modules_imported_by_tests_are_dependencies(package):
    folders = [ROOT / "tests" / "ros", ROOT / "tools"]
    own = {path.stem for folder in folders for path in folder.rglob("*")} | OPTIONAL | set(sys.stdlib_module_names)
    keys = names(package.test_depends + package.exec_depends)
    lacking = {name: file for name, file in imported(folders).items() if name not in own and MODULES.get(name, name) not in keys}
    assert lacking == {}
