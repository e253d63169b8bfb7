"""librabbitmq's tools, from Debian's amqp-tools: publish, consume with a prefetch, ask and answer, let messages die.

They can neither confirm nor give a queue arguments: `c/confirms.c` does the one with the library below them, and a
policy does the other.
"""

import subprocess

import pytest

from clients.test_amqp_clients import HERE, build

MESSAGES = 100
DYING = """
[[policies]]
name = "dying"
pattern = "^tools-doomed$"
definition = { message-ttl = 100, dead-letter-exchange = "", dead-letter-routing-key = "tools-graves" }
"""


class Tools:
    """The tools on one gateway."""

    def __init__(self, gateway):
        self.server = f"--server=127.0.0.1:{gateway.port('amqp')}"

    def run(self, tool: str, *words: object, given: bytes = b"") -> bytes:
        """Runs one to its end; gives what it printed."""
        command = [f"amqp-{tool}", self.server, *map(str, words)]
        return subprocess.run(command, input=given, capture_output=True, timeout=20, check=True).stdout

    def declare(self, *names: str) -> None:
        """Makes durable queues."""
        for name in names:
            assert self.run("declare-queue", "-d", "-q", name).decode().strip() == name


@pytest.fixture
def tools(start_gateway):
    """The tools on a gateway with the policy."""
    return Tools(start_gateway(DYING))


def test_a_hundred_messages_are_consumed_with_a_prefetch_in_order(tools):
    tools.declare("tools-work")
    lines = b"".join(b"%d\n" % number for number in range(MESSAGES))
    tools.run("publish", "-r", "tools-work", "-p", "-l", given=lines)
    got = tools.run("consume", "-q", "tools-work", "-p", 10, "-c", MESSAGES, "cat")
    assert [int(line) for line in got.split()] == list(range(MESSAGES))


def test_a_question_is_answered_over_a_reply_queue(tools, tmp_path):
    # amqp-consume does not tell its command what reply-to says; here it is agreed upon.
    tools.declare("tools-requests", "tools-replies")
    tools.run("publish", "-r", "tools-requests", "-t", "tools-replies", "-b", "41")
    answer = tmp_path / "answer.sh"
    answer.write_text(f'amqp-publish {tools.server} -r tools-replies -b $(expr "$(cat)" + 1)')
    tools.run("consume", "-q", "tools-requests", "-c", 1, "sh", answer)
    assert tools.run("consume", "-q", "tools-replies", "-c", 1, "cat") == b"42"


def test_a_message_that_expires_is_dead_lettered(tools):
    tools.declare("tools-doomed", "tools-graves")
    tools.run("publish", "-r", "tools-doomed", "-p", "-b", "bad")
    assert tools.run("consume", "-q", "tools-graves", "-c", 1, "cat") == b"bad"
    tools.run("delete-queue", "-q", "tools-doomed")


@pytest.mark.timeout(120)
def test_its_library_publishes_with_confirms(gateway, tmp_path):
    build("cc", "-Wall", "-Werror", "-o", tmp_path / "confirms", "c/confirms.c", "-lrabbitmq")
    words = [tmp_path / "confirms", str(gateway.port("amqp"))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, f"confirmed {MESSAGES}\n"), done.stdout + done.stderr
