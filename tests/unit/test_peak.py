"""The peak of memory belongs to the job that took it."""

from __future__ import annotations

import mmap

import pytest

from tasks.peak import TOLERANCE_BYTES, PeakMemory

LARGE = 2**26


def take(size: int) -> None:
    """Holds that much memory, and gives it back to the system."""
    with mmap.mmap(-1, size) as held:
        for at in range(0, size, mmap.PAGESIZE):
            held[at] = 1


def test_a_peak_is_not_the_next_jobs() -> None:
    memory = PeakMemory()
    memory.begin()
    small = memory.peak()
    assert small > 2**20
    memory.begin()
    take(LARGE)
    assert memory.peak() >= small + LARGE - TOLERANCE_BYTES
    memory.begin()
    assert memory.peak() < small + LARGE // 2


def test_what_was_not_exceeded_is_not_forgotten_again(monkeypatch: pytest.MonkeyPatch) -> None:
    forgot: list[int] = []
    memory = PeakMemory()
    forget = memory._forget
    monkeypatch.setattr(memory, "_forget", lambda: forgot.append(forget() or 1))
    for _ in range(10):
        memory.begin()
        memory.peak()
    assert len(forgot) == 1
    take(LARGE)
    memory.peak()
    memory.begin()
    assert len(forgot) == 2


def test_what_a_large_job_leaves_free_is_given_back() -> None:
    memory = PeakMemory()
    memory.begin()
    # Small objects, with some that stay among them, as an SDK leaves them.
    pieces = [bytes(1000) for _ in range(200_000)]
    left = pieces[::1000]
    large = memory.peak()
    pieces.clear()
    memory.give_back()
    assert len(left) == 200
    assert memory._resident() < large - 2**27
