"""Streams that are open, and those who have them."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from app.identity import Caller
from qdispatch.errors import AuthenticationError, UnavailableError
from rpc import streams
from rpc.errors import OldStreamError
from rpc.streams import Streams

LONG_S = 20.0
MANY = 500


class Door:
    """Lets everybody in, but for those who are out."""

    def __init__(self) -> None:
        self.out: dict[str, Exception] = {}
        self.asked: Counter[str] = Counter()

    async def admit(self, context: str) -> None:
        self.asked[context] += 1
        if context in self.out:
            raise self.out[context]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "AGAIN_S", 0.0)


def token(name: str) -> Caller:
    return Caller(owner="me", token_id=name)


async def idle(every: Streams, context: Any, caller: Caller) -> None:
    async with every.one(context, caller):
        await asyncio.Event().wait()


async def begun(every: Streams, caller: Caller, number: int = 1) -> list[asyncio.Task[None]]:
    """Streams of one caller that have nothing to tell."""
    tasks = [asyncio.create_task(idle(every, caller.token_id, caller)) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


def test_who_is_let_in_no_more_is_told_so_without_a_question_for_each_stream() -> None:
    async def story() -> None:
        door = Door()
        every = Streams(door.admit, age_s=LONG_S, stall_s=LONG_S)
        theirs = await begun(every, token("theirs"))
        mine = await begun(every, token("mine"), MANY)
        async with asyncio.timeout(LONG_S):
            while not door.asked["mine"]:
                await asyncio.sleep(0)
            asked = door.asked["mine"]
            door.out["mine"] = AuthenticationError("revoked")
            ends = await asyncio.gather(*mine, return_exceptions=True)
        assert {repr(each) for each in ends} == {repr(AuthenticationError("revoked"))}
        # In one round, or at most in the next.
        assert door.asked["mine"] - asked <= 2
        assert not theirs[0].done()
        await every.close()
        theirs[0].cancel()
        await asyncio.wait(theirs)

    asyncio.run(story())


def test_who_cannot_be_looked_up_for_now_stays() -> None:
    async def story() -> None:
        door = Door()
        door.out = {"mine": UnavailableError("away"), "yours": RuntimeError("a defect")}
        every = Streams(door.admit, age_s=LONG_S, stall_s=LONG_S)
        mine = await begun(every, token("mine"))
        yours = await begun(every, token("yours"))
        async with asyncio.timeout(LONG_S):
            # Of whom nobody knows why, nothing is known.
            with pytest.raises(RuntimeError, match="a defect"):
                await yours[0]
            asked = door.asked["mine"]
            while door.asked["mine"] == asked:
                await asyncio.sleep(0)
        assert not mine[0].done()
        await every.close()
        mine[0].cancel()
        await asyncio.wait(mine)

    asyncio.run(story())


def test_none_is_open_for_ever() -> None:
    async def story() -> None:
        every = Streams(Door().admit, age_s=0.01, stall_s=LONG_S)
        ends = await asyncio.gather(*await begun(every, token("mine"), 3), return_exceptions=True)
        assert [type(each) for each in ends] == [OldStreamError] * 3
        await every.close()

    asyncio.run(story())


def test_what_goes_wrong_within_is_told_as_it_is() -> None:
    async def story() -> None:
        every = Streams(Door().admit, age_s=LONG_S, stall_s=LONG_S)
        with pytest.raises(TimeoutError, match="its own"):
            async with every.one("mine", token("mine")):
                raise TimeoutError("its own")
        await every.close()

    asyncio.run(story())
