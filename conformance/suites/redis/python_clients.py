"""redis-py as it is imported here, whichever version that is: `python_clients.py PORT PROTOCOL`."""

import asyncio
import sys
import time

import redis
import redis.asyncio


def listen(pubsub, count: int) -> list[dict]:
    """The next `count` messages, confirmations left out."""
    found, deadline = [], time.monotonic() + 10
    while len(found) < count and time.monotonic() < deadline:
        message = pubsub.get_message(ignore_subscribe_messages=True, timeout=1)
        found += [message] if message else []
    return found


def blocking(port: int, protocol: int) -> None:
    """The blocking client."""
    client = redis.Redis(port=port, protocol=protocol, decode_responses=True)
    pubsub = client.pubsub()
    pubsub.subscribe("py/a")
    pubsub.psubscribe("py/*")
    pubsub.ssubscribe("py/shard")
    confirmed = [pubsub.get_message(timeout=5) for _ in range(3)]
    assert [message["data"] for message in confirmed] == [1, 2, 1], confirmed
    with client.pipeline(transaction=False) as pipeline:
        for number in range(500):
            pipeline.publish("py/a", number)
        assert pipeline.execute() == [2] * 500
    got = listen(pubsub, 1000)
    assert [int(message["data"]) for message in got] == [n // 2 for n in range(1000)]
    pubsub.ping()
    pubsub.unsubscribe()
    pubsub.punsubscribe()
    pubsub.close()
    assert client.set("py/key", "1", ex=10) and client.get("py/key") == "1" and client.delete("py/key") == 1
    client.close()


async def asynchronous(port: int, protocol: int) -> None:
    """The asyncio client, with a listener task, a lost connection and a health check."""
    client = redis.asyncio.Redis(port=port, protocol=protocol, decode_responses=True, health_check_interval=1)
    async with client.pubsub() as pubsub:
        await pubsub.subscribe("py/async")
        assert (await pubsub.get_message(timeout=5))["type"] == "subscribe"
        await pubsub.connection.disconnect()
        for _ in range(500):
            listening = asyncio.create_task(pubsub.get_message(ignore_subscribe_messages=True, timeout=0.2))
            await client.publish("py/async", "again")
            if message := await listening:
                break
        assert message["data"] == "again", "subscribed again after the connection was lost"
    await client.aclose()


blocking(int(sys.argv[1]), int(sys.argv[2]))
asyncio.run(asynchronous(int(sys.argv[1]), int(sys.argv[2])))
print(f"redis-py {redis.__version__} RESP{sys.argv[2]}: ok")
