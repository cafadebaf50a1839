"""A job's life, as it is kept in its row and told to watchers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.events import events_of, line
from app.rows import JobRow
from qdispatch.model import JobEvent, JobStatus

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED
WORDS = {each.value[0]: each for each in (PENDING, RUNNING, FINISHED)} | {
    "c": CANCELED,
    "x": FAILED,
}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def life(letters: str) -> str:
    """Changes a second apart; x is failed."""
    return "".join(line(WORDS[each], at(place)) for place, each in enumerate(letters))


def row(letters: str, **values: Any) -> JobRow:
    status = WORDS[letters[-1]] if letters else PENDING
    kept = {"status": status, "attempt": letters.count("r"), "created_at": START}
    return JobRow(**(kept | {"life": life(letters)} | values))


def told(events: tuple[JobEvent, ...]) -> list[tuple[str, int]]:
    return [(each.status.value, each.attempt) for each in events]


def test_a_line_has_the_status_and_the_moment() -> None:
    assert line(RUNNING, START) == "running 2026-01-02T03:04:05.678901+00:00\n"
    elsewhere = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert line(RUNNING, elsewhere) == line(RUNNING, START)


def test_what_is_kept_is_what_is_told() -> None:
    events = events_of(row("prprf"))
    assert events == tuple(
        JobEvent(number=number, status=status, at=at(number - 1), attempt=attempt)
        for number, (status, attempt) in enumerate(
            [(PENDING, 0), (RUNNING, 1), (PENDING, 1), (RUNNING, 2), (FINISHED, 2)], 1
        )
    )


@pytest.mark.parametrize("letters", ["p", "pr", "pc", "px", "prc", "prx", "prprpr"])
def test_every_kept_change_is_one_event(letters: str) -> None:
    events = events_of(row(letters))
    assert [each.status for each in events] == [WORDS[each] for each in letters]
    assert events[-1].attempt == letters.count("r")


@pytest.mark.parametrize(
    ("letters", "values", "expected"),
    [
        # Rows that a process of the version before has made and ended by itself.
        ("", {"status": PENDING}, [("pending", 0)]),
        ("", {"status": CANCELED}, [("pending", 0), ("canceled", 0)]),
        ("", {"status": RUNNING, "attempt": 1}, [("pending", 0), ("running", 1)]),
        ("", {"status": RUNNING, "attempt": 3}, [("pending", 0), ("running", 3)]),
        (
            "",
            {"status": FAILED, "attempt": 2},
            [("pending", 0), ("running", 2), ("failed", 2)],
        ),
        # It has only claimed, or only ended, what this version has begun.
        ("p", {"status": RUNNING, "attempt": 1}, [("pending", 0), ("running", 1)]),
        (
            "p",
            {"status": FINISHED, "attempt": 1},
            [("pending", 0), ("running", 1), ("finished", 1)],
        ),
        ("p", {"status": CANCELED}, [("pending", 0), ("canceled", 0)]),
        ("pr", {"status": FAILED}, [("pending", 0), ("running", 1), ("failed", 1)]),
        # This version has gone on with what it has begun.
        ("r", {}, [("pending", 0), ("running", 1)]),
        ("rf", {}, [("pending", 0), ("running", 1), ("finished", 1)]),
        ("c", {}, [("pending", 0), ("canceled", 0)]),
        ("pp", {"attempt": 1}, [("pending", 0), ("running", 1), ("pending", 1)]),
        ("pf", {"attempt": 1}, [("pending", 0), ("running", 1), ("finished", 1)]),
        (
            "prr",
            {"attempt": 2},
            [("pending", 0), ("running", 1), ("pending", 1), ("running", 2)],
        ),
    ],
)
def test_what_the_version_before_did_not_keep_is_made_up_for(
    letters: str, values: dict[str, Any], expected: list[tuple[str, int]]
) -> None:
    times = {"started_at": at(1)} if values.get("attempt", letters.count("r")) else {}
    events = events_of(row(letters, **(times | values)))
    assert told(events) == expected
    assert [each.number for each in events] == list(range(1, len(events) + 1))
    moments = [each.at for each in events]
    assert moments == sorted(moments)


def test_times_that_are_made_up_are_those_of_the_row() -> None:
    ended = row("", status=FINISHED, attempt=1, started_at=at(2), finish_time=at(5))
    assert [each.at for each in events_of(ended)] == [at(0), at(2), at(5)]


def test_a_status_that_went_back_unnoticed_comes_last() -> None:
    """A running job that the version before has made pending again."""
    events = events_of(row("pr", status=PENDING, started_at=at(1)))
    assert told(events) == [("pending", 0), ("running", 1), ("pending", 1)]


def test_clocks_that_differ_do_not_turn_events_round() -> None:
    kept = line(PENDING, at(0)) + line(RUNNING, at(5)) + line(FINISHED, at(4))
    events = events_of(row("prf", life=kept))
    assert [each.at for each in events] == [at(0), at(5), at(5)]
