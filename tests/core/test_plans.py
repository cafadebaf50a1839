"""What runs often finds its rows by an index, however long the history is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from app.store import Transaction
from tests.core.journal import listening
from tests.world import World

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _others_wait(tx: Transaction) -> None:
    """Of a target with an owner who waits, though there is no such job."""
    tx.feeding.others_wait(uuid4(), NOW)
    tx.feeding._next_owner("aer", "you")
    tx.feeding._is_in_queue("aer", "you", NOW)


OFTEN: dict[str, Callable[[Transaction], object]] = {
    "load": lambda tx: tx.load(),
    "sent": lambda tx: tx.sent(),
    "backlogs": lambda tx: tx.feeding.backlogs(NOW, NOW, ["aer"]),
    "next": lambda tx: tx.feeding.next(("aer", ""), NOW, NOW, 500),
    "reserve": lambda tx: tx.feeding.reserve({None: [uuid4()]}, NOW, NOW),
    "messages": lambda tx: tx.feeding.messages([("aer", "")]),
    "pending_among": lambda tx: tx.feeding.pending_among([uuid4()]),
    "others_wait": _others_wait,
    "sent_before": lambda tx: tx.sent_before("aer", NOW, messages=5, limit=500),
    "lapsed": lambda tx: tx.lapsed(NOW),
    "active_among": lambda tx: tx.active_among([uuid4()]),
    "requeue": lambda tx: tx.targets.requeue(),
    "chunks": lambda tx: tx.chunks.jobs([uuid4()]),
    "active": lambda tx: tx.history.active(),
    "result_bytes": lambda tx: tx.history.result_bytes(),
    "in_flight": lambda tx: tx.usage.in_flight(),
}


@contextmanager
def plans(world: World) -> Iterator[list[str]]:
    """How SQLite goes about each statement that is given meanwhile."""
    found: list[str] = []

    def explain(_conn: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "WITH"):
            look = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            found.extend(row[3] for row in look)

    with listening(world, before_cursor_execute=explain):
        yield found


@pytest.mark.parametrize("name", OFTEN)
def test_no_look_goes_through_all_jobs(world: World, name: str) -> None:
    with plans(world) as found, world.store.write() as tx:
        OFTEN[name](tx)  # type: ignore[arg-type]
    of_jobs = [each for each in found if "job" in each.split()]
    assert of_jobs
    assert [each for each in of_jobs if "INDEX" not in each] == []


def test_what_is_in_flight_is_not_looked_for_in_the_history(world: World) -> None:
    with plans(world) as found, world.store.read() as tx:
        tx.usage.in_flight()
    (of_jobs,) = [each for each in found if "job" in each.split()]
    # Not by that of owners, which would be the order to count in and has all jobs in it.
    assert "SEARCH job USING INDEX job_status_idx (status=?)" in of_jobs
