"""The listeners as another machine's DNS-SD browser sees them: PyPI's zeroconf."""

import pytest

from lan.conftest import not_tested
from support.gateway import Gateway
from support.network import OURS, Loopback

# By service type the listener, on a port of its own each.
SERVICES = {
    "_amqp._tcp.local.": ("amqp", 5672),
    "_mqtt._tcp.local.": ("mqtt", 1883),
    "_redis._tcp.local.": ("resp", 6379),
    "_http._tcp.local.": ("http", 15672),
}
NAME = "Press hall 3"

@pytest.fixture
def browser(network):
    """The other machine."""
    if isinstance(network, Loopback):
        not_tested("DNS-SD between machines")
    opened = network.peer("mdns", *SERVICES)
    yield opened
    opened.close()


def _start(directory, config: str) -> Gateway:
    """A gateway that other machines reach."""
    binds = {protocol: f"0.0.0.0:{port}" for protocol, port in SERVICES.values()}
    for protocol in ["amqp", "mqtt", "resp"]:
        config += f"[listeners.{protocol}]\nallow_anonymous = true\n"
    return Gateway(directory, config, binds).start()


def _next(browser, change: str) -> dict[str, dict]:
    """What changed, by service type; services say it again, and change what they say, while they come."""
    found = {}
    for _ in range(20):
        heard = browser.hear()
        if heard["change"] == change:
            found[heard["type"]] = heard
        if len(found) == len(SERVICES):
            return found
    raise AssertionError(found)


def test_listeners_are_seen_with_their_ports_and_a_goodbye_at_the_end(network, browser, tmp_path):
    gateway = _start(tmp_path, f'[discovery]\nmdns = ["{network.interface}"]\nname = "{NAME}"\n')
    try:
        for service, heard in _next(browser, "Added").items():
            assert heard["name"] == f"{NAME}.{service}"
            assert (heard["port"], heard["addresses"]) == (SERVICES[service][1], [OURS])
            properties = heard["properties"]
            assert (properties["txtvers"], properties["node"]) == ("1", NAME)
            assert properties["v"]
    finally:
        gateway.stop()
    # Without a goodbye they would stay for more than an hour.
    assert set(_next(browser, "Removed")) == set(SERVICES)


def test_nothing_is_announced_unless_asked_for(browser, tmp_path):
    quiet = _start(tmp_path, "")
    try:
        assert browser.is_silent(2)
    finally:
        quiet.stop()
