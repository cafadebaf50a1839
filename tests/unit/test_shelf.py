"""Results that streams read from, in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from threading import Event
from uuid import UUID, uuid4

import pytest

from app.identity import EVERYBODY, Caller
from qdispatch.errors import QuotaError, UnavailableError
from rpc.shelf import STREAM_BYTES, Shelf, ToSend

LONG_S = 20.0
#: Of a result.
SIZE = 10 * STREAM_BYTES
MINE, YOURS = Caller(owner="me"), Caller(owner="you")


def told(story: Callable[[Shelf], Awaitable[None]], most: int, *, apart: bool = False) -> None:
    """Has a story happen to a shelf of this size."""
    with ThreadPoolExecutor(2) as threads:

        async def happen() -> None:
            async with asyncio.timeout(LONG_S):
                await story(Shelf(threads, ToSend(most, tells_apart=apart)))

        asyncio.run(happen())


async def full(shelf: Shelf, caller: Caller, size: int = SIZE) -> bool:
    """Whether there is no room for a result of this size."""
    try:
        async with shelf.reading(uuid4(), caller, size, lambda: ()):
            return False
    except QuotaError:
        return True


def test_a_result_is_read_once_for_all_and_gone_with_the_last() -> None:
    read: list[UUID] = []

    async def story(shelf: Shelf) -> None:
        key = uuid4()

        def values() -> list[bytes]:
            read.append(key)
            return [b"result"]

        async with AsyncExitStack() as readers:
            for _ in range(3):
                one = shelf.reading(key, EVERYBODY, SIZE, values)
                assert await readers.enter_async_context(one) == [b"result"]
            assert read == [key]
            # Beside it and its readers there is room for another, and not a byte more.
            left = 2 * SIZE - STREAM_BYTES * 3 - STREAM_BYTES
            assert not await full(shelf, EVERYBODY, left)
            assert await full(shelf, EVERYBODY, left + 1)
        assert not await full(shelf, EVERYBODY, 3 * SIZE - STREAM_BYTES)
        async with shelf.reading(key, EVERYBODY, SIZE, values):
            assert read == [key, key]

    told(story, 3 * SIZE)


def test_one_owner_leaves_room_to_the_others() -> None:
    async def story(shelf: Shelf) -> None:
        async with shelf.reading(uuid4(), MINE, SIZE, lambda: ()):
            assert await full(shelf, MINE)
            assert not await full(shelf, YOURS)

    told(story, 3 * SIZE, apart=True)


def test_the_largest_is_read_by_who_reads_nothing_else() -> None:
    async def story(shelf: Shelf) -> None:
        async with shelf.reading(uuid4(), MINE, SIZE, lambda: ()):
            assert await full(shelf, YOURS)
        assert not await full(shelf, YOURS)

    told(story, 1)


def test_a_failure_is_told_to_all_and_leaves_nothing() -> None:
    def fail() -> list[bytes]:
        raise UnavailableError("away")

    async def story(shelf: Shelf) -> None:
        key = uuid4()

        async def one() -> None:
            async with shelf.reading(key, EVERYBODY, SIZE, fail):
                pass

        ends = await asyncio.gather(one(), one(), return_exceptions=True)
        assert [type(each) for each in ends] == [UnavailableError] * 2
        assert not await full(shelf, EVERYBODY, 2 * SIZE - STREAM_BYTES)

    told(story, 2 * SIZE)


@pytest.mark.parametrize("fails", [False, True], ids=["read", "failed"])
def test_who_leaves_too_early_does_not_make_room_before_it_is_read(fails: bool) -> None:
    over = Event()

    def slow() -> list[bytes]:
        over.wait(LONG_S)
        if fails:
            raise UnavailableError("away")
        return [b"result"]

    async def story(shelf: Shelf) -> None:
        async def one() -> None:
            async with shelf.reading(uuid4(), EVERYBODY, SIZE, slow):
                pass

        early = asyncio.create_task(one())
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.wait([early])
        assert await full(shelf, EVERYBODY)
        over.set()
        while await full(shelf, EVERYBODY):
            await asyncio.sleep(0.01)

    told(story, 2 * SIZE)
