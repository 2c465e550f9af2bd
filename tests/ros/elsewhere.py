"""Separate networks for a test: another machine, and host names that resolve as the test wants."""

import ctypes
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

CLONE_NEWNET = 0x40000000


class Machine:
    """A network namespace at the other end of a cable. Needs root."""

    def __init__(self):
        number = os.environ["ROS_DOMAIN_ID"]
        self.host = f"198.18.{number}.2"
        self._name, self._near, self._far = f"aether{number}", f"aether{number}near", f"aether{number}far"
        try:
            _ip("netns", "add", self._name)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"no network namespace: needs root and `ip netns`: {getattr(error, 'stderr', error)}")
        _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self._name)
        _ip("address", "add", f"198.18.{number}.1/30", "dev", self._near)
        _ip("link", "set", self._near, "up")
        self.switch_on()
        self.plug_in()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        _ip("link", "delete", self._near)
        _ip("netns", "delete", self._name)

    def socket(self):
        """Return a socket of that machine."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{self._name}") as there:
            _check(libc.setns(there.fileno(), CLONE_NEWNET))
            try:
                return socket.socket()
            finally:
                _check(libc.setns(here.fileno(), CLONE_NEWNET))

    def pull_out(self):
        """Pull out the cable. Neither side learns that the connection has ended."""
        self._ip("link", "set", self._far, "down")

    def plug_in(self):
        self._ip("link", "set", self._far, "up")

    def switch_off(self):
        """Switch the machine off. The cable is in, but no machine replies."""
        self._ip("address", "flush", "dev", self._far)

    def switch_on(self):
        self._ip("address", "add", f"{self.host}/30", "dev", self._far)

    def _ip(self, *words):
        _ip("-n", self._name, *words)


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def _check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Names:
    """A separate /etc/hosts for a process, in a mount namespace.

    The system's resolver reads this file for every name.
    """

    def __init__(self, folder, **addresses):
        self._hosts, switch = folder / "hosts", folder / "nsswitch.conf"
        switch.write_text("hosts: files\n")
        self.set(**addresses)
        mounts = [(self._hosts, "/etc/hosts"), (switch, "/etc/nsswitch.conf")]
        self.under = mounted([f"mount --bind {new} {old}" for new, old in mounts if pathlib.Path(old).exists()])

    def set(self, **addresses):
        self._hosts.write_text("".join(f"{address} {name}.test\n" for name, address in addresses.items()))


def mounted(mounts):
    """Return a command prefix. Only the command after it sees these mounts."""
    script = " && ".join([*mounts, 'exec "$@"'])
    under = ["unshare", "--mount" if os.getuid() == 0 else "-rm", "sh", "-c", script, "sh"]
    if not shutil.which("unshare") or subprocess.run([*under, "true"], capture_output=True).returncode:
        pytest.skip("no mount namespace: needs `unshare` and root, or user namespaces")
    return under
