"""A switch that loses, repeats and holds back UDP datagrams, as a seed says: `wire.py INTERFACE...`, one per port.

It prints `ready`, and takes orders as lines of JSON: `{"loss": 0.2, "seed": 3}`. Each receiver of a datagram has luck of
its own; with any loss, five datagrams of a hundred come twice and ten are held back for up to 5 ms, so that later ones
overtake them. What is no UDP (ARP, IGMP) passes unharmed. An answer, `{"lost": n, "repeated": n, "held": n}`, says what
was done since the order before.
"""

import heapq
import itertools
import json
import random
import select
import socket
import sys
import time

SOL_PACKET, PACKET_VNET_HDR, PACKET_IGNORE_OUTGOING = 263, 15, 23
ALL_PROTOCOLS = socket.htons(3)
# The kernel's word on checksums that the network card would fill in; it goes before each frame, both ways.
VNET_HEADER = 10
REPEATED, HELD, HOLD_S = 0.05, 0.10, 0.005


def port(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, ALL_PROTOCOLS)
    opened.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    opened.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    opened.bind((interface, 0))
    return opened


def is_udp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == socket.IPPROTO_UDP


class Wire:
    def __init__(self, ports: list[socket.socket]):
        self.ports, self.by_address, self.waiting, self.order = ports, {}, [], itertools.count()
        self.obey({"loss": 0, "seed": 0})

    def obey(self, order: dict) -> None:
        self.loss, self.luck = order["loss"], random.Random(order["seed"])
        self.counts = {"lost": 0, "repeated": 0, "held": 0}

    def take(self, source: socket.socket) -> None:
        packet = source.recv(1 << 17)
        frame = packet[VNET_HEADER:]
        self.by_address[frame[6:12]] = source
        known = self.by_address.get(frame[:6])
        targets = [known] if known else [target for target in self.ports if target is not source]
        for target in targets:
            if self.loss and is_udp(frame):
                self.mistreat(target, packet)
            else:
                target.send(packet)

    def mistreat(self, target: socket.socket, packet: bytes) -> None:
        if self.luck.random() < self.loss:
            self.counts["lost"] += 1
            return
        is_held, is_repeated = self.luck.random() < HELD, self.luck.random() < REPEATED
        self.counts["held"] += is_held
        self.counts["repeated"] += is_repeated
        for held in [is_held, True][: 1 + is_repeated]:
            due = time.monotonic() + (self.luck.uniform(0, HOLD_S) if held else 0)
            heapq.heappush(self.waiting, (due, next(self.order), target, packet))

    def let_go(self) -> float:
        """Sends what is due; returns for how long nothing more is."""
        while self.waiting:
            left = self.waiting[0][0] - time.monotonic()
            if left > 0:
                return left
            _, _, target, packet = heapq.heappop(self.waiting)
            target.send(packet)
        return 1


def main() -> None:
    wire = Wire([port(interface) for interface in sys.argv[1:]])
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([*wire.ports, sys.stdin], [], [], wire.let_go())
        for source in ready:
            if source is not sys.stdin:
                wire.take(source)
                continue
            line = sys.stdin.readline()
            if not line:
                return
            print(json.dumps(wire.counts), flush=True)
            wire.obey(json.loads(line))


main()
