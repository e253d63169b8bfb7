"""The suites of AMQP clients, run as they are against the gateway: all that passes against RabbitMQ passes here.

    AMQP_SUITES=all          also Celery's, aiormq's and aio-pika's, which take half an hour and want a quiet machine
    SUITES_AGAINST=rabbitmq  asks Debian's RabbitMQ instead, to see what passes there

The last results of both stand in docs/amqp.md.
"""

import os
import tomllib
from pathlib import Path

import pytest

from differential.rabbitmq import RabbitMq
from suites.amqp import environment
from suites.amqp.docker import Docker
from support.gateway import Gateway

EXCLUDED = tomllib.loads((Path(__file__).parent / "excluded.toml").read_text())
SUITE_TIMEOUT_S = 1800


def make_server(directory: Path):
    """A server with `start()`, `kill()` and `port("amqp")`."""
    if os.environ.get("SUITES_AGAINST") == "rabbitmq":
        return RabbitMq(directory)
    return Gateway(directory)


@pytest.fixture
def server(tmp_path):
    """A server that no other suite has used."""
    own = make_server(tmp_path)
    yield own.start()
    own.kill()


def run(package: str, arguments: list[str], at_least: int, **variables: str) -> None:
    """Runs a suite less what is excluded by name, and fails unless all the rest passes and there is enough of it."""
    excluded = EXCLUDED.get(package, {})
    folder = environment.source_of(package)
    outcome = environment.run(folder, [*arguments, *_deselected(excluded)], variables, SUITE_TIMEOUT_S)
    assert not outcome.failed, f"{sorted(outcome.failed)}\n{outcome.output}"
    assert outcome.passed >= at_least, f"only {outcome.passed} tests ran\n{outcome.output}"


def _deselected(excluded: dict[str, str]) -> list[str]:
    return [f"--deselect={name}" for name in excluded]


def of(server) -> dict[str, str]:
    """Where the server is, in the words of py-amqp's, kombu's and our own fixtures."""
    return {"RABBITMQ_HOST": "127.0.0.1", "RABBITMQ_5672_TCP": str(server.port("amqp"))}


@pytest.mark.timeout(SUITE_TIMEOUT_S)
def test_py_amqp(server):
    run("amqp", ["-p", "no:aiomisc", "t/integration", "-k", "not ssl and not tls"], 48, **of(server))


@pytest.mark.timeout(SUITE_TIMEOUT_S)
def test_kombu(server):
    run("kombu", ["-p", "no:aiomisc", "t/integration/test_py_amqp.py"], 51, **of(server))


@pytest.mark.timeout(SUITE_TIMEOUT_S)
@pytest.mark.skipif(os.environ.get("AMQP_SUITES") != "all", reason="takes minutes: AMQP_SUITES=all")
def test_celery(server):
    files = [f"t/integration/test_{name}.py" for name in ("tasks", "inspect", "worker", "loader")]
    broker = f"pyamqp://guest:guest@127.0.0.1:{server.port('amqp')}//"
    run("celery", ["-p", "no:aiomisc", "-p", "celery.contrib.pytest", *files], 62, TEST_BROKER=broker, TEST_BACKEND="rpc://")


@pytest.mark.timeout(SUITE_TIMEOUT_S)
@pytest.mark.skipif(os.environ.get("AMQP_SUITES") != "all", reason="takes minutes: AMQP_SUITES=all")
def test_aiormq(server):
    run("aiormq", ["-p", "suites.amqp.aiormq_fixtures", "tests", "-k", "not amqps"], 542, **of(server))


@pytest.mark.timeout(SUITE_TIMEOUT_S)
@pytest.mark.skipif(os.environ.get("AMQP_SUITES") != "all", reason="takes minutes: AMQP_SUITES=all")
def test_aio_pika(tmp_path):
    docker = Docker(tmp_path, make_server)
    try:
        run("aio-pika", ["tests"], 920, DOCKER_HOST=docker.host)
    finally:
        docker.close()
