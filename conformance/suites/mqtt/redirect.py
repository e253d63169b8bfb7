"""A pytest plugin for suites that talk to a public broker by name: their connections come here instead.

`REDIRECT` says where, as in `test.mosquitto.org:1883=127.0.0.1:40001,...`. Any other host is refused, so that a
test never leaves this machine.
"""

import os
import socket

_TARGETS = dict(pair.split("=") for pair in os.environ["REDIRECT"].split(","))
_create_connection = socket.create_connection


def create_connection(address, *args, **kwargs):
    """Stands for `socket.create_connection`."""
    host, port = address
    target = _TARGETS.get(f"{host}:{port}", f"{host}:{port}")
    target_host, target_port = target.rsplit(":", 1)
    if target_host not in ("127.0.0.1", "localhost"):
        raise ConnectionRefusedError(f"{host}:{port} is not served here")
    return _create_connection((target_host, int(target_port)), *args, **kwargs)


socket.create_connection = create_connection
