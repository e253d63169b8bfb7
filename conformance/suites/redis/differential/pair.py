"""The same clients at two servers: each request goes to both, and what comes back is compared.

The real Redis tells how much there is to wait for: it handles one request after the other, so once it has answered two
further PINGs of a bystander, all that the step caused has been written. Busbar is then given time to say as much.
"""

import time

from .wire import Connection

PATIENCE_S = 2.0

# Requests that may wait; none in the grammar waits for longer than 10 ms.
BLOCKING = {b"blpop", b"brpop", b"blmove", b"brpoplpush", b"blmpop"}
BLOCKED_S = 0.05


class Pair:
    """Clients `0..count` of a Redis and of a Busbar."""

    def __init__(self, redis_port: int, busbar_port: int, count: int):
        self.bystander = Connection(redis_port)
        self.other_bystander = Connection(busbar_port)
        self.clients = [(Connection(redis_port), Connection(busbar_port)) for _ in range(count)]
        self.ids = [tuple(int(one.ask(b"CLIENT", b"ID")[1]) for one in both) for both in self.clients]
        for bystander in (self.bystander, self.other_bystander):
            bystander.ask(b"FLUSHALL")

    def step(self, client: int, request: list[bytes]) -> list[tuple[list, list]]:
        """Sends a request; gives for each client the frames from Redis and from Busbar."""
        for connection, own_id in zip(self.clients[client], self.ids[client]):
            connection.send([b"%d" % own_id if argument == b"<id>" else argument for argument in request])
        if request[0].lower() in BLOCKING:
            time.sleep(BLOCKED_S)
        self.bystander.ask(b"PING")
        self.bystander.ask(b"PING")
        received = []
        for redis, _ in self.clients:
            frames = []
            while more := redis.read(0):
                frames += more
            received.append((frames, []))
        deadline = time.monotonic() + PATIENCE_S
        for (redis, busbar), (expected, frames) in zip(self.clients, received):
            while len(frames) < len(expected) or (redis.is_closed and not busbar.is_closed):
                frames += busbar.read(deadline - time.monotonic())
                if time.monotonic() > deadline:
                    break
        return received

    def leftovers(self) -> list[list]:
        """What Busbar has sent beyond what Redis did; empty lists if all is well."""
        time.sleep(0.02)
        return [busbar.read(0) for _, busbar in self.clients]

    def close(self) -> None:
        """Closes all connections."""
        for both in [*self.clients, (self.bystander, self.other_bystander)]:
            for connection in both:
                connection.close()
