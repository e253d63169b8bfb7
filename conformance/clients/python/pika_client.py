"""pika: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each."""

import sys

import pika

MESSAGES = 100
QUEUE = "clients.pika"


def main(port: int) -> None:
    connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
    channel = connection.channel()
    publish(channel)
    consume(channel)
    call(connection)
    die(channel)
    connection.close()


def publish(channel) -> None:
    channel.queue_declare(QUEUE, durable=True)
    channel.confirm_delivery()
    for number in range(MESSAGES):
        channel.basic_publish("", QUEUE, str(number), pika.BasicProperties(delivery_mode=2), mandatory=True)
    print(f"confirmed {MESSAGES}")


def consume(channel) -> None:
    channel.basic_qos(prefetch_count=10)
    for number, (method, _, body) in enumerate(channel.consume(QUEUE, inactivity_timeout=10)):
        assert body == str(number).encode(), f"{body} at {number}"
        channel.basic_ack(method.delivery_tag)
        if number == MESSAGES - 1:
            break
    channel.cancel()
    channel.queue_delete(QUEUE)
    print(f"consumed {MESSAGES}")


def call(connection) -> None:
    server, client, answers = connection.channel(), connection.channel(), []
    requests = server.queue_declare("", exclusive=True).method.queue

    def answer(channel, _, properties, body):
        channel.basic_publish("", properties.reply_to, str(int(body) + 1))

    server.basic_consume(requests, answer, auto_ack=True)
    client.basic_consume("amq.rabbitmq.reply-to", lambda *heard: answers.append(heard[-1]), auto_ack=True)
    client.basic_publish("", requests, "41", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    while not answers:
        connection.process_data_events(time_limit=10)
    print(f"answered {answers[0].decode()}")


def die(channel) -> None:
    graves = channel.queue_declare("", exclusive=True).method.queue
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves}
    work = channel.queue_declare("", exclusive=True, arguments=arguments).method.queue
    channel.basic_publish("", work, "bad")
    method, _, _ = next(channel.consume(work, inactivity_timeout=10))
    channel.basic_reject(method.delivery_tag, requeue=False)
    channel.cancel()
    _, properties, _ = next(channel.consume(graves, inactivity_timeout=10))
    print(f"died {properties.headers['x-first-death-reason']}")
    channel.cancel()


main(int(sys.argv[1]))
