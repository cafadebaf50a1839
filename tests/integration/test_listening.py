"""The server hears which jobs have changed, and goes on hearing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from uuid import UUID, uuid4

import pytest
from celery import Celery

from app.settings import Settings
from tasks.celery import make_celery
from tasks.listen import Listener
from tasks.notices import EXCHANGE, Notices
from tests.services import RabbitMQ
from tests.services.process import wait_until
from tests.world import make_settings

_LONG_S = 20.0


@pytest.fixture
def embedded(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def over_rabbitmq(tmp_path: Path, rabbitmq: RabbitMQ) -> Settings:
    return make_settings(tmp_path, broker_url=rabbitmq.url)


@pytest.fixture(params=["embedded", "over_rabbitmq"])
def settings(request: pytest.FixtureRequest) -> Settings:
    found: Settings = request.getfixturevalue(request.param)
    return found


class Heard:
    """The jobs that were named; it is the function that is told."""

    def __init__(self) -> None:
        self.jobs: list[UUID] = []
        self._condition = Condition()

    def __call__(self, job_ids: Sequence[UUID]) -> None:
        with self._condition:
            self.jobs += job_ids
            self._condition.notify()

    def until(self, job_id: UUID) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: job_id in self.jobs, _LONG_S)

    def waits_for(self, job_id: UUID, timeout_s: float) -> bool:
        with self._condition:
            return self._condition.wait_for(lambda: job_id in self.jobs, timeout_s)


@contextmanager
def listening(settings: Settings) -> Iterator[Heard]:
    heard = Heard()
    celery = make_celery(settings, results=False)
    listener = Listener(celery, on_job=heard)
    listener.start()
    try:
        yield heard
    finally:
        listener.close()
        celery.close()


@contextmanager
def slot(settings: Settings) -> Iterator[Notices]:
    """What says it."""
    celery: Celery = make_celery(settings, results=True)
    notices = Notices(celery)
    yield notices
    notices.close()
    celery.close()


def say_until_heard(notices: Notices, heard: Heard) -> UUID:
    """Until the listener has found its way to the broker, what is said is lost.

    What takes long is heard, but has nothing said for a while.
    """
    said: list[UUID] = []

    def is_heard() -> bool:
        said.append(uuid4())
        notices(said[-1:])
        return heard.waits_for(said[-1], 0.1) and not notices.silent

    assert wait_until(is_heard, 2 * _LONG_S)
    return said[-1]


def test_notices_name_jobs(settings: Settings) -> None:
    with listening(settings) as heard, slot(settings) as notices:
        say_until_heard(notices, heard)
        job_ids = [uuid4() for _ in range(100)]
        notices([])
        notices(job_ids)
        heard.until(job_ids[-1])
        assert heard.jobs[-100:] == job_ids


def test_what_is_no_notice_is_not_heard(settings: Settings) -> None:
    with listening(settings) as heard, slot(settings) as notices:
        said = say_until_heard(notices, heard)
        celery = make_celery(settings, results=True)
        with celery.connection_for_write() as connection:
            for body in ({"jobs": ["no uuid"]}, ["jobs"], "jobs", {}):
                connection.Producer().publish(body, exchange=EXCHANGE, serializer="json")
        celery.close()
        job_id = uuid4()
        notices([job_id])
        heard.until(job_id)
        assert all(isinstance(each, UUID) for each in heard.jobs)
        assert heard.jobs[heard.jobs.index(said) + 1 :] == [job_id]


def test_everybody_hears(settings: Settings) -> None:
    with listening(settings) as one, listening(settings) as other, slot(settings) as notices:
        say_until_heard(notices, one)
        say_until_heard(notices, other)
        job_id = uuid4()
        notices([job_id])
        one.until(job_id)
        other.until(job_id)


def test_a_connection_that_breaks_is_made_anew(
    over_rabbitmq: Settings, rabbitmq: RabbitMQ, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(over_rabbitmq) as heard, slot(over_rabbitmq) as notices:
        say_until_heard(notices, heard)
        rabbitmq.ctl("close_all_connections", "--vhost", rabbitmq.vhost, "a test")
        assert wait_until(lambda: "no notices for now" in caplog.text, 20)
        # The one that says it finds its connection dead as well, and makes another.
        say_until_heard(notices, heard)


def test_a_broker_that_is_away_holds_nobody_up_twice(tmp_path: Path) -> None:
    away = make_settings(tmp_path, broker_url="amqp://127.0.0.1:1//")
    with slot(away) as notices:
        notices([uuid4()])
        assert notices.silent
        notices([uuid4()])


def test_a_broker_that_is_away_does_not_keep_a_listener_from_its_end(tmp_path: Path) -> None:
    away = make_settings(tmp_path, broker_url="amqp://127.0.0.1:1//")
    started = monotonic()
    with listening(away) as heard:
        assert not heard.waits_for(uuid4(), 0.3)
    assert monotonic() - started < _LONG_S


def test_a_broker_that_does_not_read_holds_nobody_up_for_long(
    over_rabbitmq: Settings, rabbitmq: RabbitMQ
) -> None:
    with listening(over_rabbitmq) as heard, slot(over_rabbitmq) as notices:
        say_until_heard(notices, heard)
        rabbitmq.ctl("set_vm_memory_high_watermark", "0.000001")
        try:
            job_ids = [uuid4() for _ in range(100)]

            def say() -> None:
                while not notices.silent:
                    notices(job_ids)

            saying = Thread(target=say, daemon=True)
            saying.start()
            saying.join(_LONG_S)
            assert not saying.is_alive()
        finally:
            rabbitmq.ctl("set_vm_memory_high_watermark", "0.6")
