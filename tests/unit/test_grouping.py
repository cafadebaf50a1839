"""Calls that come together are answered together."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any

import pytest

from qdispatch.errors import UnavailableError
from rpc.grouping import HALF, LARGE_BYTES, MOST, MOST_BYTES, Grouping
from tests.waiting import wait_until

PATIENCE_S = 10.0


class Doubling:
    """Doubles numbers, group by group, each when it is let; refuses and breaks as it is told."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.let = Semaphore(0)
        self.begun = Event()
        self.refused: set[int] = set()
        self.defective: set[int] = set()
        self.away = False

    def __call__(self, numbers: Sequence[int]) -> Sequence[int | Exception]:
        self.groups.append(list(numbers))
        self.begun.set()
        assert self.let.acquire(timeout=PATIENCE_S)
        if self.away:
            raise UnavailableError("away")
        if self.defective & set(numbers):
            raise ZeroDivisionError(numbers)
        return [ValueError(each) if each in self.refused else 2 * each for each in numbers]


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as threads:
        yield threads


def run(
    threads: ThreadPoolExecutor,
    doubling: Doubling,
    story: Callable[[Grouping[int, int]], Awaitable[None]],
    **settings: Any,
) -> None:
    async def tell() -> None:
        await story(Grouping(doubling, threads, **({"at_once": 1} | settings)))

    asyncio.run(tell())


async def first_alone(
    group: Grouping[int, int],
    doubling: Doubling,
    others: Sequence[int],
    size: int = 0,
    first_size: int = 0,
) -> list[asyncio.Task[int]]:
    """One that is under way, and others that have come meanwhile."""
    tasks = [asyncio.create_task(group.ask(0, first_size))]
    await asyncio.to_thread(doubling.begun.wait, PATIENCE_S)
    tasks += [asyncio.create_task(group.ask(each, size)) for each in others]
    await asyncio.sleep(0)
    return tasks


def test_who_comes_alone_goes_at_once(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        for number in (1, 2, 3):
            doubling.let.release()
            assert await group.ask(number) == 2 * number

    run(threads, doubling, story)
    assert doubling.groups == [[1], [2], [3]]


def test_what_comes_meanwhile_is_the_next_group(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        tasks = await first_alone(group, doubling, range(1, 6))
        doubling.let.release(2)
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]

    run(threads, doubling, story)
    assert doubling.groups == [[0], [1, 2, 3, 4, 5]]


def test_those_of_one_round_of_the_loop_go_together(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.let.release()

    async def story(group: Grouping[int, int]) -> None:
        assert await asyncio.gather(*map(group.ask, range(5))) == [0, 2, 4, 6, 8]

    run(threads, doubling, story)
    assert doubling.groups == [[0, 1, 2, 3, 4]]


def test_a_group_has_its_limits_and_keeps_the_order(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        tasks = await first_alone(group, doubling, range(1, MOST + 3))
        doubling.let.release(3)
        await asyncio.gather(*tasks)

    run(threads, doubling, story)
    assert doubling.groups == [[0], [*range(1, MOST + 1)], [MOST + 1, MOST + 2]]


def test_large_questions_go_in_small_groups(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        tasks = await first_alone(group, doubling, range(1, 6), size=MOST_BYTES // 2)
        tasks.append(asyncio.create_task(group.ask(6, 2 * MOST_BYTES)))
        doubling.let.release(5)
        await asyncio.gather(*tasks)

    run(threads, doubling, story)
    assert doubling.groups == [[0], [1, 2], [3, 4], [5], [6]]


@pytest.mark.parametrize(
    ("at_once", "first_size", "others", "size", "beside"),
    [
        (2, 0, HALF - 1, 0, False),
        (2, 0, HALF, 0, True),
        (2, 0, 3, MOST_BYTES // 4, False),
        (2, 0, 2, MOST_BYTES // 2, True),
        (2, LARGE_BYTES, 1, 0, True),
        (1, LARGE_BYTES, 2, MOST_BYTES // 2, False),
    ],
    ids=["few", "many", "small", "large", "beside a large one", "no more at once"],
)
def test_a_group_goes_beside_another_if_it_is_of_many_or_that_is_large(
    threads: ThreadPoolExecutor,
    at_once: int,
    first_size: int,
    others: int,
    size: int,
    beside: bool,
) -> None:
    doubling = Doubling()
    some = [*range(1, others + 1)]

    async def story(group: Grouping[int, int]) -> None:
        tasks = await first_alone(group, doubling, some, size, first_size)
        tasks.append(asyncio.create_task(group.ask(others + 1)))
        await asyncio.sleep(0)
        doubling.let.release(3)
        assert await asyncio.gather(*tasks) == [2 * each for each in range(others + 2)]

    run(threads, doubling, story, at_once=at_once)
    expected = [[0], some, [others + 1]] if beside else [[0], [*some, others + 1]]
    assert sorted(doubling.groups) == expected


def test_a_group_that_goes_beside_another_is_no_smaller(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    half = HALF + 4

    async def story(group: Grouping[int, int]) -> None:
        tasks = [asyncio.create_task(group.ask(each)) for each in range(half)]
        await asyncio.to_thread(doubling.begun.wait, PATIENCE_S)
        tasks += [asyncio.create_task(group.ask(half + each)) for each in range(half - 1)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(group.ask(2 * half - 1)))
        await asyncio.sleep(0)
        doubling.let.release(2)
        await asyncio.gather(*tasks)

    run(threads, doubling, story, at_once=2)
    assert sorted(doubling.groups) == [[*range(half)], [*range(half, 2 * half)]]


def test_one_that_is_refused_is_no_other(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.refused = {2}
    doubling.let.release()

    async def story(group: Grouping[int, int]) -> None:
        ends = await asyncio.gather(*map(group.ask, (1, 2, 3)), return_exceptions=True)
        assert (ends[0], repr(ends[1]), ends[2]) == (2, "ValueError(2)", 6)

    run(threads, doubling, story)


def test_a_defect_is_told_to_the_one_that_meets_it(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.defective = {2}
    doubling.let.release(4)

    async def story(group: Grouping[int, int]) -> None:
        ends = await asyncio.gather(*map(group.ask, (1, 2, 3)), return_exceptions=True)
        assert (ends[0], type(ends[1]), ends[2]) == (2, ZeroDivisionError, 6)

    run(threads, doubling, story)
    assert doubling.groups == [[1, 2, 3], [1], [2], [3]]


def test_what_is_away_is_away_for_all(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.away = True
    doubling.let.release()

    async def story(group: Grouping[int, int]) -> None:
        ends = await asyncio.gather(*map(group.ask, (1, 2, 3)), return_exceptions=True)
        assert [type(each) for each in ends] == [UnavailableError] * 3

    run(threads, doubling, story)
    assert doubling.groups == [[1, 2, 3]]


def test_who_has_given_up_is_not_asked_about(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        under_way, waiting, other = await first_alone(group, doubling, [1, 2])
        under_way.cancel()
        waiting.cancel()
        doubling.let.release(2)
        assert await other == 4
        assert (under_way.cancelled(), waiting.cancelled()) == (True, True)

    run(threads, doubling, story)
    assert doubling.groups == [[0], [2]]


def test_who_has_given_up_may_still_hear_what_became_of_it(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        under_way, waiting, other = await first_alone(group, doubling, [1, 2])
        for _ in range(2):
            under_way.cancel()
            waiting.cancel()
            await asyncio.sleep(0)
        doubling.let.release(2)
        assert await under_way == 0
        assert await other == 4
        assert waiting.cancelled()

    run(threads, doubling, story, ends=True)
    assert doubling.groups == [[0], [2]]


def test_who_gives_up_as_the_answer_comes_hears_it() -> None:
    begun = Event()

    def answering(questions: Sequence[int]) -> Sequence[int]:
        begun.set()
        return questions

    async def give_up() -> None:
        with ThreadPoolExecutor(1) as threads:
            grouping: Grouping[int, int] = Grouping(answering, threads, at_once=1, ends=True)
            asking = asyncio.create_task(grouping.ask(7))
            while not begun.is_set():
                await asyncio.sleep(0)
            # The loop has the answer before it is told that nobody waits, and looks at
            # neither meanwhile.
            threads.submit(int).result(PATIENCE_S)
            asking.cancel()
            done, _ = await asyncio.wait({asking}, timeout=PATIENCE_S)
            assert done
            assert asking.result() == 7

    asyncio.run(give_up())


def test_those_who_were_answered_together_come_again_together(
    threads: ThreadPoolExecutor,
) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        doubling.let.release(2)
        await asyncio.gather(*map(group.ask, (1, 2, 3)))
        tasks = []
        for each in (4, 5, 6):
            tasks.append(asyncio.create_task(group.ask(each)))
            assert len(doubling.groups) == 1
            await asyncio.sleep(0)
        assert await asyncio.gather(*tasks) == [8, 10, 12]

    # Only their coming ends the rest.
    run(threads, doubling, story, rest_s=lambda _: PATIENCE_S)
    assert doubling.groups == [[1, 2, 3], [4, 5, 6]]


def test_a_rest_ends_also_if_nobody_comes(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()
    doubling.let.release(2)

    async def story(group: Grouping[int, int]) -> None:
        await asyncio.gather(*map(group.ask, (1, 2, 3)))
        assert await asyncio.wait_for(group.ask(4), PATIENCE_S) == 8

    run(threads, doubling, story)
    assert doubling.groups == [[1, 2, 3], [4]]


def test_who_gives_up_leaves_no_question_behind(threads: ThreadPoolExecutor) -> None:
    doubling = Doubling()

    async def story(group: Grouping[int, int]) -> None:
        (first,) = await first_alone(group, doubling, [])
        for _ in range(3):
            asked = [asyncio.create_task(group.ask(each, MOST_BYTES)) for each in range(1, 6)]
            await asyncio.sleep(0)
            assert len(group._waiting) == 5
            for each in asked:
                each.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            # Also not until the next group, for which they may wait for long.
            assert not group._waiting
        doubling.let.release()
        assert await first == 0

    run(threads, doubling, story)
    assert doubling.groups == [[0]]


class _Question:
    """One that may be large."""


def test_a_question_that_is_refused_is_not_kept(threads: ThreadPoolExecutor) -> None:
    async def story() -> None:
        group: Grouping[_Question, None] = Grouping(
            lambda asked: [ValueError("no") for _ in asked], threads, at_once=1
        )
        question = _Question()
        left = weakref.ref(question)
        with pytest.raises(ValueError, match="no"):
            await group.ask(question)
        del question
        # The thread may be about to end its work.
        assert await asyncio.to_thread(wait_until, lambda: left() is None, PATIENCE_S)

    gc.disable()
    try:
        asyncio.run(story())
    finally:
        gc.enable()
