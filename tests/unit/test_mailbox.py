"""What a stream has still to send, when its client reads slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from threading import Thread

import pytest

from app.records import info_of
from qdispatch.errors import JobNotFoundError
from qdispatch.model import JobEvent, JobStatus
from qdispatch.updates import JobUpdate, Outlook
from rpc.watch import Mailbox
from tests.unit.test_watches import START, row_at

JOB = replace(info_of(row_at([JobStatus.PENDING], 0)), events=())


def event(number: int) -> JobUpdate:
    told = JobEvent(number=number, status=JobStatus.PENDING, at=START)
    return JobUpdate(job=JOB, events=(told,))


def outlook(position: int) -> JobUpdate:
    return JobUpdate(job=JOB, outlook=Outlook(queue_position=position))


def run(test: Callable[[Mailbox], Awaitable[None]]) -> None:
    async def within() -> None:
        await test(Mailbox())

    asyncio.run(within())


async def read(mailbox: Mailbox) -> list[JobUpdate]:
    return [each async for each in mailbox.updates() if isinstance(each, JobUpdate)]


def test_every_event_is_kept_and_of_outlooks_the_last() -> None:
    async def test(mailbox: Mailbox) -> None:
        for update in (
            outlook(9),
            outlook(8),
            event(1),
            outlook(7),
            outlook(6),
            event(2),
            event(3),
        ):
            mailbox.tell(update)
        mailbox.tell(None)
        assert await read(mailbox) == [outlook(8), event(1), outlook(6), event(2), event(3)]

    run(test)


def test_thousands_of_outlooks_take_no_room() -> None:
    async def test(mailbox: Mailbox) -> None:
        mailbox.tell(event(1))
        for position in range(5000, 0, -1):
            mailbox.tell(outlook(position))
        await asyncio.sleep(0)
        assert len(mailbox._waiting) == 2
        mailbox.tell(None)
        assert await read(mailbox) == [event(1), outlook(1)]

    run(test)


def test_it_is_told_by_another_thread() -> None:
    async def test(mailbox: Mailbox) -> None:
        def tell() -> None:
            for number in range(1, 101):
                mailbox.tell(event(number))
            mailbox.tell(None)

        thread = Thread(target=tell)
        thread.start()
        assert await read(mailbox) == [event(number) for number in range(1, 101)]
        thread.join()

    run(test)


def test_an_error_comes_after_what_was_told_before() -> None:
    async def test(mailbox: Mailbox) -> None:
        mailbox.tell(event(1))
        mailbox.tell(JobNotFoundError("gone", field="id"))
        updates = mailbox.updates()
        assert await anext(updates) == event(1)
        with pytest.raises(JobNotFoundError):
            await anext(updates)

    run(test)


def test_after_the_loop_is_closed_nobody_is_told() -> None:
    async def make() -> Mailbox:
        return Mailbox()

    mailbox = asyncio.run(make())
    mailbox.tell(event(1))
    assert not mailbox._waiting
