"""gmqtt, MQTT 5."""

import asyncio
import sys

import gmqtt

PORT = int(sys.argv[1])
PATIENCE_S = 10


class Client:
    """A connected client whose messages wait in `inbox`."""

    def __init__(self, client_id, clean=True, expiry_s=0, will=None):
        will = gmqtt.Message(will, b"gone", qos=1) if will else None
        self.inbox, self._subscribed = asyncio.Queue(), asyncio.Queue()
        self.gmqtt = gmqtt.Client(client_id, clean_session=clean, session_expiry_interval=expiry_s, will_message=will)
        # No retry is still one reconnect, which would take the session over from who took it.
        self.gmqtt.set_config({"reconnect_retries": 0, "reconnect_delay": 60})
        self.gmqtt.on_message = self._received
        self.gmqtt.on_subscribe = lambda _c, _mid, codes, _p: self._subscribed.put_nowait(codes)

    async def connect(self):
        await self.gmqtt.connect("127.0.0.1", PORT)
        return self

    def _received(self, _client, topic, payload, qos, properties):
        self.inbox.put_nowait((topic, payload, qos, properties))
        return 0

    async def subscribe(self, topic_filter, qos):
        self.gmqtt.subscribe(topic_filter, qos=qos)
        assert list(await asyncio.wait_for(self._subscribed.get(), PATIENCE_S)) == [qos]

    async def receive(self):
        return await asyncio.wait_for(self.inbox.get(), PATIENCE_S)


async def main():
    client, other = await Client("gmqtt-a").connect(), await Client("gmqtt-b").connect()
    print("ok connect")
    for qos in (0, 1, 2):
        await client.subscribe(f"gmqtt/qos{qos}", qos)
        other.gmqtt.publish(f"gmqtt/qos{qos}", b"x", qos=qos)
        _, payload, got, properties = await client.receive()
        assert (payload, got, properties["retain"]) == (b"x", qos, 0)
        print(f"ok qos{qos}")
    # Both ways on one connection: the value is retained before the filter is there.
    client.gmqtt.publish("gmqtt/retained", b"kept", qos=1, retain=True)
    await client.subscribe("gmqtt/retained", 1)
    _, payload, _, properties = await client.receive()
    assert (payload, properties["retain"]) == (b"kept", 1)
    print("ok retained")
    await client.subscribe("gmqtt/will", 1)
    # A second client of the same identifier ends the first, whose will is then due.
    await Client("gmqtt-will", will="gmqtt/will").connect()
    second = await Client("gmqtt-will").connect()
    assert (await client.receive())[1] == b"gone"
    await second.gmqtt.disconnect()
    print("ok will")
    sleeper = await Client("gmqtt-session", clean=False, expiry_s=60).connect()
    await sleeper.subscribe("gmqtt/away", 1)
    await sleeper.gmqtt.disconnect()
    client.gmqtt.publish("gmqtt/away", b"while away", qos=1)
    await client.subscribe("gmqtt/barrier", 0)  # its SUBACK comes after the publish was taken
    sleeper = await Client("gmqtt-session", clean=False, expiry_s=60).connect()
    assert (await sleeper.receive())[1] == b"while away"
    await sleeper.gmqtt.disconnect()
    print("ok resume")
    for member in (client, other):
        await member.subscribe("$share/group/gmqtt/shared", 1)
    publisher = await Client("gmqtt-c").connect()
    for number in range(10):
        publisher.gmqtt.publish("gmqtt/shared", b"%d" % number, qos=1)
    got = [(await member.receive())[1] for member in (client, other) for _ in range(5)]
    assert sorted(got) == [b"%d" % number for number in range(10)]
    print("ok shared")
    await client.subscribe("gmqtt/request", 1)
    await other.subscribe("gmqtt/answer", 1)
    other.gmqtt.publish("gmqtt/request", b"6*7", qos=1, response_topic="gmqtt/answer", correlation_data=b"7")
    properties = (await client.receive())[3]
    client.gmqtt.publish(properties["response_topic"][0], b"42", qos=1,
                         correlation_data=properties["correlation_data"][0])
    _, payload, _, properties = await other.receive()
    assert (payload, properties["correlation_data"][0]) == (b"42", b"7")
    print("ok request_response")
    for one in (client, other, publisher):
        await one.gmqtt.disconnect()


asyncio.run(main())
