"""The tests also run with the older rclpy and jsonschema of Humble."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Tests that used features that Humble lacks.
CONCERNED = [
    "test_link.py::test_late_subscriber_gets_latched_status_immediately",
    "test_schema.py::test_schema_is_valid",
    "test_schema.py::test_schema_rejects_invalid_bridge_lines",
    "test_schema.py::test_every_example_fits_its_label",
    "test_faults_graph.py",
]


def pytest_with_older_rclpy(*arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "older_rclpy", *arguments]
    return subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)


def test_every_test_is_collected():
    done = pytest_with_older_rclpy("--collect-only")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_concerned_tests_pass():
    done = pytest_with_older_rclpy(*CONCERNED, "-k", "not storm")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
