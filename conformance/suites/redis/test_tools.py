"""Redis's own tools, as Debian ships them: redis-cli, also as a person types at it, and redis-benchmark."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from .test_clients import run

PATIENCE_S = 10


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, *command: object):
        self._screen, theirs = pty.openpty()
        self._process = subprocess.Popen([str(word) for word in command], stdin=theirs, stdout=theirs, stderr=theirs,
                                         env={**os.environ, "TERM": "dumb"}, start_new_session=True)
        os.close(theirs)

    def type(self, text: str) -> None:
        """Types a text; `\\n` is the return key."""
        os.write(self._screen, text.encode())

    def wait_for(self, pattern: str) -> str:
        """What is shown up to the match of a pattern."""
        shown, deadline = "", time.monotonic() + PATIENCE_S
        while not re.search(pattern, shown):
            assert time.monotonic() < deadline, f"{pattern!r} was not shown: {shown!r}"
            if select.select([self._screen], [], [], 0.1)[0]:
                shown += os.read(self._screen, 4096).decode(errors="replace")
        return shown

    def close(self) -> None:
        """Ends the program."""
        self._process.terminate()
        self._process.wait(PATIENCE_S)
        os.close(self._screen)


@pytest.mark.parametrize("version", ["-2", "-3"])
def test_redis_cli_subscribes_interactively(busbar, version):
    port = busbar.port("resp")
    terminal = Terminal("redis-cli", "-p", port, version)
    terminal.wait_for(r"127\.0\.0\.1:\d+> ")
    terminal.type("SUBSCRIBE cli/a\n")
    terminal.wait_for(r"(?s)subscribe.*cli/a.*\(integer\) 1")
    assert run("redis-cli", "-p", port, "PUBLISH", "cli/a", "hello there").strip() == "1"
    terminal.wait_for(r"(?s)message.*cli/a.*hello there")
    terminal.close()


def test_redis_cli_completes_and_explains(busbar):
    terminal = Terminal("redis-cli", "-p", busbar.port("resp"))
    terminal.wait_for(r"> ")
    terminal.type("CLIENT SETNAME person\nCLIENT GETNAME\n")
    terminal.wait_for(r'"person"')
    terminal.type("NOSUCH a\n")
    terminal.wait_for(r"\(error\) ERR unknown command 'NOSUCH'")
    terminal.close()


def test_redis_cli_reads_a_script(busbar):
    script = "SET cli/key 5\nINCR cli/key\nMULTI\nINCR cli/key\nPUBLISH cli/nobody x\nEXEC\n"
    done = subprocess.run(["redis-cli", "-p", str(busbar.port("resp"))], input=script, capture_output=True, text=True,
                          timeout=PATIENCE_S, check=True)
    assert done.stdout.splitlines() == ["OK", "6", "OK", "QUEUED", "QUEUED", "7", "0"]


def test_redis_cli_measures(busbar):
    port = busbar.port("resp")
    assert run("redis-cli", "-p", port, "--raw", "INFO", "server").startswith("# Server\nredis_version:7.2")
    assert "PONG" in run("redis-cli", "-p", port, "-r", "3", "-i", "0", "PING")
    assert "b\n" in run("redis-cli", "-p", port, "-3", "--csv", "ECHO", "b").replace('"', "")


@pytest.mark.parametrize("arguments", [["-P", "16"], ["-P", "1", "-3"], ["-P", "64", "--threads", "2"]])
def test_redis_benchmark(busbar, arguments):
    printed = run("redis-benchmark", "-p", busbar.port("resp"), "-n", "50000", "-q", *arguments, "PUBLISH", "bench", "x")
    rate = float(re.findall(r"([\d.]+) requests per second", printed)[-1])
    assert rate > 5000, printed


def test_redis_benchmark_with_its_usual_requests(busbar):
    printed = run("redis-benchmark", "-p", busbar.port("resp"), "-n", "5000", "-P", "16", "-q",
                  "-t", "ping_inline,ping_mbulk,set,get,incr,mset")
    assert len(re.findall(r"requests per second", printed)) >= 6, printed
