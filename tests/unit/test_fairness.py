"""Whose turn it is, held against a queue of ten levels and slots that take from it."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.fairness import MOST_URGENT, Key, Windows, urgency

SIZE = 16
TARGET = "aer"


@dataclass(kw_only=True)
class Bench:
    """One slot, a queue, and owners with so many jobs each, which take so long."""

    seconds: dict[str, float]
    backlog: Counter[str] = field(default_factory=Counter)
    windows: Windows = field(default_factory=lambda: Windows(lambda _: SIZE))
    now: float = 0.0
    queue: list[tuple[int, int, str, UUID]] = field(default_factory=list)
    numbers: count[int] = field(default_factory=count)
    submitted: Counter[str] = field(default_factory=Counter)

    def key(self, owner: str) -> Key:
        return TARGET, owner

    def submit(self, owner: str, jobs: int = 1) -> None:
        for _ in range(jobs):
            if self.windows.is_free(self.key(owner)):
                self.send(owner)
            else:
                self.windows.wait(self.key(owner))
                self.backlog[owner] += 1

    def send(self, owner: str) -> None:
        number = next(self.numbers)
        job_id = UUID(int=number)
        level = self.windows.out(self.key(owner), job_id, [job_id])
        assert 0 <= level <= MOST_URGENT
        heapq.heappush(self.queue, (-level, number, owner, job_id))

    def feed(self) -> None:
        for key in self.windows.hungry():
            owner = key[1]
            for _ in range(min(self.windows.room(key), self.backlog[owner])):
                self.send(owner)
                self.backlog[owner] -= 1
            if not self.backlog[owner]:
                self.windows.wait_no_more(key)

    def take(self) -> str:
        """Runs the next job; whose it was."""
        _, _, owner, job_id = heapq.heappop(self.queue)
        self.windows.heard([job_id], self.now)
        self.feed()
        self.now += self.seconds[owner]
        self.windows.heard([job_id], self.now)
        self.feed()
        return owner


@pytest.mark.parametrize(
    ("out", "ahead_s", "level"),
    [(0, 0.0, 9), (1, 0.0, 9), (2, 0.0, 8), (15, 0.0, 0), (40, 0.0, 0), (0, 3.0, 6), (0, 99.0, 0)],
)
def test_a_message_is_as_urgent_as_its_owner_has_little(
    out: int, ahead_s: float, level: int
) -> None:
    assert urgency(out, SIZE, ahead_s) == level


@settings(max_examples=20)
@given(served=st.integers(0, 100), seconds=st.sampled_from([0.001, 0.3, 2.0, 100.0]))
def test_who_comes_new_is_next(served: int, seconds: float) -> None:
    bench = Bench(seconds={"many": seconds, "one": 1.0})
    bench.submit("many", 5000)
    for _ in range(served):
        assert bench.take() == "many"
    bench.submit("one")
    # Only what went out while nobody had anything out is as urgent.
    assert "one" in {bench.take() for _ in range(3)}


@settings(max_examples=15)
@given(
    number=st.integers(2, 4),
    seconds=st.sampled_from([0.01, 0.5, 3.0]),
    late=st.integers(0, 60),
)
def test_owners_with_much_share_evenly_over_any_stretch(
    number: int, seconds: float, late: int
) -> None:
    owners = [f"o{each}" for each in range(number)]
    bench = Bench(seconds=dict.fromkeys(owners, seconds))
    for owner in owners[1:]:
        bench.submit(owner, 5000)
    for _ in range(late):
        bench.take()
    bench.submit(owners[0], 5000)
    taken = [bench.take() for _ in range(400)]
    # What is uneven is a window and a half, and does not add up.
    for stretch in (100, 200, 400):
        for at in range(0, len(taken) - stretch + 1, 20):
            shares = Counter(taken[at : at + stretch])
            for owner in owners:
                assert abs(shares[owner] - stretch / len(owners)) <= 1.5 * SIZE


@settings(max_examples=15)
@given(
    rushing=st.integers(1, 4),
    seconds=st.sampled_from([0.2, 1.0, 30.0]),
    patient_s=st.sampled_from([0.2, 1.0, 30.0]),
)
def test_nobody_is_kept_waiting_by_those_who_come_again_and_again(
    rushing: int, seconds: float, patient_s: float
) -> None:
    owners = [f"o{number}" for number in range(rushing)]
    bench = Bench(seconds=dict.fromkeys(owners, seconds) | {"patient": patient_s})
    bench.submit("patient", 1000)
    for _ in range(30):
        bench.take()
    for owner in owners:
        bench.submit(owner, 2)
    served_at = bench.now
    longest_s = 0.0
    for _ in range(600):
        owner = bench.take()
        if owner == "patient":
            longest_s = max(longest_s, bench.now - patient_s - served_at)
            served_at = bench.now
        else:
            bench.submit(owner)
    # Ten levels of a second each until they are no more urgent than who waits, beyond the
    # window that who waits had at once.
    longest_s = max(longest_s, bench.now - served_at)
    assert longest_s <= rushing * (10 + (SIZE + 2) * max(seconds, patient_s))


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 40), st.integers(0, 10)), max_size=30
    )
)
def test_all_is_taken_in_the_end_and_nothing_is_remembered(
    steps: list[tuple[str, int, int]],
) -> None:
    bench = Bench(seconds={"a": 0.01, "b": 1.0, "c": 20.0})
    submitted: Counter[str] = Counter()
    taken: Counter[str] = Counter()
    for owner, jobs, takes in steps:
        bench.submit(owner, jobs)
        submitted[owner] += jobs
        for _ in range(min(takes, len(bench.queue))):
            taken[bench.take()] += 1
        assert all(len(bench.windows.jobs_out((TARGET, each))) <= SIZE for each in "abc")
    while bench.queue:
        taken[bench.take()] += 1
    assert +taken == +submitted
    assert bench.windows.waiting() == []
    assert all(bench.windows.is_free((TARGET, each)) for each in "abc")


def test_a_chunk_is_taken_at_the_first_word_of_any_of_its_jobs() -> None:
    windows = Windows(lambda _: 2)
    key = (TARGET, "a")
    jobs = [UUID(int=number) for number in range(4)]
    windows.out(key, UUID(int=10), jobs[:2])
    windows.out(key, UUID(int=11), jobs[2:])
    windows.wait(key)
    assert windows.room(key) == 0
    assert windows.heard([jobs[3]], 1.0) == {key}
    assert windows.jobs_out(key) == jobs[:2]
    assert windows.heard([jobs[2], UUID(int=99)], 1.0) == set()
    # One that goes out once more, by itself, is out once.
    windows.out(key, jobs[0], [jobs[0]])
    assert sorted(windows.jobs_out(key)) == jobs[:2]
