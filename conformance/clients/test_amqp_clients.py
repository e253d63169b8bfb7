"""AMQP clients of six languages, each in a small program of its own that does what applications do.

Every program publishes a hundred persistent messages with confirms, consumes them with a prefetch, asks a question
over a reply queue and answers it, and rejects a message that then lies in the dead-letter queue. It prints a line for
each when it has seen it, and nothing else.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD_TIMEOUT_S = 400
RUN_TIMEOUT_S = 40
JAVA_CLASSES = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar"

DONE = ["confirmed 100", "consumed 100", "answered 42", "died rejected"]


def run(gateway, *command: object) -> None:
    """Runs a program against the gateway, and compares what it said."""
    words = [str(word) for word in command] + [str(gateway.port("amqp"))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=RUN_TIMEOUT_S, check=False)
    assert (done.returncode, done.stdout.splitlines()) == (0, DONE), done.stdout + done.stderr


def build(*command: object, **environment: str) -> None:
    """Builds a program."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False, cwd=HERE,
                          env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("client", ["pika", "aio_pika", "kombu", "celery"])
def test_python(gateway, client):
    run(gateway, sys.executable, HERE / f"python/{client}_client.py")


@pytest.mark.parametrize("client", ["amqplib", "cloudamqp"])
def test_node(gateway, client):
    run(gateway, "node", HERE / f"node/{client}.mjs")


@pytest.mark.timeout(BUILD_TIMEOUT_S)
@pytest.mark.parametrize("client", ["lapin", "amqprs"])
def test_rust(gateway, client):
    build("cargo", "build", "--quiet", "--locked", "--manifest-path", "rust/Cargo.toml", "-p", "amqp-clients")
    run(gateway, HERE / f"rust/target/debug/{client}")


def test_ruby(gateway):
    run(gateway, "ruby", HERE / "ruby/bunny.rb")


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_java(gateway, tmp_path):
    build("javac", "-cp", JAVA_CLASSES, "-d", tmp_path, "java/Client.java")
    run(gateway, "java", "-cp", f"{tmp_path}:{JAVA_CLASSES}", "Client")


@pytest.mark.timeout(BUILD_TIMEOUT_S)
def test_go(gateway, tmp_path):
    # Debian's packages of Go libraries are source trees, to be found by the old way of GOPATH.
    program = tmp_path / "amqp091"
    shutil.copytree(HERE / "go/amqp091", tmp_path / "src/amqp091")
    build("go", "build", "-o", program, "amqp091", GO111MODULE="off", GOPATH=f"{tmp_path}:/usr/share/gocode",
          GOCACHE=str(tmp_path / "cache"), GOFLAGS="")
    run(gateway, program)
