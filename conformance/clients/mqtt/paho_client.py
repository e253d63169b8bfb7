"""paho-mqtt for Python, MQTT 5. A second argument is another transport than tcp: websockets; unix, with a path as port."""

import queue
import sys

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

TRANSPORT = sys.argv[2] if len(sys.argv) > 2 else "tcp"
# A Unix socket has a path and no port; paho wants one all the same.
HOST, PORT = (sys.argv[1], 1883) if TRANSPORT == "unix" else ("127.0.0.1", int(sys.argv[1]))
PATIENCE_S = 10


class Client:
    """A connected client whose messages wait in `inbox`."""

    def __init__(self, client_id, clean=True, expiry_s=0, will=None):
        self.inbox, self._events = queue.Queue(), queue.Queue()
        self.paho = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=paho.MQTTv5,
                                transport=TRANSPORT, reconnect_on_failure=False)
        if will:
            self.paho.will_set(will, b"gone", 1)
        self.paho.on_connect = lambda _c, _d, flags, reason, _p: self._events.put((flags, reason))
        self.paho.on_subscribe = lambda _c, _d, _mid, codes, _p: self._events.put(codes)
        self.paho.on_message = lambda _c, _d, message: self.inbox.put(message)
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = expiry_s
        self.paho.connect(HOST, PORT, clean_start=clean, properties=properties)
        self.paho.loop_start()
        flags, reason = self._events.get(timeout=PATIENCE_S)
        assert not reason.is_failure, reason
        self.is_resumed = flags.session_present

    def subscribe(self, topic_filter, qos):
        self.paho.subscribe(topic_filter, qos)
        (code,) = self._events.get(timeout=PATIENCE_S)
        assert code.value == qos, code

    def publish(self, topic, payload, qos, retain=False, properties=None):
        self.paho.publish(topic, payload, qos, retain, properties).wait_for_publish(PATIENCE_S)

    def receive(self):
        return self.inbox.get(timeout=PATIENCE_S)

    def close(self):
        self.paho.disconnect()
        self.paho.loop_stop()

    def lose(self):
        """The connection ends without DISCONNECT."""
        self.paho.loop_stop()
        self.paho.socket().close()


def main():
    client, other = Client("paho-a"), Client("paho-b")
    print("ok connect")
    for qos in (0, 1, 2):
        client.subscribe(f"paho/qos{qos}", qos)
        other.publish(f"paho/qos{qos}", b"x", qos)
        message = client.receive()
        assert (message.payload, message.qos, message.retain) == (b"x", qos, False)
        print(f"ok qos{qos}")
    other.publish("paho/retained", b"kept", 1, retain=True)
    client.subscribe("paho/retained", 1)
    message = client.receive()
    assert (message.payload, message.retain) == (b"kept", True)
    print("ok retained")
    client.subscribe("paho/will", 1)
    Client("paho-will", will="paho/will").lose()
    assert client.receive().payload == b"gone"
    print("ok will")
    sleeper = Client("paho-session", clean=False, expiry_s=60)
    sleeper.subscribe("paho/away", 1)
    sleeper.close()
    other.publish("paho/away", b"while away", 1)
    sleeper = Client("paho-session", clean=False, expiry_s=60)
    assert sleeper.is_resumed and sleeper.receive().payload == b"while away"
    sleeper.close()
    print("ok resume")
    for member in (client, other):
        member.subscribe("$share/group/paho/shared", 1)
    publisher = Client("paho-c")
    for number in range(10):
        publisher.publish("paho/shared", b"%d" % number, 1)
    got = [client.receive().payload for _ in range(5)] + [other.receive().payload for _ in range(5)]
    assert sorted(got) == [b"%d" % number for number in range(10)]
    print("ok shared")
    client.subscribe("paho/request", 1)
    other.subscribe("paho/answer", 1)
    asks = Properties(PacketTypes.PUBLISH)
    asks.ResponseTopic, asks.CorrelationData = "paho/answer", b"7"
    other.publish("paho/request", b"6*7", 1, properties=asks)
    request = client.receive()
    answers = Properties(PacketTypes.PUBLISH)
    answers.CorrelationData = request.properties.CorrelationData
    client.publish(request.properties.ResponseTopic, b"42", 1, properties=answers)
    answer = other.receive()
    assert (answer.payload, answer.properties.CorrelationData) == (b"42", b"7")
    print("ok request_response")


main()
