"""Redis as applications use it, by redis-py in RESP2 and RESP3, and exact bytes on a plain socket."""

import socket
import subprocess
import uuid

import pytest
import redis

from support.resp import connect

both_protocols = pytest.mark.parametrize("protocol", [2, 3], ids=["resp2", "resp3"])


def unique() -> str:
    """A channel that no other test uses."""
    return f"hall/{uuid.uuid4().hex[:8]}"


class Raw:
    """A plain socket."""

    def __init__(self, gateway):
        self.socket = socket.create_connection(("127.0.0.1", gateway.port("resp")), timeout=5)

    def send(self, text: str) -> None:
        """Sends text with `|` for CR LF."""
        self.socket.sendall(text.replace("|", "\r\n").encode())

    def expect(self, text: str) -> None:
        """Reads exactly this, with `|` for CR LF."""
        wanted, got = text.replace("|", "\r\n").encode(), b""
        while len(got) < len(wanted):
            chunk = self.socket.recv(len(wanted) - len(got))
            assert chunk, f"closed after {got!r}"
            got += chunk
        assert got == wanted

    def line(self) -> str:
        """Reads one line."""
        line = b""
        while not line.endswith(b"\r\n"):
            byte = self.socket.recv(1)
            assert byte, f"closed after {line!r}"
            line += byte
        return line.decode()

    def expect_closed(self) -> None:
        """Reads the end of the connection."""
        assert self.socket.recv(1) == b""


@pytest.fixture
def raw(gateway):
    """A plain socket to the Redis port."""
    opened = Raw(gateway)
    yield opened
    opened.socket.close()


class TestClient:
    @both_protocols
    def test_subscribe_publish_unsubscribe(self, gateway, protocol):
        client, channel = connect(gateway, protocol), unique()
        pubsub = client.pubsub()
        pubsub.subscribe(channel)
        pubsub.psubscribe(channel + "*")
        assert [pubsub.get_message(timeout=5)["type"] for _ in range(2)] == ["subscribe", "psubscribe"]
        assert client.publish(channel, b"x") == 2
        got = [pubsub.get_message(timeout=5) for _ in range(2)]
        assert [message["type"] for message in got] == ["message", "pmessage"]
        assert got[1]["pattern"] == (channel + "*").encode()
        pubsub.unsubscribe()
        pubsub.punsubscribe()
        assert [pubsub.get_message(timeout=5)["data"] for _ in range(2)] == [1, 0]
        assert client.publish(channel, b"x") == 0
        pubsub.close()
        client.close()

    @both_protocols
    def test_pubsub_introspection(self, gateway, protocol):
        client, channel = connect(gateway, protocol), unique()
        pubsub = client.pubsub()
        before = client.pubsub_numpat()
        pubsub.subscribe(channel, channel + "2")
        pubsub.psubscribe(channel + "*")
        for _ in range(3):
            pubsub.get_message(timeout=5)
        assert sorted(client.pubsub_channels(channel + "*")) == [channel.encode(), (channel + "2").encode()]
        assert client.pubsub_numsub(channel, "nobody") == [(channel.encode(), 1), (b"nobody", 0)]
        assert client.pubsub_numpat() == before + 1
        pubsub.close()
        client.close()

    @both_protocols
    def test_connection_commands(self, gateway, protocol):
        client = connect(gateway, protocol)
        assert client.ping() is True
        assert client.execute_command("ECHO", "hello") == b"hello"
        assert client.client_setname("smoke") in (True, b"OK")
        assert client.client_getname() in ("smoke", b"smoke")
        assert client.client_id() > 0
        assert any(entry["name"] == "smoke" for entry in client.client_list())
        assert client.info("server")["redis_version"]
        assert client.time()[0] > 0
        client.close()

    @both_protocols
    def test_transactions(self, gateway, protocol):
        client, channel = connect(gateway, protocol), unique()
        with client.pipeline(transaction=True) as pipeline:
            pipeline.publish(channel, "1")
            pipeline.ping()
            assert pipeline.execute() == [0, True]
        client.close()

    @both_protocols
    def test_an_unknown_command_is_answered(self, gateway, protocol):
        client = connect(gateway, protocol)
        with pytest.raises(redis.ResponseError, match="unknown command 'NOSUCH', with args beginning with: 'a' "):
            client.execute_command("NOSUCH", "a")
        assert client.ping() is True
        client.close()

    @both_protocols
    def test_a_wrong_password_is_refused(self, gateway, protocol):
        with pytest.raises(redis.AuthenticationError):
            connect(gateway, protocol, username="guest", password="wrong").ping()

    def test_redis_cli(self, gateway):
        def cli(*words: str) -> str:
            command = ["redis-cli", "-p", str(gateway.port("resp")), *words]
            return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

        assert cli("PING") == "PONG"
        assert cli("-3", "PUBLISH", unique(), "x") == "0"


class TestResp2:
    def test_subscribe_replies_and_deliveries(self, gateway, raw):
        channel = unique()
        size = len(channel)
        raw.send(f"*3|$9|SUBSCRIBE|${size}|{channel}|$1|b|")
        raw.expect(f"*3|$9|subscribe|${size}|{channel}|:1|*3|$9|subscribe|$1|b|:2|")
        other = connect(gateway)
        assert other.publish(channel, "x") == 1
        other.close()
        raw.expect(f"*3|$7|message|${size}|{channel}|$1|x|")
        raw.send("*1|$4|PING|*2|$4|PING|$1|x|")
        raw.expect("*2|$4|pong|$0||*2|$4|pong|$1|x|")
        raw.send("*3|$7|PUBLISH|$1|a|$1|x|")
        error = raw.line()
        assert error.startswith("-ERR Can't execute 'publish': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT")
        raw.send("*1|$11|UNSUBSCRIBE|")
        raw.expect("*3|$11|unsubscribe|$")

    def test_unsubscribe_from_nothing(self, raw):
        raw.send("*1|$11|UNSUBSCRIBE|*2|$12|PUNSUBSCRIBE|$1|x|")
        raw.expect("*3|$11|unsubscribe|$-1|:0|*3|$12|punsubscribe|$1|x|:0|")

    def test_inline_commands_and_quit(self, raw):
        raw.send("PING|  ECHO 'a b'|QUIT|")
        raw.expect("+PONG|$3|a b|+OK|")
        raw.expect_closed()

    def test_protocol_errors_close(self, raw):
        raw.send("*1|!4|PING|")
        raw.expect("-ERR Protocol error: expected '$', got '!'|")
        raw.expect_closed()

    def test_wrong_numbers_of_arguments(self, raw):
        raw.send("*1|$7|PUBLISH|*1|$9|SUBSCRIBE|")
        raw.expect("-ERR wrong number of arguments for 'publish' command|")
        raw.expect("-ERR wrong number of arguments for 'subscribe' command|")

    def test_pipelined_publishes_are_answered_in_order(self, raw):
        raw.send("*3|$7|PUBLISH|$6|hall/x|$1|x|" * 500 + "*1|$4|PING|")
        raw.expect(":0|" * 500 + "+PONG|")

    def test_shard_channels_are_their_own(self, raw, gateway):
        channel = unique()
        raw.send(f"*2|$10|SSUBSCRIBE|${len(channel)}|{channel}|")
        raw.expect(f"*3|$10|ssubscribe|${len(channel)}|{channel}|:1|")
        other = connect(gateway)
        assert other.publish(channel, "x") == 0
        assert other.execute_command("SPUBLISH", channel, "x") == 1
        other.close()
        raw.expect(f"*3|$8|smessage|${len(channel)}|{channel}|$1|x|")


class TestResp3:
    def test_hello_gives_a_map_and_pushes(self, gateway, raw):
        channel = unique()
        raw.send("*2|$5|HELLO|$1|3|")
        raw.expect("%7|$6|server|$5|redis|$7|version|$")
        raw.socket.settimeout(1)
        while not raw.socket.recv(4096).endswith(b"$7\r\nmodules\r\n*0\r\n"):
            pass
        raw.socket.settimeout(5)
        raw.send(f"*2|$9|SUBSCRIBE|${len(channel)}|{channel}|*1|$4|PING|")
        raw.expect(f">3|$9|subscribe|${len(channel)}|{channel}|:1|+PONG|")

    def test_an_unknown_protocol_version(self, raw):
        raw.send("*2|$5|HELLO|$1|4|")
        raw.expect("-NOPROTO unsupported protocol version|")

    def test_hello_with_credentials(self, raw):
        raw.send("*5|$5|HELLO|$1|3|$4|AUTH|$5|guest|$5|wrong|")
        raw.expect("-WRONGPASS invalid username-password pair or user is disabled.|")

    def test_reset(self, raw):
        raw.send("*2|$9|SUBSCRIBE|$1|a|*1|$5|RESET|*1|$4|PING|")
        raw.expect("*3|$9|subscribe|$1|a|:1|+RESET|+PONG|")
