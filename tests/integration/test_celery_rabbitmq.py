"""What Celery makes of the settings, held against a real RabbitMQ."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from kombu import Connection, Consumer, Exchange, Queue, pools

from app.ports import Chunk, Dispatch, Dispatcher
from app.settings import Settings
from tasks.celery import MAX_PRIORITY, make_celery
from tasks.dispatch import WAKE_SIGNAL, BackgroundDispatcher
from tasks.send import RUN_CHUNK, RUN_JOB
from tests.services import RabbitMQ
from tests.services.process import free_port, wait_until
from tests.unit.test_fakes import (
    Told,
    test_a_dispatcher_revokes,
    test_a_dispatcher_sends_to_the_targets_in_order,
)
from tests.world import make_settings

__all__ = ["test_a_dispatcher_revokes", "test_a_dispatcher_sends_to_the_targets_in_order"]

TARGETS: Final = ("aer", "cirq", "pennylane")

Start = Callable[..., BackgroundDispatcher]


@pytest.fixture
def broker(rabbitmq: RabbitMQ) -> Iterator[Connection]:
    """A client of the broker, whose queues of ours are gone before and after."""
    with Connection(rabbitmq.url) as connection:
        _remove_queues(connection)
        yield connection
        _remove_queues(connection)


def _remove_queues(connection: Connection) -> None:
    # Connections are shared by all applications of a process, and remember
    # what they have declared.
    pools.reset()
    for name in TARGETS:
        with connection.channel() as channel:
            channel.queue_delete(name)


@pytest.fixture
def settings(tmp_path: Path, rabbitmq: RabbitMQ) -> Settings:
    """Of a broker that is there, and a Redis that is not."""
    return make_settings(
        tmp_path,
        broker_url=rabbitmq.url,
        result_backend=f"redis://127.0.0.1:{free_port()}/0",
    )


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts dispatchers, and ends them."""
    with ExitStack() as stack:

        def start(settings: Settings, on_sent: Callable[..., None] = lambda _: None) -> Any:
            celery = make_celery(settings, results=False)
            dispatcher = BackgroundDispatcher(celery)
            stack.callback(celery.close)
            stack.callback(dispatcher.close, 10)
            dispatcher.start(on_sent)
            return dispatcher

        yield start


def into(noted: list[UUID]) -> Callable[[Sequence[Dispatch]], None]:
    """Collects the ids of what is noted as sent."""
    return lambda sent: noted.extend(each.job_id for each in sent)


def dispatch(target: str = "aer") -> Dispatch:
    return Dispatch(job_id=uuid4(), target=target, label=f"target={target} qubits=2 shots=100")


def messages(broker: Connection, target: str) -> list[Any]:
    """Takes all messages of a queue, which must exist."""
    taken = []
    with broker.channel() as channel:
        while (message := channel.basic_get(target, no_ack=True)) is not None:
            taken.append(channel.message_to_python(message))
    return taken


class _Arrived:
    """What came to the broker."""

    def __init__(self, dispatcher: BackgroundDispatcher, broker: Connection, box: list[Any]):
        self._dispatcher, self._broker, self._box = dispatcher, broker, box

    def sent(self) -> list[tuple[UUID, str]]:
        self._dispatcher.close(10)
        return [
            (UUID(message.headers["id"]), target)
            for target in ("aer", "cirq")
            for message in messages(self._broker, target)
        ]

    def revoked(self) -> list[tuple[UUID, bool]]:
        # What is told comes in order: nothing comes after this.
        last = uuid4()
        self._dispatcher.revoke([last], running=False)
        self._dispatcher.close(10)
        told: list[dict[str, Any]] = []
        while not told or told[-1]["task_id"] != [str(last)]:
            self._broker.drain_events(timeout=20)
            told = [message.payload["arguments"] for message in self._box]
        del told[-1]
        assert {each["signal"] for each in told if each["terminate"]} <= {WAKE_SIGNAL.name}
        assert all(each["noted"] for each in told)
        return [(UUID(job_id), each["terminate"]) for each in told for job_id in each["task_id"]]


@pytest.fixture
def dispatching(
    settings: Settings, start: Start, broker: Connection
) -> Iterator[tuple[Dispatcher, Told]]:
    """For the suite that the recording dispatcher passes too."""
    box: list[Any] = []
    control = Exchange("celery.pidbox", type="fanout", durable=False)
    with broker.channel() as channel:
        queue = Queue("", control, exclusive=True, durable=False)
        with Consumer(channel, [queue], on_message=box.append, no_ack=True):
            dispatcher = start(settings)
            yield dispatcher, _Arrived(dispatcher, broker, box)


# -- the queue


def test_queues_are_durable_and_have_priorities(
    settings: Settings, start: Start, broker: Connection, rabbitmq: RabbitMQ
) -> None:
    dispatcher = start(settings)
    for target in TARGETS:
        dispatcher.send(dispatch(target))
    dispatcher.close(10)
    listed = rabbitmq.ctl(
        "list_queues",
        "-p",
        rabbitmq.vhost,
        "--no-table-headers",
        "name",
        "durable",
        "auto_delete",
        "arguments",
    )
    ours = [line.split("\t") for line in listed.splitlines() if line.startswith(TARGETS)]
    assert sorted(each[0] for each in ours) == sorted(TARGETS)
    for _, durable, auto_delete, arguments in ours:
        assert (durable, auto_delete) == ("true", "false")
        # Nothing else, or RabbitMQ would refuse to declare them anew.
        assert arguments.count("{") == 1
        assert '{"x-max-priority",9}' in arguments or "x-max-priority,9" in arguments


def test_higher_priorities_are_delivered_first(settings: Settings, broker: Connection) -> None:
    celery = make_celery(settings, results=False)
    with celery:
        for number in range(30):
            celery.send_task(RUN_JOB, args=(str(number),), queue="aer", priority=number % 10)
    got = [int(message.payload[0][0]) for message in messages(broker, "aer")]
    assert MAX_PRIORITY == 9
    assert got == sorted(range(30), key=lambda number: (-(number % 10), number))


# -- the message


def test_a_message_is_the_id_of_a_job(settings: Settings, start: Start, broker: Connection) -> None:
    sent = dispatch()
    dispatcher = start(settings)
    dispatcher.send(sent)
    dispatcher.close(10)
    (message,) = messages(broker, "aer")
    arguments, keywords, _ = message.payload
    assert (arguments, keywords) == ([str(sent.job_id)], {})
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.properties["delivery_mode"] == 2
    headers = message.headers
    assert (headers["id"], headers["task"]) == (str(sent.job_id), RUN_JOB)
    # For monitors only.
    assert headers["kwargsrepr"] == "target=aer qubits=2 shots=100"
    assert str(sent.job_id) in headers["argsrepr"]
    assert headers["expires"] is headers["eta"] is None


def test_a_job_is_noted_as_sent_and_redis_is_not_needed(
    settings: Settings, start: Start, broker: Connection
) -> None:
    noted: list[UUID] = []
    dispatcher = start(settings, into(noted))
    sent = [dispatch() for _ in range(300)]
    for each in sent:
        dispatcher.send(each)
    assert wait_until(lambda: len(noted) == 300, 30)
    assert noted == [each.job_id for each in sent]
    assert [UUID(message.headers["id"]) for message in messages(broker, "aer")] == noted


def test_a_job_is_noted_only_once_the_broker_has_confirmed(
    settings: Settings, start: Start, broker: Connection, rabbitmq: RabbitMQ
) -> None:
    noted: list[UUID] = []
    dispatcher = start(settings, into(noted))
    dispatcher.send(dispatch())
    assert wait_until(lambda: len(noted) == 1, 10)
    # A broker in an alarm takes messages from the wire no more.
    rabbitmq.ctl("set_vm_memory_high_watermark", "0")
    try:
        blocked = dispatch()
        dispatcher.send(blocked)
        dispatcher.close(1.0)
        assert blocked.job_id not in noted
    finally:
        rabbitmq.ctl("set_vm_memory_high_watermark", "0.4")
    assert wait_until(lambda: blocked.job_id in noted, 20)
    # One that is not confirmed for long is sent once more, which a slow machine sees.
    assert {UUID(message.headers["id"]) for message in messages(broker, "aer")} == set(noted)


def test_a_chunk_is_one_message_that_names_its_jobs(
    settings: Settings, start: Start, broker: Connection
) -> None:
    noted: list[Any] = []
    dispatcher = start(settings, noted.extend)
    job_ids = tuple(uuid4() for _ in range(3))
    chunk = Chunk(chunk_id=uuid4(), target="aer", job_ids=job_ids, label="target=aer jobs=3")
    dispatcher.send_chunk(chunk)
    dispatcher.close(10)
    (message,) = messages(broker, "aer")
    assert message.headers["id"] == str(chunk.chunk_id)
    assert message.headers["task"] == RUN_CHUNK
    assert message.headers["argsrepr"] == "(3 jobs,)"
    assert message.headers["kwargsrepr"] == "target=aer jobs=3"
    assert message.payload[0] == [[str(each) for each in job_ids]]
    assert noted == [chunk]
    # The ids, and a little of Celery's.
    assert len(message.body) <= 3 * 41 + 100


def test_many_are_on_their_way_at_once(
    settings: Settings, start: Start, broker: Connection
) -> None:
    """Nobody waits for one confirmation before the next message is sent."""
    noted: list[UUID] = []
    dispatcher = start(settings, into(noted))
    jobs = [dispatch() for _ in range(500)]
    for job in jobs:
        dispatcher.send(job)
    dispatcher.close(30)
    assert noted == [job.job_id for job in jobs]
    sent = [UUID(message.headers["id"]) for message in messages(broker, "aer")]
    assert sent == noted


# -- what goes wrong


def test_a_caller_never_waits_for_a_broker_that_is_away(tmp_path: Path, start: Start) -> None:
    noted: list[UUID] = []
    away = make_settings(tmp_path, broker_url=f"amqp://127.0.0.1:{free_port()}//")
    dispatcher = start(away, into(noted))
    dispatcher.send(dispatch())
    dispatcher.revoke([uuid4()], running=True)
    dispatcher.close(60)
    assert noted == []
    assert "dispatcher" not in {thread.name for thread in threading.enumerate()}


def test_what_one_queue_is_refused_does_not_stop_the_others(
    settings: Settings, start: Start, broker: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with broker.channel() as channel:
        # Somebody has declared it with other arguments.
        channel.queue_declare("cirq", durable=True, auto_delete=False)
    noted: list[UUID] = []
    dispatcher = start(settings, into(noted))
    refused, fine = dispatch("cirq"), dispatch("aer")
    dispatcher.send(refused)
    dispatcher.send(fine)
    assert wait_until(lambda: noted == [fine.job_id], 20)
    assert f"cannot send job {refused.job_id}" in caplog.text
    assert "PRECONDITION_FAILED" in caplog.text


def test_a_broker_that_does_not_know_us_does_not_stop_the_dispatcher(
    tmp_path: Path, start: Start, rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = rabbitmq.url.replace(rabbitmq.password, "wrong")
    dispatcher = start(make_settings(tmp_path, broker_url=stranger))
    jobs = [dispatch(), dispatch()]
    for job in jobs:
        dispatcher.send(job)
    dispatcher.close(30)
    for job in jobs:
        assert f"cannot send job {job.job_id}" in caplog.text
    assert "wrong" not in caplog.text


def test_a_job_that_waits_to_be_sent_does_not_wait_twice(
    settings: Settings, broker: Connection
) -> None:
    """The sweep sends what is unsent again and again, however long the broker is away."""
    celery = make_celery(settings, results=False)
    dispatcher = BackgroundDispatcher(celery)
    job = dispatch()
    with celery:
        for _ in range(100):
            dispatcher.send(job)
        noted: list[UUID] = []
        dispatcher.start(into(noted))
        assert wait_until(lambda: noted == [job.job_id], 10)
        # Once it is sent it may be sent again.
        dispatcher.send(job)
        dispatcher.close(10)
    assert noted == [job.job_id] * 2
    assert len(messages(broker, "aer")) == 2


def test_a_note_that_fails_does_not_stop_the_dispatcher(
    settings: Settings, start: Start, broker: Connection
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError("a defect of the one who is told")

    dispatcher = start(settings, fail)
    jobs = [dispatch(), dispatch()]
    dispatcher.send(jobs[0])
    # The second comes after the first was noted.
    assert wait_until(lambda: len(messages(broker, "aer")) == 1 if _exists(broker) else False, 10)
    dispatcher.send(jobs[1])
    dispatcher.close(10)
    assert len(messages(broker, "aer")) == 1


def _exists(broker: Connection) -> bool:
    from amqp.exceptions import NotFound

    with broker.channel() as channel:
        try:
            channel.queue_declare("aer", passive=True)
        except NotFound:
            return False
    return True


def test_celery_is_set_up_for_one_job_per_slot(settings: Settings) -> None:
    conf = make_celery(settings, results=False).conf
    assert (conf.task_acks_late, conf.worker_prefetch_multiplier) == (True, 1)
    assert (conf.task_serializer, conf.result_serializer) == ("json", "json")
    assert conf.accept_content == ["json"]
    assert [queue.name for queue in conf.task_queues] == list(TARGETS)
