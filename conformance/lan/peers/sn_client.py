"""An MQTT-SN 1.2 client: PyPI's mqtt-sn-12, which was made beside EMQX and HiveMQ Edge.

    command line: gateway-address gateway-port client-id

Orders are `{"call": method, "arguments": [...]}`; each is answered by `{"did": method}`. Messages that arrive are lines too.
"""

import json
import select
import sys

from mqttsn12.client.MqttSnClient import MqttSnClient, MqttSnListener

TIMEOUT_S = 5


class Listener(MqttSnListener):
    """Tells the test what arrives."""

    def message_arrived(self, msg):
        """Called by the library."""
        qos = msg.get_qos()
        heard = {"topic": msg.get_topic_name(), "id": msg.get_topic_id(), "body": msg.get_payload().decode()}
        print(json.dumps(heard | {"qos": qos, "retain": bool(msg.get_retain())}), flush=True)


def main() -> None:
    """Follows orders, and listens meanwhile."""
    client, listener = MqttSnClient(), Listener()
    client.set_timeout(TIMEOUT_S)
    client.set_client_id(sys.argv[3])
    client.open(sys.argv[1], int(sys.argv[2]))
    print("ready", flush=True)
    is_connected = False
    while True:
        if not select.select([sys.stdin], [], [], 0.02)[0]:
            if is_connected:
                client.polling()
            continue
        line = sys.stdin.readline()
        if not line:
            return
        order = json.loads(line)
        arguments = [part.encode() if name == "data" else part for name, part in order["arguments"].items()]
        if "subscribe" in order["call"] and "un" not in order["call"]:
            arguments.append(listener)
        getattr(client, order["call"])(*arguments)
        is_connected = is_connected or order["call"] == "send_connect"
        print(json.dumps({"did": order["call"]}), flush=True)


main()
