"""The two fixtures that aiormq's suite takes from outside of its `tests` folder, which alone is in its source archive."""

import os
from types import SimpleNamespace

import pytest
from yarl import URL

# A port that nobody listens on: there is no TLS.
_CLOSED_PORT = 1


@pytest.fixture(scope="session")
def rabbitmq_container():
    """The server under test, with the words of a container."""
    ports = {"5672/tcp": int(os.environ["RABBITMQ_5672_TCP"]), "5671/tcp": _CLOSED_PORT}
    return SimpleNamespace(host="127.0.0.1", ports=ports)


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container) -> URL:
    """Where it is."""
    port = rabbitmq_container.ports["5672/tcp"]
    return URL.build(scheme="amqp", user="guest", password="guest", host="127.0.0.1", port=port, path="//")
