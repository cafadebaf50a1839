"""The SQL, with the other `store_` modules: nowhere else is any.

Every method is one step of a use case's transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.forks import FORKS
from app.rows import (
    ACTIVE,
    BATCH,
    JOB,
    RESULT,
    SWEEP,
    WORKER,
    BatchRow,
    JobRow,
    WorkerRow,
)
from app.store_cache import CacheStatements
from app.store_chunks import ChunkStatements
from app.store_dispatch import DispatchStatements
from app.store_feeding import FeedingStatements
from app.store_history import HistoryStatements
from app.store_insert import ACCEPT_JOBS, INSERT_JOBS, INSERT_NEW_JOBS, as_json
from app.store_keys import among
from app.store_lists import ListStatements
from app.store_targets import TargetStatements
from app.store_tokens import TokenStatements
from app.store_usage import UsageStatements
from app.watchdog import Watchdog
from qdispatch.errors import UnavailableError
from qdispatch.model import JobStatus, TargetState

_log = logging.getLogger(__name__)

# The longest that one transaction may take, in seconds; the largest results
# take a second or two.
TRANSACTION_S = 10.0
# One that carries results, over a slow link.
LONG_TRANSACTION_S = 60.0
# Classes of SQLSTATE that a caller can only wait for: a transaction that may not
# write (on a server that has just taken over), want of resources, an operator, a
# broken system.
_AWAY = frozenset({"25", "53", "57", "58"})


class Store:
    """A database of jobs.

    Args:
        engine: From `app.engines.make_engine`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # Where each statement sees what is committed by then, a transaction around
        # some that only read is nothing but two more journeys. In SQLite it is what
        # has all of them see the same.
        postgresql = engine.dialect.name == "postgresql"
        self._readers = engine.execution_options(
            **({"isolation_level": "AUTOCOMMIT"} if postgresql else {"read_only": True})
        )
        # A file does not fall silent: SQLite waits for its lock for so long only.
        self._watchdog = Watchdog(engine) if engine.dialect.name == "postgresql" else None

    @contextmanager
    def write(self, *, long: bool = False) -> Iterator[Transaction]:
        """One transaction; it commits at the end, or leaves nothing.

        Args:
            long: Whether it carries much.

        Raises:
            UnavailableError: The database is away.
        """
        with _translated(), self._watched(long), self.engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def once(self) -> Iterator[Transaction]:
        """As `write`, for one statement, or for some that do not need each other.

        On PostgreSQL each is a transaction of its own, which is durable like any
        other, and spares the journeys that begin and end one.

        Raises:
            UnavailableError: The database is away.
        """
        if self._watchdog is None:
            with self.write() as tx:
                yield tx
            return
        with _translated(), self._watched(False), self._readers.connect() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self, *, long: bool = False) -> Iterator[Transaction]:
        """Statements that only read.

        Args:
            long: Whether it carries much.

        Raises:
            UnavailableError: The database is away.
        """
        with _translated(), self._watched(long), self._readers.connect() as connection:
            yield Transaction(connection)

    def _watched(self, long: bool) -> AbstractContextManager[None]:
        if self._watchdog is None:
            return FORKS.held_off()
        return self._watchdog.limited(LONG_TRANSACTION_S if long else TRANSACTION_S)

    def close(self) -> None:
        """Closes all connections."""
        if self._watchdog is not None:
            self._watchdog.close()
        self.engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError) as error:
        # It may be away, or full, or lack a table: the caller can only wait,
        # but the operator needs to know.
        _log.warning("database: %s", " ".join(str(error.args[0] if error.args else error).split()))
        raise UnavailableError("the database does not answer; try again") from error
    except DBAPIError as error:
        state = str(getattr(error.orig, "sqlstate", None) or "")
        if error.connection_invalidated or state[:2] in _AWAY:
            raise UnavailableError("the database went away; try again") from error
        raise


def _by_keys(
    statement: sa.Select[Any], column: sa.ColumnElement[UUID]
) -> Mapping[str, sa.Select[Any]]:
    return {dialect: statement.where(each) for dialect, each in among(column).items()}


def _in_order(rows: Iterable[JobRow]) -> list[dict[str, Any]]:
    """What is to be inserted: two who add some of the same would else wait for each other."""
    ordered = sorted(rows, key=lambda row: (row.owner, row.request_id))
    return [row.model_dump() for row in ordered]


# What is another's is not even read: else how long that takes would tell of it.
_IS_THEIRS: Final = JOB.c.owner == sa.func.coalesce(
    sa.bindparam("owner", type_=sa.String), JOB.c.owner
)
_RESULTS_OF_ONE: Final = (
    sa.select(RESULT.c.value)
    .join(JOB, JOB.c.id == RESULT.c.job_id)
    .where(JOB.c.id == sa.bindparam("key"), _IS_THEIRS)
    .order_by(RESULT.c.result_type, RESULT.c.point)
)
_SMALL_RESULTS: Final = _RESULTS_OF_ONE.where(JOB.c.result_bytes <= sa.bindparam("most"))
# Put together once: to do so takes as long as the rest of a call.
_JOB: Final = sa.select(JOB).where(JOB.c.id == sa.bindparam("key"), _IS_THEIRS)
_JOBS: Final = _by_keys(sa.select(JOB), JOB.c.id)
_THEIR_JOBS: Final = {
    dialect: _JOBS[dialect].where(each)
    for dialect, each in among(JOB.c.owner, name="owners").items()
}
_SWEEPS: Final = _by_keys(sa.select(SWEEP.c.job_id, SWEEP.c.packed), SWEEP.c.job_id)
_RESULTS: Final = _by_keys(
    sa.select(RESULT.c.job_id, RESULT.c.value).order_by(
        RESULT.c.job_id, RESULT.c.result_type, RESULT.c.point
    ),
    RESULT.c.job_id,
)


class Transaction(DispatchStatements):
    """The statements, within one transaction.

    Attributes:
        targets: Those about the states of targets.
        chunks: Those about jobs that one message carries.
        feeding: Those about jobs that wait for their owners' turns.
        history: Those about jobs that have ended.
        cache: Those about jobs that answer equal ones.
        lists: Those about lists of jobs, and batches.
        tokens: Those about what callers show to be let in.
        usage: Those about quotas, and what is used of them.
    """

    def __init__(self, connection: sa.Connection) -> None:
        super().__init__(connection)
        self._dialect = connection.dialect.name
        self.targets = TargetStatements(connection)
        self.chunks = ChunkStatements(connection)
        self.feeding = FeedingStatements(connection)
        self.history = HistoryStatements(connection)
        self.cache = CacheStatements(connection)
        self.lists = ListStatements(connection)
        self.tokens = TokenStatements(connection)
        self.usage = UsageStatements(connection)

    # -- submission

    def insert_jobs(self, rows: Sequence[JobRow], packed_points: Mapping[UUID, bytes]) -> set[UUID]:
        """Adds those jobs whose owner has not used the request_id before; returns which.

        Args:
            rows: The jobs.
            packed_points: The values of those that are sweeps.
        """
        values = _in_order(rows)
        if self._connection.dialect.name == "postgresql":
            added = self._connection.execute(INSERT_NEW_JOBS, {"rows": as_json(values)})
        else:
            statement = self._insert(JOB).on_conflict_do_nothing().returning(JOB.c.id)
            added = self._connection.execute(statement, values)
        inserted = set(added.scalars())
        self._add_sweeps({key: each for key, each in packed_points.items() if key in inserted})
        return inserted

    def accept_jobs(self, rows: Sequence[JobRow]) -> tuple[set[UUID], Mapping[str, TargetState]]:
        """As `insert_jobs`, of those whose target is not drained; without sweeps.

        On PostgreSQL this is one statement, which can be a transaction of its own.

        Returns:
            The jobs that were added, and the states of targets that are not active.
        """
        if self._connection.dialect.name == "postgresql":
            values = {"rows": as_json(_in_order(rows))}
            found = self._connection.execute(ACCEPT_JOBS, values).all()
            states = {name: TargetState(state) for _, name, state in found if name is not None}
            return {key for key, _, _ in found if key is not None}, states
        states = dict(self.targets.states(hold=True))
        accepted = [row for row in rows if states.get(row.target) is not TargetState.DRAINED]
        return self.insert_jobs(accepted, {}) if accepted else set(), states

    def insert_batch(
        self, batch: BatchRow, rows: Sequence[JobRow], packed_points: Mapping[UUID, bytes]
    ) -> bool:
        """Adds many jobs; False, and nothing, if their owner has used the request_id before.

        Args:
            batch: What they have in common.
            rows: The jobs.
            packed_points: The values of those that are sweeps.
        """
        statement = self._insert(BATCH).values(batch.model_dump()).on_conflict_do_nothing()
        if not self._connection.execute(statement.returning(BATCH.c.id)).all():
            return False
        values = [row.model_dump() for row in rows]
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(INSERT_JOBS, {"rows": as_json(values)})
        else:
            self._connection.execute(sa.insert(JOB), values)
        self._add_sweeps(packed_points)
        return True

    def _add_sweeps(self, packed_points: Mapping[UUID, bytes]) -> None:
        if packed_points:
            values = [{"job_id": key, "packed": each} for key, each in packed_points.items()]
            self._connection.execute(sa.insert(SWEEP), values)

    def by_request(self, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], JobRow]:
        """The jobs of submissions, by their owners and request_ids."""
        some = sa.tuple_(JOB.c.owner, JOB.c.request_id).in_(list(keys))
        rows = self._rows(sa.select(JOB).where(some))
        return {(row.owner, row.request_id): row for row in rows}

    def batch_by_request(self, owner: str, request_id: str) -> BatchRow | None:
        """The batch of a submission."""
        row = self._connection.execute(
            sa.select(BATCH).where(BATCH.c.owner == owner, BATCH.c.request_id == request_id)
        )
        found = row.mappings().one_or_none()
        return None if found is None else BatchRow(**found)

    # -- reading

    def sweep(self, job_id: UUID) -> bytes:
        """The packed values of a sweep; none if the job has none."""
        return self.sweeps([job_id]).get(job_id, b"")

    def sweeps(self, job_ids: Collection[UUID]) -> dict[UUID, bytes]:
        """The packed values of those of these jobs that are sweeps."""
        if not job_ids:
            return {}
        rows = self._connection.execute(_SWEEPS[self._dialect], {"keys": list(job_ids)})
        return {job_id: bytes(packed) for job_id, packed in rows}

    def job(self, job_id: UUID, owner: str | None = None) -> JobRow | None:
        """One job; of this owner's, if one is given."""
        return self._one(_JOB, {"key": job_id, "owner": owner})

    def jobs(
        self, job_ids: Collection[UUID], owners: Collection[str | None] = (None,)
    ) -> list[JobRow]:
        """Those of these jobs that there are for some of these owners; None is for everybody."""
        keys = list(job_ids)
        if None in owners:
            return self._rows(_JOBS[self._dialect], {"keys": keys})
        return self._rows(_THEIR_JOBS[self._dialect], {"keys": keys, "owners": list(owners)})

    def results(self, job_id: UUID, owner: str | None = None) -> list[bytes]:
        """The encoded results of a job, by type and point; of this owner's, if one is given."""
        values = {"key": job_id, "owner": owner}
        return list(self._connection.execute(_RESULTS_OF_ONE, values).scalars())

    def small_results(self, job_id: UUID, most: int, owner: str | None) -> list[bytes]:
        """As `results`, or none if they take more bytes than this, or are another owner's."""
        values = {"key": job_id, "most": most, "owner": owner}
        return list(self._connection.execute(_SMALL_RESULTS, values).scalars())

    def results_of(self, job_ids: Collection[UUID]) -> dict[UUID, list[bytes]]:
        """The encoded results of those of these jobs that have any, by type and point."""
        if not job_ids:
            return {}
        rows = self._connection.execute(_RESULTS[self._dialect], {"keys": list(job_ids)})
        found: dict[UUID, list[bytes]] = {}
        for job_id, value in rows:
            found.setdefault(job_id, []).append(value)
        return found

    def load(self) -> dict[tuple[str, JobStatus], int]:
        """How many jobs are pending and running, by target."""
        rows = self._connection.execute(
            sa.select(JOB.c.target, JOB.c.status, sa.func.count())
            .where(sa.text(ACTIVE))
            .group_by(JOB.c.target, JOB.c.status)
        )
        return {(target, status): number for target, status, number in rows}

    # -- workers

    def see_worker(self, row: WorkerRow) -> None:
        """Notes that a worker is there."""
        values = row.model_dump()
        statement = self._insert(WORKER).values(values)
        self._connection.execute(
            statement.on_conflict_do_update(index_elements=["name"], set_=values)
        )

    def forget_worker(self, name: str) -> None:
        """Notes that a worker has stopped."""
        self._connection.execute(sa.delete(WORKER).where(WORKER.c.name == name))

    def forget_workers(self, seen_before: datetime) -> int:
        """Removes workers that were not seen for long; returns how many."""
        statement = sa.delete(WORKER).where(WORKER.c.seen_at < seen_before)
        return self._connection.execute(statement).rowcount

    def workers(self, seen_after: datetime) -> dict[str, tuple[int, int]]:
        """How many workers each target has, of those seen lately, and their slots."""
        rows = self._connection.execute(
            sa.select(WORKER.c.target, sa.func.count(), sa.func.sum(WORKER.c.concurrency))
            .where(WORKER.c.seen_at > seen_after)
            .group_by(WORKER.c.target)
        )
        return {target: (workers, int(slots)) for target, workers, slots in rows}

    # -- schema

    def revision(self) -> str | None:
        """The schema's revision; None if the database was never migrated."""
        # Alembic would say the same; but every process of the service asks this, and
        # one needs Alembic.
        if not sa.inspect(self._connection).has_table("alembic_version"):
            return None
        found = self._connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return None if found is None else str(found)
