"""Two hosts with a cable between them, as network namespaces: ours, where the gateway and its TCP clients run, and the
peers', where the programs of others run. Multicast, routes and interfaces are real; nothing leaves the machine.

Where namespaces are refused there is `Loopback`, which has no cable, no routes and no second host."""

import ctypes
import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

from support.gateway import wait_until
from support.received import RECEIVE_TIMEOUT_S

OURS, PEERS = "10.78.0.1", "10.78.0.2"
INTERFACE = "line"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments) -> None:
    if getattr(_LIBC, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")


def _move_to(path: str) -> None:
    namespace = os.open(path, os.O_RDONLY)
    _call("setns", namespace, 0)
    os.close(namespace)


class Network:
    """While it is open, this thread and the processes it starts are on our host."""

    interface = INTERFACE

    def __enter__(self) -> "Network":
        self._host = None
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY)
        _call("unshare", _CLONE_NEWNET)
        try:
            self._plug()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _plug(self) -> None:
        ours = os.readlink("/proc/thread-self/ns/net")
        self._host = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        path = f"/proc/{self._host.pid}/ns/net"
        wait_until(lambda: os.readlink(path) != ours, what="the peers' namespace")
        self.enter = ["nsenter", f"--net={path}"]
        _ip(f"link add {INTERFACE} type veth peer name eth0 netns {self._host.pid}")
        for enter, interface, address in [([], INTERFACE, OURS), (self.enter, "eth0", PEERS)]:
            _ip("link set lo up", enter)
            _ip(f"addr add {address}/24 dev {interface}", enter)
            _ip(f"link set {interface} up", enter)
        _ip("route add 224.0.0.0/4 dev eth0", self.enter)
        for enter, interface in [([], INTERFACE), (self.enter, "eth0")]:
            wait_until(lambda e=enter, i=interface: "state UP" in _ip(f"link show {i}", e), what="the cable")

    def __exit__(self, *_) -> None:
        if self._host is not None:
            self._host.kill()
            self._host.wait()
        _call("setns", self._home, 0)
        os.close(self._home)

    def peer(self, program: str, *arguments: str) -> "Peer":
        """Starts `lan/peers/<program>.py` on the peers' host, and waits until it is ready."""
        return Peer([*self.enter, sys.executable, str(_program(program)), *arguments])


class Host:
    """A machine on a `Switch`."""

    interface = "eth0"

    def __init__(self, number: int):
        self.address = f"10.79.0.{number + 1}"
        here = os.readlink("/proc/thread-self/ns/net")
        self._process = subprocess.Popen(["unshare", "--net", "sleep", "900"])
        self.path = f"/proc/{self._process.pid}/ns/net"
        wait_until(lambda: os.readlink(self.path) != here, what="a host's namespace")
        self.enter = ["nsenter", f"--net={self.path}"]
        _ip("link set lo up", self.enter)

    def __enter__(self) -> None:
        """While it is open, this thread, its sockets and the processes it starts are on this host."""
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        _move_to(self.path)

    def __exit__(self, *_) -> None:
        _call("setns", self._home, 0)
        os.close(self._home)

    def peer(self, program: str, *arguments: str) -> "Peer":
        """Starts `lan/peers/<program>.py` on this host, and waits until it is ready."""
        return Peer([*self.enter, sys.executable, str(_program(program)), *arguments])

    def stop(self) -> None:
        """Ends the namespace with all its interfaces."""
        self._process.kill()
        self._process.wait()


class Switch:
    """Hosts, and the switch between them: `lan/peers/wire.py`, which loses, repeats and reorders as it is told."""

    def __init__(self, hosts: int):
        self._middle = Host(-1)
        self.hosts = [Host(number) for number in range(hosts)]
        names = [f"port{number}" for number in range(hosts)]
        for name, host in zip(names, self.hosts):
            _ip(f"link add {name} type veth peer name {host.interface} netns {host.enter[1].split('/')[2]}", self._middle.enter)
            _ip(f"link set {name} up", self._middle.enter)
            _ip(f"addr add {host.address}/24 dev {host.interface}", host.enter)
            # A datagram is a frame here, as behind a network card.
            _ip(f"link set {host.interface} up gso_max_segs 1", host.enter)
            _ip(f"route add 224.0.0.0/4 dev {host.interface}", host.enter)
        self._wire = self._middle.peer("wire", *names)

    def lose(self, loss: float, seed: int) -> dict:
        """How the network is from now on; returns what it did until now."""
        self._wire.order(loss=loss, seed=seed)
        return self._wire.hear()

    def close(self) -> None:
        """Unplugs everything."""
        self._wire.close()
        for host in [*self.hosts, self._middle]:
            host.stop()


class Loopback:
    """This machine alone: multicast by the loopback interface, which needs no rights."""

    interface = "127.0.0.1"
    enter: list[str] = []

    def __exit__(self, *_) -> None:
        """Leaves nothing behind."""

    def peer(self, program: str, *arguments: str) -> "Peer":
        """Starts `lan/peers/<program>.py` beside the gateway, and waits until it is ready."""
        command = ["env", f"PEER_INTERFACE={self.interface}", sys.executable, str(_program(program)), *arguments]
        return Peer(command)


def _program(name: str) -> Path:
    return Path(__file__).parent.parent / "lan" / "peers" / f"{name}.py"


def _ip(arguments: str, enter: list[str] = ()) -> str:
    done = subprocess.run([*enter, "ip", *arguments.split()], capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"ip {arguments}: {done.stderr.strip()}")
    return done.stdout


class Peer:
    """A program that says `ready` and then, for each message it hears, a line of JSON."""

    def __init__(self, command: list[str]):
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        line = self._next(20)
        assert line == "ready", f"{line!r} {self._end()}"

    def hear(self) -> dict:
        """The next message."""
        return json.loads(self._next(RECEIVE_TIMEOUT_S))

    def is_silent(self, seconds: float) -> bool:
        """Whether the peer says nothing for so long."""
        try:
            self._lines.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def say(self, topic: str, body: bytes) -> None:
        """Has the peer send a message."""
        self.order(topic=topic, body=body.decode())

    def order(self, **words) -> None:
        """Has the peer do something."""
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def close(self) -> None:
        """Ends the program."""
        self._process.kill()
        self._process.wait()

    def _next(self, timeout_s: float) -> str:
        try:
            return self._lines.get(timeout=timeout_s)
        except queue.Empty:
            raise AssertionError(f"the peer said nothing within {timeout_s} s; {self._end()}") from None

    def _end(self) -> str:
        self.close()
        return self._process.stderr.read()[-2000:]

    def _read(self) -> None:
        for line in self._process.stdout:
            self._lines.put(line.strip())
