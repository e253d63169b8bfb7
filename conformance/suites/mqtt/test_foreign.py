"""The own tests of aiomqtt and gmqtt, from their source archives, against the gateway."""

import pytest

from suites.mqtt import sdist

CONFIG = """
[listeners.mqtt_ws]
enabled = true
bind = "127.0.0.1:0"
allow_anonymous = true

# A request that names test.mosquitto.org as its origin does not count as one from this machine.
[[users]]
name = "guest"
password_hash = ""

[[users.permissions]]
vhost = "/"
write = ".*"
read = ".*"
"""

# By name, with the reason. Whatever else fails, fails the run.
AIOMQTT_EXCLUDED = {
    "test_client_reusable_message": "expects an error where anyio raises a group of errors; fails with Mosquitto too",
    "test_messages_view_len": "expects its own QoS 2 message to come after PUBCOMP and not before; fails with Mosquitto too",
    "test_client_tls_context": "needs a TLS listener with the certificate of test.mosquitto.org",
    "test_client_tls_params": "needs a TLS listener with the certificate of test.mosquitto.org",
}

GMQTT_EXCLUDED = {
    "test_basic_ssl": "needs a TLS listener on port 8883",
    "test_assigned_clientid": "gmqtt replaces an empty identifier by its own, so no server assigns one",
}


@pytest.mark.timeout(300)
def test_aiomqtt(start_gateway, tmp_path):
    gateway = start_gateway(CONFIG)
    folder = sdist.fetch("aiomqtt", "2.5.1", tmp_path)
    here = {1883: gateway.port("mqtt"), 8080: gateway.port("mqtt_ws")}
    redirect = ",".join(f"test.mosquitto.org:{port}=127.0.0.1:{own}" for port, own in here.items())
    deselect = [f"--deselect=tests/test_client.py::{name}" for name in AIOMQTT_EXCLUDED]
    outcome = sdist.run(folder, ["-p", "suites.mqtt.redirect", *deselect, "tests"], {"REDIRECT": redirect}, 240)
    sdist.check(outcome, at_least=57)


@pytest.mark.timeout(300)
def test_gmqtt(start_gateway, tmp_path):
    gateway = start_gateway()
    folder = sdist.fetch("gmqtt", "0.8.0", tmp_path)
    environment = {"HOST": "127.0.0.1", "PORT": str(gateway.port("mqtt")), "USERNAME": ""}
    deselect = [f"--deselect=tests/test_mqtt5.py::{name}" for name in GMQTT_EXCLUDED]
    outcome = sdist.run(folder, [*deselect, "tests"], environment, 240)
    sdist.check(outcome, at_least=81)
