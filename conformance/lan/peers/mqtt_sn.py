"""MQTT-SN 1.2 by scapy's codec."""

import datagrams
from scapy.contrib.mqttsn import MQTTSN, MQTTSNPublish


def say(topic: str, body: bytes) -> None:
    """QoS -1 with a predefined id, or a name of two bytes."""
    if topic.isdigit():
        publish = MQTTSNPublish(qos=3, tid_type=1, tid=int(topic), data=body)
    else:
        publish = MQTTSNPublish(qos=3, tid_type=2, tid=int.from_bytes(topic.encode()), data=body)
    datagrams.say(bytes(MQTTSN() / publish))


datagrams.on_order(say)
for datagram in datagrams.hear():
    packet = MQTTSN(datagram)
    publish = packet[MQTTSNPublish]
    assert (packet.len, publish.qos, publish.mid) == (len(datagram), 3, 0)
    datagrams.heard(f"{publish.tid_type}:{publish.tid}", publish.data, retain=publish.retain)
