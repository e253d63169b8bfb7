"""The gateway that the cases share, and clients that are closed after each case."""

import os

import pytest

from support import lan
from support.clients import Clients
from support.gateway import Gateway, RunningServers


def pytest_addoption(parser):
    parser.addoption("--store-instructions", action="store_true", help="write what each hot path costs now")


@pytest.fixture(scope="session")
def lan_ports():
    """The UDP ports of the outgoing and of the incoming link."""
    return lan.free_udp_port(), lan.free_udp_port()


@pytest.fixture(scope="session")
def shared_gateway(tmp_path_factory, lan_ports):
    """One gateway for all cases that do not stop it."""
    endpoints = os.environ.get("CONFORMANCE_ENDPOINTS")
    if endpoints:
        yield RunningServers(endpoints)
        return
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), lan.links(*lan_ports)).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def gateway(shared_gateway):
    """The shared gateway, found running before and after the case."""
    assert shared_gateway.is_running(), f"the gateway is gone; its log ends:\n{shared_gateway.log_tail()}"
    yield shared_gateway
    assert shared_gateway.is_running(), f"the case ended the gateway; its log ends:\n{shared_gateway.log_tail()}"


@pytest.fixture
def clients(gateway, lan_ports):
    """Clients of the shared gateway."""
    opened = Clients(gateway, lan_ports)
    yield opened
    opened.close()


@pytest.fixture
def start_gateway(tmp_path):
    """Starts gateways of the case's own: `start_gateway(config)`; `binds` are addresses by listener, `wrapper` is a
    command that runs it.
    """
    started = []

    def start(config: str = "", binds: dict[str, str] | None = None, wrapper: tuple[str, ...] = ()) -> Gateway:
        directory = tmp_path / f"gateway{len(started)}"
        directory.mkdir()
        started.append(Gateway(directory, config, binds, wrapper=wrapper))
        return started[-1].start()

    yield start
    for own in started:
        own.kill()


@pytest.fixture
def clients_of():
    """Clients of a gateway of the case's own: `clients_of(gateway)`."""
    opened = []

    def make(own: Gateway) -> Clients:
        opened.append(Clients(own))
        return opened[-1]

    yield make
    for own in opened:
        own.close()
