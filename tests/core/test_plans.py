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

OFTEN: dict[str, Callable[[Transaction], object]] = {
    "load": lambda tx: tx.load(),
    "sent": lambda tx: tx.sent(),
    "unsent": lambda tx: tx.unsent(NOW, NOW, 500, ["aer"]),
    "sent_before": lambda tx: tx.sent_before("aer", NOW, messages=5, limit=500),
    "lapsed": lambda tx: tx.lapsed(NOW),
    "active_among": lambda tx: tx.active_among([uuid4()]),
    "requeue": lambda tx: tx.targets.requeue(),
    "chunks": lambda tx: tx.chunks.jobs([uuid4()]),
    "active": lambda tx: tx.history.active(),
    "result_bytes": lambda tx: tx.history.result_bytes(),
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
