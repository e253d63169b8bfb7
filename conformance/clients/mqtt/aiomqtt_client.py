"""aiomqtt, MQTT 5."""

import asyncio
import sys

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PORT = int(sys.argv[1])
PATIENCE_S = 10


def connection(client_id, clean=True, expiry_s=0, will=None):
    """A client that is not connected yet."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = expiry_s
    return aiomqtt.Client("127.0.0.1", PORT, identifier=client_id, protocol=aiomqtt.ProtocolVersion.V5,
                          clean_start=clean, properties=properties, will=will)


async def receive(client):
    return await asyncio.wait_for(anext(client.messages), PATIENCE_S)


async def main():
    async with connection("aiomqtt-a") as client, connection("aiomqtt-b") as other:
        print("ok connect")
        await talk(client, other)
        await resume(other)
        await share(client, other)
        await ask(client, other)


async def talk(client, other):
    for qos in (0, 1, 2):
        await client.subscribe(f"aiomqtt/qos{qos}", qos)
        await other.publish(f"aiomqtt/qos{qos}", b"x", qos)
        message = await receive(client)
        assert (message.payload, message.qos, message.retain) == (b"x", qos, False)
        print(f"ok qos{qos}")
    await other.publish("aiomqtt/retained", b"kept", 1, retain=True)
    await client.subscribe("aiomqtt/retained", 1)
    message = await receive(client)
    assert (message.payload, message.retain) == (b"kept", True)
    print("ok retained")
    await client.subscribe("aiomqtt/will", 1)
    # A second client of the same identifier ends the first, whose will is then due.
    first = connection("aiomqtt-will", will=aiomqtt.Will("aiomqtt/will", b"gone", 1))
    await first.__aenter__()
    async with connection("aiomqtt-will"):
        assert (await receive(client)).payload == b"gone"
    try:
        await first.__aexit__(None, None, None)
    except aiomqtt.MqttError:
        pass  # it has noticed
    print("ok will")


async def resume(other):
    async with connection("aiomqtt-session", clean=False, expiry_s=60) as sleeper:
        await sleeper.subscribe("aiomqtt/away", 1)
    await other.publish("aiomqtt/away", b"while away", 1)
    async with connection("aiomqtt-session", clean=False, expiry_s=60) as sleeper:
        assert (await receive(sleeper)).payload == b"while away"
    print("ok resume")


async def share(client, other):
    for member in (client, other):
        await member.subscribe("$share/group/aiomqtt/shared", 1)
    async with connection("aiomqtt-c") as publisher:
        for number in range(10):
            await publisher.publish("aiomqtt/shared", b"%d" % number, 1)
    got = [(await receive(member)).payload for member in (client, other) for _ in range(5)]
    assert sorted(got) == [b"%d" % number for number in range(10)]
    print("ok shared")


async def ask(client, other):
    await client.subscribe("aiomqtt/request", 1)
    await other.subscribe("aiomqtt/answer", 1)
    asks = Properties(PacketTypes.PUBLISH)
    asks.ResponseTopic, asks.CorrelationData = "aiomqtt/answer", b"7"
    await other.publish("aiomqtt/request", b"6*7", 1, properties=asks)
    request = await receive(client)
    answers = Properties(PacketTypes.PUBLISH)
    answers.CorrelationData = request.properties.CorrelationData
    await client.publish(request.properties.ResponseTopic, b"42", 1, properties=answers)
    answer = await receive(other)
    assert (answer.payload, answer.properties.CorrelationData) == (b"42", b"7")
    print("ok request_response")


asyncio.run(main())
