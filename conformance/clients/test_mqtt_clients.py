"""MQTT client libraries, unchanged and at their defaults: what each of their programs says (`clients/mqtt`)."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from clients.mqtt import CASES
from support.clients import unique_topic

HERE = Path(__file__).resolve().parent
PYTHON = {"paho-mqtt": "paho_client.py", "aiomqtt": "aiomqtt_client.py", "gmqtt": "gmqtt_client.py"}


def run(*command: object, timeout_s: int = 50) -> str:
    """Runs a program to its end; gives what it printed."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def passed(printed: str) -> list[str]:
    """The cases that a program says it has passed."""
    return [line.removeprefix("ok ") for line in printed.splitlines() if line.startswith("ok ")]


@pytest.mark.parametrize("client", PYTHON)
def test_python(gateway, client):
    assert passed(run(sys.executable, HERE / "mqtt" / PYTHON[client], gateway.port("mqtt"))) == CASES


def test_mqttjs(gateway):
    assert passed(run("node", HERE / "mqtt/mqttjs.mjs", gateway.port("mqtt"))) == CASES


@pytest.mark.timeout(900)
@pytest.mark.parametrize("client", ["rumqttc", "paho-mqtt"])
def test_rust(gateway, client):
    manifest = HERE / "rust/Cargo.toml"
    run("cargo", "build", "--quiet", "--locked", "--manifest-path", manifest, "-p", f"{client}-client", timeout_s=800)
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE / "rust/target"))
    assert passed(run(target / f"debug/{client}-client", gateway.port("mqtt"))) == CASES


class TestMosquittoTools:
    """libmosquitto, by mosquitto_pub, mosquitto_sub and mosquitto_rr."""

    @pytest.fixture
    def tool(self, gateway):
        """Starts one of the tools: `tool("sub", "-t", topic)`."""
        started = []

        def start(name: str, *arguments: object) -> subprocess.Popen:
            words = ["stdbuf", "-oL", f"mosquitto_{name}", "-V", "mqttv5", "-p", gateway.port("mqtt"), *arguments]
            process = subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, text=True)
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.wait()

    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_connect_publish_and_retained(self, tool, qos):
        topic = unique_topic()
        assert tool("pub", "-t", topic, "-m", "21.5", "-q", qos, "-r").wait(10) == 0
        assert tool("sub", "-t", topic, "-q", qos, "-C", 1, "-F", "%p %q %r").communicate(timeout=10)[0] == f"21.5 {qos} 1\n"

    def test_will(self, tool, clients):
        topic = unique_topic()
        watcher = clients.consumer("mqtt5", topic)
        holder = tool("sub", "-t", topic, "--will-topic", topic, "--will-payload", "gone", "-d")
        while "Subscribed" not in holder.stdout.readline():
            pass
        holder.send_signal(signal.SIGKILL)
        assert watcher.receive().body == b"gone"

    def test_session_resume(self, tool):
        topic = unique_topic()
        session = ("-t", topic, "-q", 1, "-i", topic.replace("/", "-"), "-c", "-x", 60)
        assert tool("sub", *session, "-E").wait(10) == 0
        assert tool("pub", "-t", topic, "-m", "while away", "-q", 1).wait(10) == 0
        assert tool("sub", *session, "-C", 1).communicate(timeout=10)[0] == "while away\n"

    def test_shared_subscription(self, tool):
        topic = unique_topic()
        members = [tool("sub", "-t", f"$share/group/{topic}", "-q", 1, "-C", 5, "-d") for _ in range(2)]
        for member in members:
            while "Subscribed" not in member.stdout.readline():
                pass
        for number in range(10):
            assert tool("pub", "-t", topic, "-m", f"number {number}", "-q", 1).wait(10) == 0
        printed = "".join(member.communicate(timeout=10)[0] for member in members).splitlines()
        got = sorted(line for line in printed if line.startswith("number"))
        assert got == [f"number {number}" for number in range(10)]

    def test_request_and_response(self, tool, clients):
        requests, answers = unique_topic("requests"), unique_topic("answers")
        device = clients.consumer("mqtt5", requests)
        asking = tool("rr", "-t", requests, "-e", answers, "-m", "6*7", "-W", 8)
        device.publish(device.receive().mqtt.response_topic, b"42")
        assert asking.communicate(timeout=10)[0] == "42\n"
