"""Debian's own tools: LCM's logger and player, and Wireshark's decoder on a link."""

import subprocess

import lcm
import pytest

from lan.conftest import GROUPS, TOPIC, not_tested
from support.gateway import wait_until
from support.network import Loopback
from support.wireshark import Wireshark, number


@pytest.fixture
def hosts(network):
    """Two hosts: these tools need routes and interfaces."""
    if isinstance(network, Loopback):
        not_tested("lcm-logger, lcm-logplayer, tshark")
    return network


def test_lcm_logger_records_what_we_send_and_lcm_logplayer_plays_it_back_to_us(hosts, lan_clients, tmp_path):
    out, out_port, into, in_port = GROUPS["lcm"]
    log = tmp_path / "events"
    url = f"--lcm-url=udpm://{out}:{out_port}?ttl=1"
    logger = subprocess.Popen([*hosts.enter, "lcm-logger", url, "--flush-interval=10", "--quiet", "--force", str(log)])
    publisher = lan_clients.publisher("mqtt5")

    def is_recorded() -> bool:
        # It does not say when it has joined.
        publisher.publish(TOPIC, b"21.5")
        return log.exists() and log.stat().st_size > 0

    try:
        wait_until(is_recorded, what="a recorded event")
    finally:
        logger.terminate()
        logger.wait()
    event = next(lcm.EventLog(str(log)))
    assert (event.channel, event.data) == (TOPIC, b"21.5")
    consumer = lan_clients.consumer("mqtt5", f"from/lcm/{TOPIC}")
    url = f"--lcm-url=udpm://{into}:{in_port}?ttl=1"
    player = [*hosts.enter, "lcm-logplayer", url, "--speed=100", str(log)]
    subprocess.run(player, check=True, capture_output=True, timeout=20)
    assert consumer.receive().body == b"21.5"


def test_wireshark_reads_the_link_s_publications(hosts, lan_clients):
    wireshark = Wireshark(hosts, GROUPS["mqtt-sn"][1])
    try:
        publisher = lan_clients.mqtt()
        wireshark.begin(lambda: publisher.publish(TOPIC, b"21.5", retain=True))
        read = wireshark.read()
        # QoS -1 is written 3; the payload is shown as its bytes or as its text.
        expected = {"msg.type": "0x0c", "qos": "0x03", "retain": "1", "topic.id.type": "0x01", "topic.id": "7"}
        assert {name: number(read[name]) for name in expected} == {name: number(text) for name, text in expected.items()}
        assert read["pub.msg"] in ("21.5", b"21.5".hex())
    finally:
        wireshark.close()
