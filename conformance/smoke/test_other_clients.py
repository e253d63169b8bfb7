"""Clients with other code below them than pika, paho and redis-py, each unchanged and at its defaults."""

import subprocess
import sys
import textwrap
import uuid
from pathlib import Path

import kombu
import pytest

from support.clients import unique_topic


def run(*command: object, given: bytes = b"") -> bytes:
    """Runs a program to its end; gives what it printed."""
    words = [str(word) for word in command]
    return subprocess.run(words, input=given, capture_output=True, timeout=20, check=True).stdout


class TestRabbitmqC:
    """librabbitmq, by its command-line tools."""

    def test_publish_consume_get_and_delete(self, gateway):
        server, queue = f"--server=127.0.0.1:{gateway.port('amqp')}", f"tools-{uuid.uuid4().hex[:8]}"
        assert run("amqp-declare-queue", server, "-q", queue).decode().strip() == queue
        run("amqp-publish", server, "-r", queue, "-p", "-C", "text/plain", "-b", "first")
        run("amqp-publish", server, "-r", queue, given=b"second")
        assert run("amqp-get", server, "-q", queue) == b"first"
        assert run("amqp-consume", server, "-q", queue, "-c", "1", "cat") == b"second"
        run("amqp-delete-queue", server, "-q", queue)


class TestMosquitto:
    """libmosquitto, by its command-line tools."""

    @pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
    @pytest.mark.parametrize("qos", [0, 1, 2])
    def test_publish_and_subscribe(self, gateway, version, qos):
        topic, common = unique_topic(), ("-p", gateway.port("mqtt"), "-V", version, "-q", qos)
        run("mosquitto_pub", *common, "-t", topic, "-m", "21.5", "-r")
        assert run("mosquitto_sub", *common, "-t", topic, "-C", 1, "-v").decode() == f"{topic} 21.5\n"

    def test_properties_print(self, gateway, clients):
        topic = unique_topic()
        run("mosquitto_pub", "-p", gateway.port("mqtt"), "-V", "mqttv5", "-t", topic, "-m", "x", "-r",
            "-D", "publish", "user-property", "unit", "C", "-D", "publish", "content-type", "text/plain")
        shown = run("mosquitto_sub", "-p", gateway.port("mqtt"), "-V", "mqttv5", "-t", topic, "-C", 1, "-F", "%P|%C")
        assert shown.decode() == "unit:C|text/plain\n"

    def test_request_and_response(self, gateway, clients):
        requests, answers = unique_topic("requests"), unique_topic("answers")
        device = clients.consumer("mqtt5", requests)
        asking = subprocess.Popen(
            ["mosquitto_rr", "-p", str(gateway.port("mqtt")), "-V", "mqttv5", "-t", requests, "-e", answers,
             "-m", "6*7", "-W", "8"],
            stdout=subprocess.PIPE,
        )
        request = device.receive()
        device.publish(request.mqtt.response_topic, b"42")
        assert asking.communicate(timeout=10)[0] == b"42\n"


class TestKombu:
    """py-amqp, by kombu."""

    def test_a_simple_queue(self, gateway):
        with kombu.Connection(f"amqp://guest:guest@127.0.0.1:{gateway.port('amqp')}//") as connection:
            queue = connection.SimpleQueue(f"kombu-{uuid.uuid4().hex[:8]}")
            for number in range(10):
                queue.put({"number": number}, serializer="json")
            for number in range(10):
                message = queue.get(timeout=5)
                assert message.payload == {"number": number}
                message.ack()
            queue.close()
            connection.default_channel.queue_delete(queue.queue.name)


class TestCelery:
    """Celery with its AMQP broker and RPC results, as `pip install celery` gives it."""

    TASKS = """
        import sys
        from celery import Celery

        broker = sys.argv.pop(1)
        app = Celery("tasks", broker=broker, backend="rpc://")

        @app.task(bind=True, max_retries=2)
        def add(self, a, b):
            if self.request.retries < 1:
                raise self.retry(countdown=0.1)
            return a + b

        if __name__ == "__main__":
            app.worker_main(["worker", "--pool=solo", "--loglevel=WARNING"])
    """

    def test_tasks_run_retry_and_answer(self, gateway, tmp_path):
        broker = f"amqp://guest:guest@127.0.0.1:{gateway.port('amqp')}//"
        (tmp_path / "tasks.py").write_text(textwrap.dedent(self.TASKS))
        ask = "import tasks; print([tasks.add.delay(n, 1).get(timeout=20) for n in range(5)])"
        worker = subprocess.Popen([sys.executable, "tasks.py", broker], cwd=tmp_path, stderr=subprocess.PIPE)
        try:
            answer = subprocess.run([sys.executable, "-c", ask, broker], cwd=tmp_path, capture_output=True, text=True,
                                    timeout=40, check=False)
        finally:
            worker.terminate()
            errors = worker.communicate(timeout=10)[1].decode()
        assert answer.stdout == "[1, 2, 3, 4, 5]\n", answer.stderr + errors


class TestJavaScript:
    """The clients of the Node world: each script asserts by itself and ends with 0."""

    @pytest.mark.parametrize(
        "script, protocol", [("amqplib", "amqp"), ("mqttjs", "mqtt"), ("ioredis", "resp"), ("node-redis", "resp")]
    )
    def test_a_client_works(self, gateway, script, protocol):
        file = Path(__file__).parent / f"node/{script}.mjs"
        done = subprocess.run(["node", file, str(gateway.port(protocol))], capture_output=True, text=True, timeout=20,
                              check=False)
        assert done.returncode == 0, done.stderr
