"""Applications that need nothing of Redis but pub/sub, unchanged: two servers of each, joined through Busbar."""

import asyncio
import contextlib
from pathlib import Path

import pytest
import socketio
from aiohttp import web
from channels_redis.pubsub import RedisPubSubChannelLayer

from .test_clients import run

NODE = Path(__file__).parent / "node"
PATIENCE_S = 10


@pytest.mark.parametrize("kind", ["classic", "sharded"])
def test_socket_io_adapter(busbar, kind):
    assert "ok" in run("node", NODE / "socket_io.mjs", busbar.port("resp"), kind)


def test_django_channels(busbar):
    asyncio.run(channel_layers(f"redis://127.0.0.1:{busbar.port('resp')}/0"))


async def channel_layers(url: str) -> None:
    """Two processes' layers: a group, a single channel, and a channel that left the group."""
    layers = [RedisPubSubChannelLayer(hosts=[url], prefix="plant") for _ in range(2)]
    names = [await layer.new_channel() for layer in layers]
    for layer, name in zip(layers, names):
        await layer.group_add("line1", name)
    await layers[0].group_send("line1", {"type": "reading", "value": 21.5, "raw": b"\x00\xff"})
    for layer, name in zip(layers, names):
        message = await asyncio.wait_for(layer.receive(name), PATIENCE_S)
        assert message == {"type": "reading", "value": 21.5, "raw": b"\x00\xff"}
    await layers[0].send(names[1], {"type": "direct"})
    assert await asyncio.wait_for(layers[1].receive(names[1]), PATIENCE_S) == {"type": "direct"}
    await layers[1].group_discard("line1", names[1])
    await layers[1].group_send("line1", {"type": "left"})
    assert await asyncio.wait_for(layers[0].receive(names[0]), PATIENCE_S) == {"type": "left"}
    for layer in layers:
        await layer.flush()


def test_python_socketio(busbar):
    asyncio.run(managers(f"redis://127.0.0.1:{busbar.port('resp')}/0"))


async def managers(url: str) -> None:
    """A client at each of two servers, a room across both, and a process that only emits."""
    async with contextlib.AsyncExitStack() as opened:
        ports = [await opened.enter_async_context(socketio_server(url)) for _ in range(2)]
        inboxes = [asyncio.Queue() for _ in ports]
        clients = [await opened.enter_async_context(socketio_client(port, inbox)) for port, inbox in zip(ports, inboxes)]
        for client in clients:
            await client.call("enter", "line1", timeout=PATIENCE_S)
        outside = socketio.AsyncRedisManager(url, write_only=True)
        for room in ("line1", None):
            await outside.emit("news", {"room": room, "raw": b"\x00\xff"}, room=room)
            for inbox in inboxes:
                assert await asyncio.wait_for(inbox.get(), PATIENCE_S) == {"room": room, "raw": b"\x00\xff"}


@contextlib.asynccontextmanager
async def socketio_server(url: str):
    """A server; gives its port."""
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=socketio.AsyncRedisManager(url))

    @server.event
    async def enter(sid, room):
        await server.enter_room(sid, room)
        return True

    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await server.shutdown()
    await runner.cleanup()


@contextlib.asynccontextmanager
async def socketio_client(port: int, inbox: asyncio.Queue):
    """A client that keeps its news."""
    client = socketio.AsyncClient()
    client.on("news", inbox.put)
    await client.connect(f"http://127.0.0.1:{port}")
    yield client
    await client.disconnect()
