"""Looks into the database, past the server and every fault of the network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Event, Thread
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app.engines import make_engine
from app.rows import ACTIVE, JOB, RESULT, WORKER
from qdispatch.model import JobStatus
from tests.services.process import wait_until

_LOOK_S: Final = 0.1
_PATIENCE_S: Final = 60.0


class Monitor:
    """Knows how many jobs wait and run, as far as the database tells.

    Args:
        url: The database's own, not that of a link.
    """

    def __init__(self, url: str) -> None:
        self._engine = make_engine(url)
        self._load: Counter[tuple[str, JobStatus]] = Counter()
        self._reading = Event()
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="monitor", daemon=True)

    def start(self) -> None:
        """Starts looking."""
        self._thread.start()

    def close(self) -> None:
        """Ends the thread and the connections."""
        self._stop.set()
        self._thread.join()
        self._engine.dispose()

    def active(self) -> int:
        """How many jobs were not final when the database answered last."""
        return self._load.total()

    def running(self, target: str | None = None) -> int:
        """How many jobs ran then: of one target, or of all."""
        return sum(
            number
            for (of, status), number in self._load.items()
            if status is JobStatus.RUNNING and target in (None, of)
        )

    def jobs(self) -> list[Mapping[str, Any]]:
        """Every row, with the number of its results as `results`."""
        results = (
            sa.select(sa.func.count()).where(RESULT.c.job_id == JOB.c.id).scalar_subquery()
        ).label("results")
        return self._patiently(sa.select(JOB, results).order_by(JOB.c.id))

    def workers(self) -> list[Mapping[str, Any]]:
        """The workers that have reported, and not left."""
        return self._patiently(sa.select(WORKER))

    def count_active(self) -> int:
        """How many jobs are not final, asked now."""
        number = sa.select(sa.func.count().label("n")).select_from(JOB).where(sa.text(ACTIVE))
        return int(self._patiently(number)[0]["n"])

    def _patiently(self, statement: sa.Select[Any]) -> list[Mapping[str, Any]]:
        """For when all is healed, but the database may be on its way up still."""
        found: list[list[Mapping[str, Any]]] = []

        def answered() -> bool:
            try:
                found.append(self._all(statement))
            except DBAPIError:
                return False
            return True

        if not wait_until(answered, _PATIENCE_S, poll_s=0.5):
            raise TimeoutError("the database does not answer")
        return found[0]

    def _all(self, statement: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self._engine.connect() as connection:
            read = connection.execution_options(read_only=True)
            return [dict(row) for row in read.execute(statement).mappings()]

    def _watch(self) -> None:
        statement = (
            sa.select(JOB.c.target, JOB.c.status, sa.func.count().label("n"))
            .where(sa.text(ACTIVE))
            .group_by(JOB.c.target, JOB.c.status)
        )
        while not self._stop.wait(_LOOK_S):
            try:
                rows = self._all(statement)
            except DBAPIError:
                continue
            self._load = Counter({(row["target"], row["status"]): row["n"] for row in rows})
