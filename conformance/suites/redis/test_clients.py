"""Clients that nobody here wrote, in both versions of the protocol: each program checks for itself what it receives."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUST = HERE.parents[1] / "clients/rust"


def run(*command: object, **environment: str) -> str:
    """Runs a program to its end, which must be a good one; gives what it printed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=50, check=False,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("package", ["ioredis", "ioredis5"])
def test_ioredis(busbar, package, protocol):
    assert "ok" in run("node", HERE / "node/ioredis.mjs", busbar.port("resp"), package, protocol)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("package", ["redis", "redis5"])
def test_node_redis(busbar, package, protocol):
    assert "ok" in run("node", HERE / "node/node_redis.mjs", busbar.port("resp"), package, protocol)


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_8(busbar, protocol):
    printed = run(sys.executable, HERE / "python_clients.py", busbar.port("resp"), protocol)
    assert printed.startswith("redis-py 8.")


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_5(busbar, protocol):
    old = Path(sys.prefix) / "redis5"
    printed = run(sys.executable, HERE / "python_clients.py", busbar.port("resp"), protocol, PYTHONPATH=str(old))
    assert printed.startswith("redis-py 5.")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("protocol", ["resp2", "resp3"])
@pytest.mark.parametrize("client", ["redis-rs-client", "fred-client"])
def test_rust(busbar, client, protocol):
    build = ["cargo", "build", "--quiet", "--locked", "--manifest-path", RUST / "Cargo.toml", "-p", client]
    subprocess.run(build, check=True, timeout=800)
    target = Path(os.environ.get("CARGO_TARGET_DIR", RUST / "target"))
    assert "messages" in run(target / "debug" / client, busbar.port("resp"), protocol)
