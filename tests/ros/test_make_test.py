"""Tests the results of `make test`, and that parallel graph tests do not meet in one domain."""

import importlib.machinery
import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import conftest
import pytest

PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "tools" / "test"


@pytest.fixture(scope="module")
def program():
    """tools/test as a module."""
    loader = importlib.machinery.SourceFileLoader("tools_test", str(PROGRAM))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("tools_test", loader))
    loader.exec_module(module)
    return module


def test_summary_begins_with_skips_ends_with_failures(program, capsys):
    good = program.Suite("good", ["true"], passed=3)
    skipped = [("a", "no tool"), ("b", "no tool"), ("c", "no root")]
    partial = program.Suite("partial", ["true"], passed=1, skipped=skipped)
    bad = program.Suite("bad", ["false"], failed=["d"], why=["d was wrong"])
    assert program.summarise([bad, good, partial]) == 1
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines == [
        "=== summary",
        "not run:",
        "    partial: 2 tests: no tool",
        "    partial: c: no root",
        "bad: 0 passed, 1 FAILED",
        "good: 3 passed",
        "partial: 1 passed, 3 skipped",
        "    bad: FAILED: d",
        "bad: d was wrong",
        "4 passed, 1 failed, 3 skipped",
    ]


def test_suite_fails_by_its_output(program):
    suite = program.Suite("suite", ["true"], must_print=["= measured ="], must_not_print={"Compiling r2r": "twice"})
    program.check_printed(suite, ["== measured ==\n", "   Compiling serde v1\n"])
    assert suite.failed == []
    program.check_printed(suite, ["   Compiling r2r v0.9.7\n"])
    assert suite.failed == ["no line matches '= measured =' in the output", "twice: Compiling r2r v0.9.7"]


def test_every_test_process_has_its_own_domain():
    taken = [conftest._take_domain() for _ in range(3)]
    domains = [conftest.DOMAIN, *(domain for domain, _ in taken)]
    for _, holder in taken:
        holder.close()
    assert len(set(domains)) == 4 and all(1 <= domain <= 100 for domain in domains)


def test_processes_share_tests_and_pass_on_measurements(tmp_path):
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    tests = """
import pytest
from record import MEASUREMENTS

@pytest.mark.parametrize("number", range(6))
def test(number):
    MEASUREMENTS.note(f"figure {number}", "1 m")
"""
    for name in ("test_recorded.py", "test_other.py"):
        (tmp_path / name).write_text(tests)
    folder = str(pathlib.Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([folder, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "pytest", "-v", "-p", "conftest", "-p", "no:cacheprovider"]
    command += ["-n", "2", "--dist", "loadscope", tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.findall(r"^\[(gw\d)\] .* PASSED \S*(test_\w+)\.py", done.stdout, re.MULTILINE)
    assert len(ran) == 12
    assert len({process for process, file in ran if file == "test_recorded"}) == 1, ran
    assert len(re.findall(r"^figure \d  1 m$", done.stdout, re.MULTILINE)) == 12, done.stdout


def test_suites_include_every_graph_test(program):
    words = [word for lane in program.lanes() for suite in lane if suite.kind == "pytest" for word in suite.command]
    assert "tests/ros" in words
    left_out = [words[index + 1] for index, word in enumerate(words) if word == "--ignore"]
    assert all(words.count(path) == 2 for path in left_out), left_out
