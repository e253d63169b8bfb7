"""A peer's two ends of plain datagrams: `hear()` yields what a group is sent, `say(bytes)` sends to a group.

    command line of every peer: hear-group hear-port say-group say-port

The system's routes say by which interface, or the environment does: `PEER_INTERFACE=127.0.0.1`.
"""

import json
import os
import socket
import struct
import sys
import threading

INTERFACE = socket.inet_aton(os.environ.get("PEER_INTERFACE", "0.0.0.0"))
HEAR, SAY = (sys.argv[1], int(sys.argv[2])), (sys.argv[3], int(sys.argv[4]))


def hear():
    """What the group is sent."""
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(HEAR)
    membership = struct.pack("4s4s", socket.inet_aton(HEAR[0]), INTERFACE)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    print("ready", flush=True)
    while True:
        yield receiver.recv(65536)


def say(datagram: bytes) -> None:
    """Sends to the other group."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, INTERFACE)
        sender.sendto(datagram, SAY)


def heard(topic, body: bytes, **more) -> None:
    """Tells the test what was heard."""
    print(json.dumps({"topic": topic, "body": body.decode(), **more}), flush=True)


def on_order(send) -> None:
    """Calls `send(topic, body)` for each message that the test wants sent."""

    def read():
        for line in sys.stdin:
            order = json.loads(line)
            send(order["topic"], order["body"].encode())

    threading.Thread(target=read, daemon=True).start()
