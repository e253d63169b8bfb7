"""MQTT-SN 1.2 packet by packet, in scapy's codec: an order is a packet's name and fields, and what arrives is told the
same way, so that a field that either side puts elsewhere is seen.

    command line: gateway-address gateway-port group
"""

import json
import os
import socket
import struct
import sys
import threading

from scapy.contrib import mqttsn

GATEWAY, GROUP = (sys.argv[1], int(sys.argv[2])), sys.argv[3]
INTERFACE = socket.inet_aton(os.environ.get("PEER_INTERFACE", "0.0.0.0"))


def own_socket() -> socket.socket:
    """What a device has: it may also ask everybody."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, INTERFACE)
    return opened


def network_socket() -> socket.socket:
    """Where gateways tell of themselves."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    opened.bind((GROUP, GATEWAY[1]))
    membership = struct.pack("4s4s", socket.inet_aton(GROUP), INTERFACE)
    opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    return opened


def tell(receiver: socket.socket, by: str) -> None:
    """Tells the test what arrives."""
    while True:
        datagram, (address, port) = receiver.recvfrom(65536)
        packet = mqttsn.MQTTSN(datagram)
        assert packet.len == len(datagram), datagram
        body = packet.payload
        fields = {name: value.decode() if isinstance(value, bytes) else value for name, value in body.fields.items()}
        # A packet of two bytes is no payload to scapy, which knows its type all the same.
        kind = packet.guess_payload_class(b"").__name__.removeprefix("MQTTSN")
        words = {"packet": kind, "by": by, "from": [address, port]}
        print(json.dumps(words | fields), flush=True)


def main() -> None:
    """Follows orders."""
    own = own_socket()
    for receiver, by in [(own, "unicast"), (network_socket(), "group")]:
        threading.Thread(target=tell, args=(receiver, by), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        packet = getattr(mqttsn, "MQTTSN" + order["packet"])(**order["fields"])
        own.sendto(bytes(mqttsn.MQTTSN() / packet), (order["to"] or GATEWAY[0], GATEWAY[1]))


main()
