"""One script, Debian's RabbitMQ and Busbar: what they say is equal, but for a written list."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from differential import policies, rabbitmq
from differential.script import THEMES
from differential.session import Script
from differential.trace import Intended, compare

OPERATIONS_AT_LEAST = 300
PLUGINS = ("rabbitmq_consistent_hash_exchange", "rabbitmq_random_exchange")


def run_script(port: int) -> Script:
    """The whole script against one server."""
    script = Script(port)
    for theme in THEMES:
        script.run(theme)
    return script


@pytest.fixture
def rabbit(tmp_path):
    """A RabbitMQ of the test's own."""
    assert rabbitmq.is_installed(), "conformance/run installs rabbitmq-server"
    (tmp_path / "rabbitmq").mkdir()
    node = rabbitmq.RabbitMq(tmp_path / "rabbitmq", PLUGINS, policies.definitions())
    yield node.start()
    node.stop()


@pytest.mark.timeout(300)
def test_traces_are_equal_but_for_the_listed_differences(rabbit, start_gateway):
    # A gateway that nobody else has declared anything on, as the RabbitMQ is.
    with ThreadPoolExecutor() as threads:
        theirs, ours = threads.map(run_script, [rabbit.port("amqp"), start_gateway(policies.config()).port("amqp")])
    assert theirs.operations == ours.operations >= OPERATIONS_AT_LEAST
    faults = compare(theirs.trace, ours.trace, Intended.read(Path(__file__).parent / "differences.toml"))
    assert not faults, f"{len(faults)} differences:\n" + "\n".join(faults)
