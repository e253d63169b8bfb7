"""A Busbar and Debian's Redis, each on a port of its own, for all suites of this folder."""

import socket
import subprocess

import pytest
from support.gateway import Gateway, wait_until


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def busbar(tmp_path_factory):
    """A gateway that these suites have to themselves: they empty it, count its clients, and use up its names."""
    gateway = Gateway(tmp_path_factory.mktemp("redis-suites")).start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def redis_port(tmp_path_factory):
    """The port of a real Redis."""
    port, directory = free_port(), tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(directory)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    wait_until(lambda: answers(port), what="redis-server")
    yield port
    process.terminate()
    process.wait(10)


def answers(port: int) -> bool:
    """Whether somebody listens on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
