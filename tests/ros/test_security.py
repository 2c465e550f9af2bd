"""Tests tokens and TLS with Python's `ssl` as the peer, as docs/protocol.md describes."""

import hmac
import json
import os
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest
from controller import OK, command, error
from harness import EXECUTABLES, PLAIN, QUICK
from record import PATIENCE, Record

CERTIFICATES = pathlib.Path(__file__).resolve().parents[1] / "data" / "tls"
PLACE = (0.12, 0.0355, 0.21)
LINE = command(120.0, 35.5, 210.0)


@pytest.mark.parametrize(
    ("enclave", "code", "words"),
    [
        ("aether_bridge", 1, "does ROS_SECURITY_KEYSTORE have this node's enclave"),
        ("another", 2, "enclaves/aether_bridge' does not exist"),
    ],
)
def test_bridge_ends_if_security_is_impossible(tmp_path, enclave, code, words):
    (tmp_path / "enclaves" / enclave).mkdir(parents=True)
    secured = {
        "ROS_SECURITY_ENABLE": "true",
        "ROS_SECURITY_STRATEGY": "Enforce",
        "ROS_SECURITY_KEYSTORE": str(tmp_path),
    }
    ended = subprocess.run(
        [EXECUTABLES / "bridge", "--ros-args", "--enclave", "/aether_bridge"],
        env=os.environ | secured,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode == code
    assert words in ended.stderr


class TlsController:
    """Replies "ok" to every line. It serves one connection after the other."""

    def __init__(self):
        self.lines = Record("lines at the controller")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=CERTIFICATES / "ca.pem")
        self._context.load_cert_chain(CERTIFICATES / "controller.pem", CERTIFICATES / "controller.key")
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._thread = threading.Thread(target=self._run, name="TLS controller")
        self._thread.start()

    def _run(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(connection, server_side=True) as stream:
                    for line in stream.makefile("rb"):
                        self.lines.append(line)
                        stream.sendall(OK)
            except OSError:
                pass  # the client has no valid certificate, or has gone

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def tls_controller():
    controller = TlsController()
    yield controller
    controller.close()


def shown(stem):
    return {
        "link.tls.enabled": True,
        "link.tls.ca_file": str(CERTIFICATES / "ca.pem"),
        "link.tls.certificate_file": str(CERTIFICATES / f"{stem}.pem"),
        "link.tls.key_file": str(CERTIFICATES / f"{stem}.key"),
    }


def test_commands_are_encrypted_with_python_tls(tls_controller, bridge, hand):
    started = bridge(tls_controller, {**QUICK, **PLAIN, "arm.home": list(PLACE), **shown("bridge")})
    hand(PLACE)
    started.status.wait(motion="TRACKING")
    assert tls_controller.lines.wait() == LINE
    status = started.status.wait(lambda status: status.acknowledged > 5)
    assert status.rejected == 0


def test_python_tls_refuses_unknown_client(tls_controller, bridge, hand):
    started = bridge(tls_controller, {**QUICK, **PLAIN, "arm.home": list(PLACE), **shown("stranger")})
    hand(PLACE)
    started.status.wait(lambda status: "does it require a client certificate, or a different one?" in status.last_error)
    assert not tls_controller.lines


def test_token_is_sent_before_first_command(controller, bridge, hand, tmp_path):
    token = tmp_path / "token"
    token.write_text("wrong\n")

    def reply(line):
        if b"hello" not in line.data:
            return OK
        good = hmac.compare_digest(json.loads(line.data)["token"], "sesame")
        return OK if good else error("who are \x1b[31myou\x1b[0m?")

    controller.reply = reply
    started = bridge(controller, {**QUICK, "arm.home": list(PLACE), "link.auth.token_file": str(token)})
    hand(PLACE)
    refused = "the controller rejected the token of link.auth.token_file: 'who are \ufffd[31myou\ufffd[0m?'"
    started.status.wait(lambda status: refused in status.last_error, "BACKOFF")
    assert {line.data for line in controller.lines} == {b'{"type":"hello","token":"wrong"}\n'}
    token.write_text("sesame\n")
    started.status.wait(motion="TRACKING")
    controller.lines.wait(lambda line: line.data == LINE)
    last = [line.data for line in controller.lines if line.connection == len(controller.connections)]
    assert last[0] == b'{"type":"hello","token":"sesame"}\n' and set(last[1:]) == {LINE}
