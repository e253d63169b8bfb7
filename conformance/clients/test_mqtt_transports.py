"""MQTT by other ways than plain TCP, by programs that nobody here wrote: WebSockets, Unix sockets, a proxy in front
that says who the client is, and SCRAM. What the clients do is what they do over TCP (`clients/mqtt`)."""

import base64
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from scramp import ScramClient

from clients.mqtt import CASES
from clients.test_mqtt_clients import HERE, passed, run
from support.gateway import binary

# SASLprep, on both sides, drops the soft hyphen, makes the no-break space a space and the Roman numeral "IX".
PASSWORD = "cor\u00adrect\u00a0horse \u2168"
PAHO = (sys.executable, HERE / "mqtt/paho_client.py")
MQTTJS = ("node", HERE / "mqtt/mqttjs.mjs")


@pytest.fixture
def web_socket_port(start_gateway) -> int:
    """The port of a gateway that serves MQTT in WebSockets at one path."""
    config = "[listeners.mqtt_ws]\nenabled = true\n"
    return start_gateway(config, {"mqtt_ws": "127.0.0.1:0"}).port("mqtt_ws")


def test_paho_in_web_sockets(web_socket_port):
    assert passed(run(*PAHO, web_socket_port, "websockets")) == CASES


def test_mqttjs_in_web_sockets(web_socket_port):
    assert passed(run(*MQTTJS, web_socket_port, "ws")) == CASES


@pytest.fixture
def unix_socket(start_gateway, tmp_path) -> Path:
    """The path of a gateway's Unix socket for MQTT."""
    path = tmp_path / "mqtt.sock"
    start_gateway(binds={"mqtt": f"unix:{path}"})
    return path


def test_paho_at_a_unix_socket(unix_socket):
    assert passed(run(*PAHO, unix_socket, "unix")) == CASES


def test_mosquittos_tools_at_a_unix_socket(unix_socket):
    at = ("--unix", unix_socket, "-t", "unix/value", "-q", 2)
    run("mosquitto_pub", *at, "-m", "21.5", "-r")
    assert run("mosquitto_sub", *at, "-C", 1, "-F", "%p %q %r", "-W", 10) == "21.5 2 1\n"


class TestBehindAProxy:
    """HAProxy before a listener that wants PROXY headers, in both versions."""

    @pytest.fixture
    def proxy_ports(self, start_gateway, tmp_path):
        """HAProxy's ports by what it says: which version, and whether the client is here or far away."""
        gateway = start_gateway("[listeners.mqtt]\nproxy_protocol = true\n")
        ports, words = {}, ["defaults", "mode tcp", "timeout connect 5s", "timeout client 50s", "timeout server 50s"]
        for name in ("send-proxy", "send-proxy-v2"):
            for place in ("here", "far"):
                ports[name, place] = free_port()
                words += [f"listen {name}-{place}", f"bind 127.0.0.1:{ports[name, place]}"]
                if place == "far":
                    words.append("tcp-request connection set-src str(192.0.2.7)")
                words.append(f"server gateway 127.0.0.1:{gateway.port('mqtt')} {name}")
        config = tmp_path / "haproxy.cfg"
        config.write_text("\n".join(words) + "\n")
        command = shutil.which("haproxy") or "/usr/sbin/haproxy"
        process = subprocess.Popen([command, "-db", "-f", str(config)], stderr=subprocess.PIPE, text=True)
        try:
            for port in ports.values():
                wait_for(port, process)
            yield ports | {"gateway": gateway.port("mqtt")}
        finally:
            process.kill()
            process.wait()

    @pytest.mark.parametrize("version", ["send-proxy", "send-proxy-v2"])
    def test_clients_come_through_and_are_who_they_are(self, proxy_ports, version):
        assert passed(run(*PAHO, proxy_ports[version, "here"])) == CASES
        # Nobody without a password comes from another machine, which HAProxy says this one is.
        assert connack(proxy_ports[version, "far"]) == "Not authorized"

    def test_nobody_comes_around_it(self, proxy_ports):
        with socket.create_connection(("127.0.0.1", proxy_ports["gateway"]), timeout=10) as direct:
            direct.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01a")
            assert direct.recv(100) == b""


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen) -> None:
    """Waits until somebody listens."""
    for _ in range(200):
        assert process.poll() is None, process.stderr.read()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


def connack(port: int) -> str:
    """What paho-mqtt is told at CONNECT."""
    answers = []
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "far", protocol=paho.MQTTv5, reconnect_on_failure=False)
    client.on_connect = lambda _c, _d, _flags, reason, _p: answers.append(str(reason))
    client.connect("127.0.0.1", port)
    for _ in range(100):
        if answers:
            break
        client.loop(0.1)
    client.disconnect()
    return answers[0]


class TestScram:
    """SCRAM-SHA-256 by scramp, carried by MQTT.js in AUTH packets."""

    @pytest.fixture
    def port(self, start_gateway) -> int:
        """The port of a gateway that knows one user, who has no password but a verifier of it."""
        command = [binary(), "passwd", "--scram"]
        done = subprocess.run(command, input=PASSWORD + "\n", capture_output=True, text=True, timeout=30, check=True)
        user = f'name = "alice"\npassword_hash = ""\nscram_sha256 = "{done.stdout.strip().splitlines()[-1]}"\n'
        rights = 'vhost = "/"\nconfigure = ".*"\nwrite = ".*"\nread = ".*"\n'
        return start_gateway(f"[[users]]\n{user}[[users.permissions]]\n{rights}").port("mqtt")

    def test_a_client_proves_itself_at_connect_and_again(self, port):
        assert talk(port, "alice", PASSWORD) == ["ok connected", "ok again", "ok x"]

    @pytest.mark.parametrize(("user", "password"), [("alice", "wrong"), ("mallory", PASSWORD)])
    def test_who_does_not_know_the_password_is_refused(self, port, user, password):
        assert talk(port, user, password) == ["refused 134"]


def talk(port: int, user: str, password: str) -> list[str]:
    """Answers what MQTT.js is asked; gives what else it printed. The server's proof is checked by scramp."""
    command = ["node", str(HERE / "mqtt/scram.mjs"), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        printed, scram = [], None
        for line in program.stdout:
            what, _, data = line.strip().partition(" ")
            data = base64.b64decode(data).decode() if what in ("challenge", "proof") else data
            if what == "first":
                scram = ScramClient(["SCRAM-SHA-256"], user, password)
                answer = scram.get_client_first()
            elif what == "challenge":
                scram.set_server_first(data)
                answer = scram.get_client_final()
            else:
                if what == "proof":
                    scram.set_server_final(data)
                else:
                    printed.append(line.strip())
                continue
            program.stdin.write(base64.b64encode(answer.encode()).decode() + "\n")
            program.stdin.flush()
        return printed
