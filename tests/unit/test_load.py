"""How much calls and their messages take, and that a slow one takes what it may become."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app.identity import ANONYMOUS
from qdispatch.errors import QuotaError
from rpc import load
from rpc.load import Load, Share

NO_QUOTAS: Any = None
BYTES = "server.max_bytes_under_way"


def refused(call: Callable[[], None]) -> tuple[float, float]:
    """The limit and the use that a refusal names."""
    with pytest.raises(QuotaError, match="busy: come back in a moment; come back in 1 s") as caught:
        call()
    quota = caught.value.quota
    assert quota is not None
    assert quota.name == BYTES
    return quota.limit, quota.use


def test_one_owner_has_half_and_whoever_has_nothing_may_have_one_thing() -> None:
    share = Share(BYTES, 10, halved=True)
    share.take("me", 3)
    assert refused(lambda: share.take("me", 3)) == (5, 6)
    share.take("me", 2)
    share.take("you", 5)
    assert refused(lambda: share.take("him", 1)) == (10, 11)
    for owner in ("me", "you"):
        share.give(owner, 5)
    # However large it is: else it could never be had.
    share.take("me", 12)


def test_where_owners_are_not_told_apart_one_may_have_all() -> None:
    share = Share(BYTES, 10, halved=False)
    for _ in range(10):
        share.take(ANONYMOUS)
    assert refused(lambda: share.take(ANONYMOUS)) == (10, 11)


class Slow:
    """A call whose message comes when it is told to."""

    def __init__(self) -> None:
        self.came = asyncio.Event()

    async def read(self) -> bytes:
        await self.came.wait()
        return b"message"


async def read(limits: Load, owner: str, slow: Slow, size: int = 0) -> bytes:
    with limits.message(owner) as portion:
        data: bytes = await portion.read(slow)
        portion.takes(size)
        return data


def run(story: Callable[[Load], Awaitable[None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "SLOW_S", 0.0)
    monkeypatch.setattr(load, "_AGAIN_S", 0.01)

    async def told() -> None:
        limits = Load(NO_QUOTAS, max_calls=9, max_bytes=10, max_message_bytes=5, tells_apart=True)
        await story(limits)
        # All of it was given back.
        with limits.message("me") as mine, limits.message("you") as yours:
            mine.takes(5)
            yours.takes(5)

    asyncio.run(told())


def test_a_slow_message_takes_what_it_may_become(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(limits: Load) -> None:
        slow = Slow()
        mine = [asyncio.create_task(read(limits, "me", slow)) for _ in range(2)]
        done, waiting = await asyncio.wait(mine, return_when=asyncio.FIRST_COMPLETED)
        with pytest.raises(QuotaError, match=f"quota {BYTES}"):
            await done.pop()
        # Of somebody else's there is room for one.
        yours = asyncio.create_task(read(limits, "you", slow))
        await asyncio.sleep(0.05)
        assert not yours.done()
        slow.came.set()
        assert await yours == await waiting.pop() == b"message"

    run(story, monkeypatch)


def test_a_call_that_is_given_up_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(limits: Load) -> None:
        reading = asyncio.create_task(read(limits, "me", Slow()))
        await asyncio.sleep(0.01)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    run(story, monkeypatch)


def test_one_that_comes_at_once_takes_nothing_before(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(limits: Load) -> None:
        at_once = Slow()
        at_once.came.set()
        with limits.message("me") as mine, limits.message("you") as yours:
            mine.takes(5)
            yours.takes(5)
            assert await read(limits, "him", at_once) == b"message"
            with pytest.raises(QuotaError, match="come back"):
                await read(limits, "him", at_once, size=1)

    run(story, monkeypatch)
