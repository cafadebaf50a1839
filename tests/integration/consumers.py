"""What the processes of the transport's tests do; a module, so that they can import it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kombu import Connection, Consumer, Exchange, Producer, Queue

from tasks import transport

EXCHANGE = Exchange("qdispatch", type="direct", durable=True)
LAST = "last"


def connect(folder: Path) -> Connection:
    """A connection to the broker in a folder."""
    transport.register()
    return Connection("embedded://", transport_options={"folder": str(folder)})


def queue(name: str, **options: Any) -> Queue:
    """A queue as the service declares it."""
    return Queue(name, EXCHANGE, routing_key=name, **({"durable": True} | options))


def publish(folder: Path, name: str, first: int, number: int) -> None:
    """Publishes so many numbers, each in a message of its own size."""
    with connect(folder) as connection, connection.channel() as channel:
        producer = Producer(channel)
        for value in range(first, first + number):
            producer.publish(
                {"value": value, "padding": "x" * (value % 5000)},
                exchange=EXCHANGE,
                routing_key=name,
                declare=[queue(name)],
            )


def consume(folder: Path, name: str, seen: Path, seed: int) -> None:
    """Writes down the numbers that come, until the last one does."""
    chance = random.Random(seed)
    done = False

    def take(body: Any, message: Any) -> None:
        nonlocal done
        if body == LAST:
            done = True
            message.requeue()
            return
        assert body["padding"] == "x" * (body["value"] % 5000)
        if chance.random() < 0.1:
            message.requeue()
            return
        if chance.random() < 0.1:
            time.sleep(chance.random() / 200)
        with seen.open("a") as file:
            file.write(f"{body['value']}\n")
        message.ack()

    with connect(folder) as connection, connection.channel() as channel:
        channel.basic_qos(0, chance.choice([1, 1, 3]), False)
        with Consumer(channel, [queue(name)], callbacks=[take]):
            while not done:
                try:
                    connection.drain_events(timeout=1)
                except TimeoutError:
                    continue


def hold(folder: Path, name: str, number: int, ready: Path) -> None:
    """Takes messages and keeps them, with queues of its own, until it is killed."""
    with connect(folder) as connection, connection.channel() as channel:
        queue("reply.of.mine", durable=False, auto_delete=True)(channel).declare()
        for _ in range(number):
            assert queue(name)(channel).get() is not None
        ready.write_text(str(os.getpid()))
        time.sleep(600)


@contextmanager
def receiving(connection: Connection, *queues: Queue, prefetch: int = 0) -> Iterator[list[Any]]:
    """Messages as they come; none is acknowledged."""
    received: list[Any] = []
    with connection.channel() as channel:
        channel.basic_qos(0, prefetch, False)
        with Consumer(channel, list(queues), on_message=received.append):
            yield received


def drain(connection: Connection) -> None:
    """Delivers until nothing comes any more."""
    while True:
        try:
            connection.drain_events(timeout=0.3)
        except TimeoutError:
            return
