"""Every code block in README.md and docs/ is run, checked by a parser, or listed below with the
reason why not.

A new block that is in no list fails.
"""

import json
import pathlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
import xml.etree.ElementTree as xml

import pytest
import rclpy
import yaml
from harness import EXECUTABLES
from test_schema import errors

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PATIENCE = 60.0


class Block:
    """A code block of a page."""

    def __init__(self, page, language, text):
        self.page, self.language, self.text = page.name, language, text
        self.first = text.strip().splitlines()[0]

    def __str__(self):
        return f"{self.page}: {self.first[:50]}"


def blocks(*languages):
    found = []
    for page in PAGES:
        for info, text in re.findall(r"^```([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            language = (info.split() or [""])[0]
            if not languages or language in languages:
                found.append(Block(page, language, text))
    return found


COMMANDS = "tests/ros/test_readme_commands.py runs it"
NEEDS_ROOT = "it changes the system, and needs root"
# Shell and Python blocks that no test here runs: page, beginning of the first line, reason.
NOT_RUN = {
    ("README.md", "make demo"): "tests/ros/test_demo.py runs the demo, and the tests do not run the tests",
    ("README.md", "git clone"): "tools/build does the same; tests/ros/test_readme_commands.py runs the ros2 commands",
    ("README.md", "ros2 "): COMMANDS,
    ("CONTRIBUTING.md", "make build"): "the tests run what it has built",
    ("CONTRIBUTING.md", "cargo check"): "make test compiles the same with cargo test and clippy",
    ("trackers.md", "ros2 "): COMMANDS,
    ("trackers.md", "colcon build"): "tools/build does the same, with the packages of tests/fixtures",
    ("controllers.md", "ros2 "): COMMANDS,
    ("controllers.md", "import json"): "tests/ros/test_link.py runs it, and tests/readme.rs compares it",
    ("faults.md", "make simulate"): "it takes minutes; `cargo test --test simulated_network` is the same with fewer seeds",
    ("testing.md", "make worlds"): "cargo test runs tests/arm_world with fewer events",
    ("troubleshooting.md", "ros2 "): COMMANDS,
    ("testing.md", "cargo fuzz cmin"): "cargo-fuzz is not on every machine",
    ("performance.md", "make bench"): "it takes minutes and has no verdict",
    ("parameters.md", "ros2 launch"): "tests/ros/test_launch.py starts the bridge with a parameter file",
    ("parameters.md", "ros2 param set"): "it needs a bridge; tests/ros/test_launch.py runs the same line of README.md",
    ("security.md", "ros2 security"): "wheels have no sros2; tests/ros/test_security.py has a bridge that cannot be secured",
    ("install.md", "sudo apt update"): NEEDS_ROOT,
    ("install.md", "source /opt/ros/humble"): "Humble is in /opt on few machines; see the test of --base-paths below",
    ("install.md", "source ~/tracker_ws"): "tools/build is the same, with the packages of tests/fixtures",
    ("install.md", "export ROS_LOCALHOST_ONLY"): "it shows what to set; tests/ros/test_isolation.py has its rule",
    ("install.md", "sudo systemctl"): NEEDS_ROOT,
    ("install.md", "docker build"): "it needs Docker, and a network",
    ("install.md", "rustup target"): "it needs a network, and takes half an hour",
}


def reason(block):
    return next((why for (page, start), why in NOT_RUN.items() if page == block.page and block.first.startswith(start)), None)


# Shell and Python blocks that a test below runs.
RUN = [("security.md", "openssl req"), ("protocol.md", "context = ssl")]


def is_run(block):
    return any(page == block.page and block.first.startswith(start) for page, start in RUN)


def the_block(page, start):
    (block,) = [block for block in blocks() if block.page == page and block.first.startswith(start)]
    return block.text


def test_every_code_block_has_a_known_language():
    known = {"sh", "bash", "python", "yaml", "json", "xml", "ini", "dockerfile", "text"}
    assert {block.language for block in blocks()} <= known


@pytest.mark.parametrize("block", blocks("sh", "bash", "python"), ids=str)
def test_every_block_is_in_one_list(block):
    assert is_run(block) != (reason(block) is not None), f"{block} is in neither list of {__file__}, or in both"


def test_lists_name_existing_blocks():
    there = [(block.page, block.first) for block in blocks("sh", "bash", "python")]
    for page, start in [*NOT_RUN, *RUN]:
        assert any(page == other and first.startswith(start) for other, first in there), (page, start)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shell_blocks_parse(shell):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    for block in blocks("sh", "bash"):
        # The reader replaces a word in angle brackets.
        text = re.sub(r"<(\w[\w ]*)>", "placeholder", block.text)
        done = subprocess.run([shell, "-n"], input=text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), block


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_blocks_parse(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", [block for block in blocks("json") if block.page != "protocol.md"], ids=str)
def test_json_blocks_fit_the_schema(block):
    for line in block.text.splitlines():
        assert errors("reply" if "status" in json.loads(line) else "bridge", line) == [], line


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_blocks_parse_with_rcl(block, tmp_path):
    text = block.text
    if "ros__parameters" not in text:
        text = "/**:\n  ros__parameters:\n" + "".join(f"    {line}\n" for line in text.splitlines())
    read_by_rcl(tmp_path, text)


@pytest.mark.parametrize("text", ['/**:\n  ros__parameters:\n    a: ""open""\n', "/**:\n  ros__parameters:\n   - a\n"])
def test_rcl_refuses_invalid_parameter_file(tmp_path, text):
    with pytest.raises(Exception, match="(?i)pars"):
        read_by_rcl(tmp_path, text)


def read_by_rcl(folder, text):
    path = folder / "block.yaml"
    path.write_text(text)
    context = rclpy.Context()
    rclpy.init(args=["--ros-args", "--params-file", str(path)], context=context)
    rclpy.shutdown(context=context)


def tracked(pattern):
    listed = subprocess.run(["git", "ls-files", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=False)
    # A source archive has no git.
    files = listed.stdout.split("\0")[:-1] or [path.relative_to(ROOT) for path in (ROOT / "config").glob(pattern)]
    return sorted(map(str, files))


@pytest.mark.parametrize("name", [*tracked("*.yaml"), *tracked("*.yml")])
def test_every_yaml_file_parses(name):
    assert list(yaml.safe_load_all((ROOT / name).read_text()))


@pytest.mark.parametrize("block", blocks("xml"), ids=str)
def test_xml_blocks_parse(block):
    assert xml.fromstring(block.text).tag == "policy"


def test_every_link_has_a_target():
    anchor = lambda title: re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")  # noqa: E731
    wrong = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!http)([^)\s]+)\)", page.read_text()):
            name, _, section = target.partition("#")
            file = (page.parent / name) if name else page
            titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE) if section else []
            if not file.exists() or (section and section not in map(anchor, titles)):
                wrong.append(f"{page.name}: {target}")
    assert wrong == []


def test_every_path_in_backticks_exists():
    folders = "src|sim|tests|examples|docs|benches|config|launch|msg|fuzz|rcl_ext|tools"
    missing, seen = [], 0
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for code in re.findall(r"`([^`]+)`", text):
            for path in re.findall(rf"(?<![\w./~-])(?:{folders})/[\w./*-]*", code):
                seen += 1
                if not list(ROOT.glob(path)):
                    missing.append(f"{page.name}: {path}")
    assert missing == []
    assert seen > 30


def test_systemd_accepts_the_unit(tmp_path):
    (block,) = blocks("ini")
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    # This machine lacks the user and the folder of the page.
    text = re.sub(r"^ExecStart=\S+", f"ExecStart={EXECUTABLES / 'bridge'}", block.text, flags=re.MULTILINE)
    assert text != block.text and "User=robot" in text
    unit = tmp_path / "aether_bridge.service"
    unit.write_text(text.replace("User=robot", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "aether_bridge" in line]
    assert ours == [] and done.returncode == 0, done.stderr


def test_container_recipe_parses_and_names_installed_files():
    (block,) = blocks("dockerfile")
    known = {"FROM", "RUN", "ENV", "WORKDIR", "ENTRYPOINT", "CMD", "COPY"}
    lines = [line.split(" ", 1) for line in block.text.splitlines()]
    assert {word for word, _ in lines} <= known
    for word, rest in lines:
        if word == "RUN":
            text = re.sub(r"<(\w[\w ]*)>", "placeholder", rest)
            done = subprocess.run(["sh", "-n"], input=text, capture_output=True, text=True, check=False)
            assert (done.returncode, done.stderr) == (0, ""), rest
    prefix = "/ws/install/aether_bridge/"
    installed = EXECUTABLES.parents[1]
    for word, rest in lines:
        if word in ("ENTRYPOINT", "CMD"):
            for path in (part for part in json.loads(rest) if part.startswith("/")):
                assert path.startswith(prefix) and (installed / path.removeprefix(prefix)).is_file(), path


@pytest.mark.skipif(not shutil.which("colcon"), reason="colcon is not installed")
def test_workspace_with_cmake_file_needs_base_paths(tmp_path):
    package = tmp_path / "src" / "aether_bridge"
    package.mkdir(parents=True)
    for name in ("package.xml", "CMakeLists.txt"):
        shutil.copy(ROOT / name, package)
    (tmp_path / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.16)\nproject(workspace)\n")

    def listed(*arguments):
        command = ["colcon", "--log-base", tmp_path / "log", "list", "--names-only", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()

    assert "aether_bridge" not in listed()
    assert listed("--base-paths", "src") == ["aether_bridge"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """The folder in which the commands of docs/security.md were run."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificates")
    block = the_block("security.md", "openssl req")
    done = subprocess.run(["bash", "-e", "-c", block], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_certificates_of_page_verify(certificates):
    for who in ("controller", "bridge"):
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", "ca.pem", f"{who}.pem"], cwd=certificates, capture_output=True, text=True, check=True
        )
        assert done.stdout == f"{who}.pem: OK\n"


def test_controller_of_page_accepts_only_bridge(certificates, monkeypatch):
    monkeypatch.chdir(certificates)
    block = the_block("protocol.md", "context = ssl")
    assert connect(block, certificate="bridge.pem") == b"hello"
    with pytest.raises(ssl.SSLError):
        connect(block, certificate=None)


def connect(block, certificate):
    """Return what the controller of the block sends to a client with this certificate."""
    failed = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            names = {"ssl": ssl, "listener": listener}
            try:
                exec(block, names)  # noqa: S102  it is ours
                names["connection"].sendall(b"hello")
                names["connection"].close()
            except ssl.SSLError as error:
                failed.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        context = ssl.create_default_context(cafile="ca.pem")
        if certificate:
            context.load_cert_chain(certificate, "bridge.key")
        try:
            with socket.create_connection(listener.getsockname(), PATIENCE) as plain:
                with context.wrap_socket(plain, server_hostname="controller.lab") as connection:
                    return connection.recv(100)
        finally:
            thread.join(PATIENCE)
