"""A receiver of rlan, written from docs/rlan.md alone: `rlan.py GROUP PORT OWN_ADDRESS KEY_ID:KEY_HEX`.

It prints `ready`, and for each message a line of JSON. It takes no snapshots ("a receiver that cannot ask")."""

import hashlib
import hmac
import json
import os
import random
import select
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

HEADER, NONCE, DATA, HEARTBEAT, NAK, GONE, COOKIE = struct.Struct("!2sBBBBHQIQ"), struct.Struct("!IQ"), 1, 2, 3, 4, 7
GROUP, PORT, OWN, KEY = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
KEY_ID, SECRET = int(KEY.split(":")[0]), bytes.fromhex(KEY.split(":")[1])
ORIGIN, EPOCH = struct.unpack("!Q", os.urandom(8))[0], 1


def cipher(origin, epoch):
    return ChaCha20Poly1305(hmac.digest(SECRET, b"rlan1" + struct.pack("!QI", origin, epoch), hashlib.sha256))


class Stream:
    """What one origin sends."""

    def __init__(self, epoch, first):
        self.epoch, self.expected, self.highest = epoch, first, first - 1
        self.held, self.block, self.cookie, self.address = {}, None, bytes(16), None
        self.seen, self.top, self.due, self.wait = set(), 0, None, 0.01

    def is_replay(self, number):
        if number in self.seen or number + 1024 <= self.top:
            return True
        self.seen.add(number)
        self.top = max(self.top, number)
        self.seen = {one for one in self.seen if one + 1024 > self.top}
        return False

    def data(self, number, flags, body):
        self.highest = max(self.highest, number)
        if self.expected <= number < self.expected + 8192:
            self.held.setdefault(number, (flags, body))
        self.advance()

    def advance(self):
        while self.expected in self.held:
            flags, body = self.held.pop(self.expected)
            self.expected, self.wait = self.expected + 1, 0.01
            self.due = self.due and min(self.due, time.monotonic() + 0.015)
            if flags & 1:
                self.block = b""
            if self.block is not None:
                self.block += body
                if flags & 2:
                    deliver(self.block)
                    self.block = None
        if self.expected > self.highest:
            self.due = None
        elif self.due is None:
            self.due = time.monotonic() + random.uniform(0.001, 0.003)

    def gone(self, following):
        if following > self.expected:
            self.expected, self.block = following, None
            self.held = {number: part for number, part in self.held.items() if number >= following}
        self.advance()

    def missing(self):
        window = range(self.expected, min(self.highest, self.expected + 8191) + 1)
        lacking = [number for number in window if number not in self.held][:256]
        starts = [number for number in lacking if number - 1 not in lacking][:32]
        ends = [number for number in lacking if number + 1 not in lacking][:32]
        return list(zip(starts, ends))


def deliver(block):
    while block:
        length = struct.unpack_from("!I", block)[0]
        message, block = block[4 : 4 + length], block[4 + length :]
        flags = message[9]
        at = 14 if flags & 2 else 10
        topic_end = at + 2 + struct.unpack_from("!H", message, at)[0]
        payload_at = topic_end + 4 + struct.unpack_from("!I", message, topic_end)[0]
        topic, payload = message[at + 2 : topic_end].decode(), message[payload_at:]
        print(json.dumps({"topic": topic, "body": payload.decode("latin-1")}), flush=True)


def nak(own, stream, origin, number):
    ranges = b"".join(struct.pack("!QQ", *it) for it in stream.missing())
    head = HEADER.pack(b"RL", 1, NAK, 0, KEY_ID, 0, ORIGIN, EPOCH, number)
    body = struct.pack("!QI", origin, stream.epoch) + stream.cookie + ranges
    own.sendto(head + cipher(ORIGIN, EPOCH).encrypt(NONCE.pack(1, number), body, head), stream.address)
    stream.due, stream.wait = time.monotonic() + stream.wait * random.uniform(1, 1.5), min(stream.wait * 2, 0.2)


def take(streams, datagram, address):
    if len(datagram) < HEADER.size + 16:
        return
    magic, version, kind, flags, key, reserved, origin, epoch, number = HEADER.unpack_from(datagram)
    stream = streams.get(origin)
    if (magic, version, key, reserved) != (b"RL", 1, KEY_ID, 0) or origin == ORIGIN or (
        stream and epoch < stream.epoch
    ):
        return
    try:
        body = cipher(origin, epoch).decrypt(NONCE.pack(kind != DATA, number), datagram[HEADER.size :], datagram[: HEADER.size])
    except InvalidTag:
        return
    if not stream or epoch > stream.epoch:
        if kind not in (DATA, HEARTBEAT):
            return
        first = number if kind == DATA else struct.unpack_from("!Q", body)[0] + 1
        stream = streams[origin] = Stream(epoch, 1 if stream or first <= 64 else first)
    stream.address = address
    if kind != DATA and stream.is_replay(number):
        return
    if kind == DATA:
        stream.data(number, flags, body)
    elif kind == HEARTBEAT:
        highest, oldest = struct.unpack("!QQ", body)
        stream.highest = max(stream.highest, highest)
        stream.gone(oldest)
    elif kind == GONE:
        stream.gone(min(struct.unpack("!Q", body)[0], stream.highest + 1))
    elif kind == COOKIE and body != stream.cookie:
        stream.cookie, stream.due = body, stream.due and 0


group, own, streams, number = (*(socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)), {}, 0)
group.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
group.bind((GROUP, PORT))
group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(OWN))
own.bind((OWN, 0))
print("ready", flush=True)
while True:
    for ready in select.select([group, own], [], [], 0.002)[0]:
        take(streams, *ready.recvfrom(65536))
    for origin, stream in streams.items():
        if stream.due is not None and stream.due <= time.monotonic():
            number += 1
            nak(own, stream, origin, number)
