"""kombu: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each."""

import sys

import kombu

MESSAGES = 100


def main(port: int) -> None:
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    with kombu.Connection(url, transport_options={"confirm_publish": True}) as connection:
        work(connection)
        call(connection)
        die(connection)


def work(connection) -> None:
    queue = kombu.Queue("clients.kombu", kombu.Exchange("clients.kombu", "direct"), "work")
    producer = connection.Producer()
    for number in range(MESSAGES):
        producer.publish({"number": number}, exchange=queue.exchange, routing_key="work", declare=[queue], retry=True)
    print(f"confirmed {MESSAGES}")
    received = []

    def take(body, message):
        message.ack()
        received.append(body["number"])

    with connection.Consumer(queue, callbacks=[take], prefetch_count=10):
        while len(received) < MESSAGES:
            connection.drain_events(timeout=10)
    assert received == list(range(MESSAGES)), received
    bound = queue(connection.default_channel)
    bound.delete()
    bound.exchange.delete()
    print(f"consumed {MESSAGES}")


def call(connection) -> None:
    requests, replies = (kombu.Queue(exclusive=True)(connection.channel()) for _ in range(2))
    answers = []
    for queue in (requests, replies):
        queue.declare()

    def answer(body, message):
        connection.Producer().publish(body + 1, routing_key=message.properties["reply_to"])

    # Declared already: a name that the server gave is none to declare by.
    options = {"no_ack": True, "auto_declare": False}
    serving = kombu.Consumer(requests.channel, requests, callbacks=[answer], **options)
    asking = kombu.Consumer(replies.channel, replies, callbacks=[lambda body, _: answers.append(body)], **options)
    with serving, asking:
        connection.Producer().publish(41, routing_key=requests.name, reply_to=replies.name)
        while not answers:
            connection.drain_events(timeout=10)
    print(f"answered {answers[0]}")


def die(connection) -> None:
    graves = kombu.Queue(exclusive=True)(connection.channel())
    graves.declare()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graves.name}
    doomed = kombu.Queue(exclusive=True, queue_arguments=arguments)(connection.channel())
    doomed.declare()
    connection.Producer().publish("bad", routing_key=doomed.name)
    reasons = []
    refusing = kombu.Consumer(doomed.channel, doomed, callbacks=[lambda _, message: message.reject()], auto_declare=False)
    burying = kombu.Consumer(graves.channel, graves, no_ack=True, auto_declare=False, callbacks=[
        lambda _, message: reasons.append(message.headers["x-first-death-reason"])])
    with refusing, burying:
        while not reasons:
            connection.drain_events(timeout=10)
    print(f"died {reasons[0]}")


main(int(sys.argv[1]))
