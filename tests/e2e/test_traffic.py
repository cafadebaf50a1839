"""What a job costs the broker, in messages and bytes: a guard that does not depend on the clock."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kombu import Consumer, Exchange, Queue

from app.settings import Settings
from qdispatch import Client
from tasks.celery import make_celery
from tasks.notices import EXCHANGE
from tasks.send import RUN_CHUNK, RUN_JOB
from tests.e2e import circuits
from tests.e2e.stack import Stack
from tests.reliability.ward import frozen
from tests.services.process import wait_until

#: A job's id takes 36 of these.
NOTICE_BYTES = 60
# Of each task: sent, received, started, succeeded.
EVENTS = 4


class Traffic:
    """What is told of tasks and jobs, without workers' heartbeats."""

    def __init__(self) -> None:
        self._sent: dict[str, str] = {}
        self._events: list[tuple[str, str]] = []
        self._notices: list[tuple[list[str], int]] = []

    def hear(self, message: Any) -> None:
        if isinstance(message.payload, dict) and "jobs" in message.payload:
            self._notices.append((message.payload["jobs"], len(message.body)))
            return
        # Celery sends some of them several at a time.
        some = message.payload if isinstance(message.payload, list) else [message.payload]
        self._events += [(each["type"], each["uuid"]) for each in some]
        # Celery tells of each message with a task, which go past every exchange.
        self._sent |= {each["uuid"]: each["name"] for each in some if each["type"] == "task-sent"}

    @property
    def tasks(self) -> Counter[str]:
        """How many were sent meanwhile, by name."""
        return Counter(self._sent.values())

    @property
    def events(self) -> Counter[str]:
        """Of those tasks; others may still tell of what a test before has left."""
        return Counter(kind for kind, task_id in self._events if task_id in self._sent)

    def notices(self, job_ids: Iterable[str]) -> list[tuple[list[str], int]]:
        """Those about any of these jobs, with their bytes."""
        wanted = set(job_ids)
        return [each for each in self._notices if wanted & set(each[0])]


@contextmanager
def overheard(stack: Stack) -> Iterator[tuple[Traffic, Any]]:
    broker_url = stack.environment.get("QDISPATCH_BROKER_URL", "")
    settings = Settings(data_dir=stack.data_dir, broker_url=broker_url)
    celery = make_celery(settings, results=False)
    traffic = Traffic()
    ways = (
        (Exchange("celeryev", type="topic", durable=True), "task.#"),
        (EXCHANGE, ""),
    )
    with celery, celery.connection_for_read() as connection, connection.channel() as channel:
        queues = [
            Queue(
                f"traffic-{number}", exchange, key, exclusive=True, auto_delete=True, durable=False
            )
            for number, (exchange, key) in enumerate(ways)
        ]
        with Consumer(channel, queues, on_message=traffic.hear, no_ack=True, accept=["json"]):

            def listen() -> None:
                try:
                    connection.drain_events(timeout=0.05)
                except TimeoutError:
                    return

            yield traffic, listen


def heard_all(traffic: Traffic, listen: Any, job_ids: Iterable[str], tasks: int) -> bool:
    listen()
    told = {job_id for some, _ in traffic.notices(job_ids) for job_id in some}
    over = traffic.events["task-succeeded"] == traffic.events["task-sent"] >= tasks
    return over and told >= set(job_ids)


def check_notices(traffic: Traffic, job_ids: Iterable[str], most: int) -> None:
    notices = traffic.notices(job_ids)
    told = [job_id for some, _ in notices for job_id in some]
    assert set(told) == set(job_ids)
    assert len(notices) <= most
    assert sum(size for _, size in notices) <= len(told) * NOTICE_BYTES


@pytest.fixture(autouse=True)
def undisturbed(stack: Stack) -> Iterator[None]:
    """Nobody sends again what a busy machine is late to note as sent."""
    with frozen(stack, stack.process("sweep")):
        yield


def test_a_single_job(client: Client, stack: Stack) -> None:
    with overheard(stack) as (traffic, listen):
        jobs = [client.submit(circuits.qiskit_circuit(), target="aer", shots=10) for _ in range(5)]
        for job in jobs:
            job.wait(60)
        job_ids = [job.id for job in jobs]
        assert wait_until(lambda: heard_all(traffic, listen, job_ids, 5), 30)
    assert traffic.tasks == {RUN_JOB: 5}
    assert sum(traffic.events.values()) == 5 * EVENTS
    # Once at its end, and once before that if it took a moment.
    check_notices(traffic, job_ids, 10)


def test_a_batch(client: Client, stack: Stack) -> None:
    with overheard(stack) as (traffic, listen):
        batch = client.submit_batch([circuits.qiskit_circuit()] * 80, target="aer", shots=10)
        batch.wait(120)
        assert wait_until(lambda: heard_all(traffic, listen, batch.job_ids, 8), 30)
    # Four for each of the two slots.
    assert traffic.tasks == {RUN_CHUNK: 8}
    assert sum(traffic.events.values()) == 8 * EVENTS
    check_notices(traffic, batch.job_ids, 160)
