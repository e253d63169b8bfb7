"""Celery: publishes with confirms, consumes with a prefetch, asks and answers, lets a message die. One line for each."""

import sys
import threading

import celery
import kombu
from celery.contrib.testing.worker import start_worker
from celery.exceptions import Reject

MESSAGES = 100
GRAVES = "clients.celery.graves"
EXCHANGE = kombu.Exchange("")
DEAD = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": GRAVES}

app = celery.Celery("client", broker=f"amqp://guest:guest@127.0.0.1:{sys.argv[1]}//", backend="rpc://")
app.conf.update(
    broker_transport_options={"confirm_publish": True},
    task_default_queue="clients.celery",
    task_queues=[kombu.Queue("clients.celery", EXCHANGE, "clients.celery", queue_arguments=DEAD)],
    task_acks_late=True,
    # With one process: ten messages ahead.
    worker_prefetch_multiplier=10,
    worker_hijack_root_logger=False,
)
received: list[int] = []
all_received = threading.Event()


@app.task(ignore_result=True)
def note(number: int) -> None:
    received.append(number)
    if len(received) == MESSAGES:
        all_received.set()


@app.task
def increment(number: int) -> int:
    return number + 1


@app.task(ignore_result=True)
def refuse() -> None:
    raise Reject("bad", requeue=False)


def main() -> None:
    for number in range(MESSAGES):
        note.delay(number)
    print(f"confirmed {MESSAGES}")
    with app.connection() as connection:
        graves = kombu.Queue(GRAVES)(connection.default_channel)
        graves.declare()
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
            assert all_received.wait(20), f"{len(received)} received"
            assert received == list(range(MESSAGES)), received
            print(f"consumed {MESSAGES}")
            print(f"answered {increment.delay(41).get(timeout=20)}")
            reasons = []
            burying = connection.Consumer(graves, callbacks=[
                lambda _, message: (message.ack(), reasons.append(message.headers["x-first-death-reason"]))])
            with burying:
                refuse.delay()
                # What a task asks the worker's loop to send, here the reject, may wait for kombu's timers: up to 10 s.
                while not reasons:
                    connection.drain_events(timeout=30)
            print(f"died {reasons[0]}")
        for name in ("clients.celery", GRAVES):
            connection.default_channel.queue_delete(name)


main()
