"""aio-pika: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each."""

import asyncio
import sys

import aio_pika
from aio_pika.patterns import RPC

MESSAGES = 100


async def main(port: int) -> None:
    async with await aio_pika.connect_robust(f"amqp://guest:guest@127.0.0.1:{port}/") as connection:
        async with connection.channel() as channel:
            queue = await channel.declare_queue("clients.aio-pika", durable=True)
            await publish(channel, queue)
            await consume(channel, queue)
        async with connection.channel() as channel:
            await call(channel)
        async with connection.channel() as channel:
            await die(channel)


async def publish(channel, queue) -> None:
    for number in range(MESSAGES):
        message = aio_pika.Message(str(number).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, queue.name)
    print(f"confirmed {MESSAGES}")


async def consume(channel, queue) -> None:
    await channel.set_qos(prefetch_count=10)
    number = 0
    async with queue.iterator(timeout=10) as messages:
        async for message in messages:
            async with message.process():
                assert message.body == str(number).encode(), f"{message.body} at {number}"
            number += 1
            if number == MESSAGES:
                break
    await queue.delete(if_unused=False)
    print(f"consumed {MESSAGES}")


async def call(channel) -> None:
    async def increment(*, number: int) -> int:
        return number + 1

    rpc = await RPC.create(channel)
    await rpc.register("increment", increment, auto_delete=True)
    print(f"answered {await rpc.proxy.increment(number=41)}")


async def die(channel) -> None:
    graves = await channel.declare_queue(exclusive=True)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name}
    work = await channel.declare_queue(exclusive=True, arguments=arguments)
    await channel.default_exchange.publish(aio_pika.Message(b"bad"), work.name)
    doomed = await work.get(timeout=10)
    await doomed.reject(requeue=False)
    async with graves.iterator(timeout=10) as messages:
        async for message in messages:
            await message.ack()
            print(f"died {message.headers['x-first-death-reason']}")
            break


asyncio.run(main(int(sys.argv[1])))
