"""Cancellations against workers, by the thousand, on PostgreSQL with real connections."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
import sqlalchemy as sa

from app.rows import JOB, RESULT, JobRow
from app.store import Store
from qdispatch.model import CancelVerdict, JobStatus
from tests.core.databases import ON_POSTGRESQL
from tests.core.races import Race, run
from tests.world import World, finished

SLOW = (pytest.mark.long, pytest.mark.timeout(600))

# Each has a thread for the worker and one for the user.
TRACKS = 4

TOO_LATE, REMOVED = CancelVerdict.TOO_LATE, CancelVerdict.REMOVED_FROM_QUEUE
STOPPED = (CancelVerdict.STOPPING, CancelVerdict.STOPPED_RUNNING)


def rows_of(world: World) -> dict[UUID, JobRow]:
    assert isinstance(world.store.inner, Store)
    with world.store.inner.engine.connect() as connection:
        found = connection.execute(sa.select(JOB)).mappings()
        return {row["id"]: JobRow(**row) for row in found}


def results_of(world: World) -> Counter[UUID]:
    assert isinstance(world.store.inner, Store)
    with world.store.inner.engine.connect() as connection:
        return Counter(connection.execute(sa.select(RESULT.c.job_id)).scalars())


def check(race: Race, row: JobRow, results: int) -> None:
    """What both were told is what the database has, and one of them has won."""
    verdict, told = race.canceled.verdict, race.canceled.job
    if race.held:
        assert (verdict, row.status) == (TOO_LATE, JobStatus.FINISHED)
    else:
        assert verdict in ((REMOVED,) if race.claim is None else STOPPED)
        assert row.status is JobStatus.CANCELED
    assert told.status is row.status
    assert told.finish_time == row.finish_time is not None
    assert results == (len(finished().results) if race.held else 0)
    assert row.attempt == (0 if race.claim is None else race.claim.attempt)
    assert row.lease_until is None
    assert (row.stopped_at is not None) is (verdict in STOPPED)
    assert (told.stopped_at is not None) is (verdict is CancelVerdict.STOPPED_RUNNING)


def check_all(world: World, races: list[Race]) -> Counter[CancelVerdict]:
    rows, results = rows_of(world), results_of(world)
    for race in races:
        check(race, rows[race.job_id], results[race.job_id])
    assert world.files() == set()
    return Counter(race.canceled.verdict for race in races)


@ON_POSTGRESQL
@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=SLOW)])
def test_of_cancel_and_finish_exactly_one_wins(world: World, number: int) -> None:
    verdicts = check_all(world, run(world, number, JobStatus.RUNNING, tracks=TRACKS))
    assert verdicts[TOO_LATE] >= number / 10
    assert sum(verdicts[each] for each in STOPPED) >= number / 10
    # Both ways to say so have been seen as well.
    assert all(verdicts[each] for each in STOPPED)


@ON_POSTGRESQL
@pytest.mark.parametrize("number", [100, pytest.param(3_000, marks=SLOW)])
def test_of_cancel_and_claim_exactly_one_comes_first(world: World, number: int) -> None:
    verdicts = check_all(world, run(world, number, JobStatus.PENDING, tracks=TRACKS))
    assert verdicts[REMOVED] >= number / 10
    assert number - verdicts[REMOVED] >= number / 10
