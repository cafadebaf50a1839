"""The SQL, with `store_targets` and `store_history`: nowhere else is any.

Every method is one step of a use case's transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from alembic.migration import MigrationContext
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.jobs import EncodedResult, Failed, Finished, check_transition
from app.ports import Dispatch
from app.rows import ACTIVE, JOB, LEASED, RESULT, WORKER, JobRow, WorkerRow
from app.store_history import HistoryStatements
from app.store_targets import TargetStatements, is_paused
from app.watchdog import Watchdog
from qdispatch.errors import QDispatchError, UnavailableError
from qdispatch.model import JobStatus

_log = logging.getLogger(__name__)

# How long a call waits for a database that does not answer, in seconds.
CONNECT_TIMEOUT_S = 3
SQLITE_BUSY_S = 30
# The longest that one transaction may take, in seconds; the largest results
# take a second or two.
TRANSACTION_S = 10.0


def make_engine(url: str) -> sa.Engine:
    """An engine for SQLite (a file, in WAL mode) or PostgreSQL.

    Args:
        url: SQLAlchemy's URL.
    """
    if url.startswith("sqlite"):
        engine = sa.create_engine(
            url, connect_args={"timeout": SQLITE_BUSY_S, "check_same_thread": False}
        )
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    return sa.create_engine(
        url,
        pool_timeout=CONNECT_TIMEOUT_S,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_S,
            # In another zone, the first and the last moments of the calendar
            # would come back in years that Python does not have.
            "options": "-c timezone=utc",
        },
    )


def _set_up_sqlite(connection: Any, _record: object) -> None:
    # The driver's own transactions begin too late; _begin_sqlite makes them.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A transaction that reads first and writes later would meet SQLITE_BUSY
    # without waiting; one that takes the write lock at once waits its turn.
    read_only = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


class Store:
    """A database of jobs.

    Args:
        engine: From `make_engine`.
    """

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        # A file does not fall silent.
        self._watchdog = (
            Watchdog(engine, TRANSACTION_S) if engine.dialect.name == "postgresql" else None
        )

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """One transaction; it commits at the end, or leaves nothing.

        Raises:
            UnavailableError: The database is away.
        """
        with _translated(), self.engine.begin() as connection:
            yield Transaction(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """One transaction that only reads.

        Raises:
            UnavailableError: The database is away.
        """
        with _translated(), self.engine.connect() as connection:
            yield Transaction(connection.execution_options(read_only=True))

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
        if error.connection_invalidated:
            raise UnavailableError("the database went away; try again") from error
        raise


class JobGoneError(QDispatchError):
    """The job was deleted meanwhile."""


class Transaction:
    """The statements, within one transaction.

    Attributes:
        targets: Those about the states of targets.
        history: Those about jobs that have ended.
    """

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self.targets = TargetStatements(connection)
        self.history = HistoryStatements(connection)

    def _insert(self, table: sa.Table) -> Any:
        postgres = self._connection.dialect.name == "postgresql"
        return (postgresql if postgres else sqlite).insert(table)

    # -- submission

    def insert_job(self, row: JobRow) -> bool:
        """Adds a job; False if its owner has used the request_id before."""
        statement = self._insert(JOB).values(row.model_dump()).on_conflict_do_nothing()
        return bool(self._connection.execute(statement.returning(JOB.c.id)).all())

    def by_request(self, owner: str, request_id: str) -> JobRow | None:
        """The job of a submission."""
        return self._one(sa.select(JOB).where(JOB.c.owner == owner, JOB.c.request_id == request_id))

    # -- reading

    def job(self, job_id: UUID) -> JobRow | None:
        """One job."""
        return self._one(sa.select(JOB).where(JOB.c.id == job_id))

    def jobs(self, job_ids: Iterable[UUID]) -> list[JobRow]:
        """Those of these jobs that there are."""
        statement = sa.select(JOB).where(JOB.c.id.in_(list(job_ids)))
        return [JobRow(**row) for row in self._connection.execute(statement).mappings()]

    def results(self, job_id: UUID) -> Sequence[bytes]:
        """The encoded results of a job, by type and point."""
        return (
            self._connection.execute(
                sa.select(RESULT.c.value)
                .where(RESULT.c.job_id == job_id)
                .order_by(RESULT.c.result_type, RESULT.c.point)
            )
            .scalars()
            .all()
        )

    def load(self) -> dict[tuple[str, JobStatus], int]:
        """How many jobs are pending and running, by target."""
        rows = self._connection.execute(
            sa.select(JOB.c.target, JOB.c.status, sa.func.count())
            .where(_active())
            .group_by(JOB.c.target, JOB.c.status)
        )
        return {(target, status): number for target, status, number in rows}

    # -- the life of a job

    def claim(
        self, job_id: UUID, *, worker: str, now: datetime, lease_until: datetime
    ) -> JobRow | None:
        """Pending -> running; None if the job is not pending, or its target is paused."""
        return self._change(
            job_id,
            JobStatus.PENDING,
            JobStatus.RUNNING,
            unless=is_paused(hold=True),
            attempt=JOB.c.attempt + 1,
            worker=worker,
            started_at=now,
            lease_until=lease_until,
        )

    def renew(self, job_id: UUID, attempt: int, lease_until: datetime) -> bool:
        """Prolongs a lease; False if the attempt does not hold the job any more."""
        statement = (
            sa.update(JOB)
            .where(JOB.c.id == job_id, JOB.c.attempt == attempt, JOB.c.status == JobStatus.RUNNING)
            .values(lease_until=lease_until)
        )
        return self._connection.execute(statement).rowcount == 1

    def holds(self, job_id: UUID, attempt: int) -> bool:
        """Whether an attempt still holds its job."""
        statement = sa.select(JOB.c.id).where(
            JOB.c.id == job_id, JOB.c.attempt == attempt, JOB.c.status == JobStatus.RUNNING
        )
        return self._connection.execute(statement).first() is not None

    def finish(
        self, job_id: UUID, attempt: int, outcome: Finished, *, now: datetime, saving_s: float
    ) -> JobRow | None:
        """Running -> finished; None if the attempt does not hold the job any more."""
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.FINISHED,
            attempt_held=attempt,
            finish_time=now,
            lease_until=None,
            method=outcome.method,
            simulator_version=outcome.simulator_version,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            saving_s=saving_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            result_bytes=sum(len(each.value) for each in outcome.results),
        )

    def add_results(self, job_id: UUID, results: Iterable[EncodedResult]) -> None:
        """Stores results, to be rolled back if the job turns out to be given away.

        Raises:
            JobGoneError: It was deleted, having been canceled before.
        """
        values = [
            {
                "job_id": job_id,
                "result_type": each.result_type,
                "point": each.point,
                "value": each.value,
            }
            for each in results
        ]
        if values:
            try:
                self._connection.execute(self._insert(RESULT).on_conflict_do_nothing(), values)
            except IntegrityError as error:
                raise JobGoneError(f"there is no job {job_id} any more") from error

    def fail(
        self,
        job_id: UUID,
        outcome: Failed,
        *,
        now: datetime,
        attempt: int | None,
        faults: int = 0,
    ) -> JobRow | None:
        """To failed: from running if an attempt is given, else from pending.

        Args:
            job_id: The job.
            outcome: Why.
            now: The time.
            attempt: The one that holds it.
            faults: How many of its faults this is, 0 or 1.
        """
        return self._change(
            job_id,
            JobStatus.PENDING if attempt is None else JobStatus.RUNNING,
            JobStatus.FAILED,
            attempt_held=attempt,
            finish_time=now,
            lease_until=None,
            error_kind=outcome.kind.value,
            error_message=_storable(outcome.message),
            simulator_version=outcome.simulator_version,
            parsing_s=outcome.parsing_s,
            simulating_s=outcome.simulating_s,
            peak_memory_bytes=outcome.peak_memory_bytes,
            faults=JOB.c.faults + faults,
        )

    def cancel(self, job_ids: Iterable[UUID], held: JobStatus, *, now: datetime) -> list[JobRow]:
        """From ``held`` (pending or running) to canceled; those that were.

        The lease of one that ran stays until its worker confirms the stop.
        """
        check_transition(held, JobStatus.CANCELED)
        statement = (
            sa.update(JOB)
            .where(JOB.c.id.in_(list(job_ids)), JOB.c.status == held)
            .values(status=JobStatus.CANCELED, finish_time=now)
            .returning(*JOB.c)
        )
        return [JobRow(**row) for row in self._connection.execute(statement).mappings()]

    def cancel_attempt(self, job_id: UUID, attempt: int, *, now: datetime) -> JobRow | None:
        """Running -> canceled, by the worker that has stopped it."""
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.CANCELED,
            attempt_held=attempt,
            finish_time=now,
            stopped_at=now,
            lease_until=None,
        )

    def confirm_stop(self, job_id: UUID, attempt: int, *, now: datetime) -> None:
        """Notes that nothing of a canceled job runs any more."""
        self._connection.execute(
            sa.update(JOB)
            .where(
                JOB.c.id == job_id,
                JOB.c.attempt == attempt,
                JOB.c.status == JobStatus.CANCELED,
                JOB.c.stopped_at.is_(None),
            )
            .values(stopped_at=now, lease_until=None)
        )

    def end_lease(self, job_id: UUID, attempt: int) -> None:
        """Takes the lease off a canceled job whose worker has not confirmed."""
        self._connection.execute(
            sa.update(JOB)
            .where(
                JOB.c.id == job_id,
                JOB.c.attempt == attempt,
                JOB.c.status == JobStatus.CANCELED,
            )
            .values(lease_until=None)
        )

    def hand_over(
        self, job_id: UUID, attempt: int, *, faults: int = 0, not_before: datetime | None = None
    ) -> JobRow | None:
        """Running -> pending, to be sent again.

        Args:
            job_id: The job.
            attempt: The one that holds it.
            faults: How many of its faults this is, 0 or 1.
            not_before: When it may be sent.
        """
        return self._change(
            job_id,
            JobStatus.RUNNING,
            JobStatus.PENDING,
            attempt_held=attempt,
            lease_until=None,
            sent_at=None,
            not_before=not_before,
            faults=JOB.c.faults + faults,
        )

    def _change(
        self,
        job_id: UUID,
        old: JobStatus,
        new: JobStatus,
        *,
        attempt_held: int | None = None,
        unless: sa.ColumnElement[bool] | None = None,
        **values: object,
    ) -> JobRow | None:
        check_transition(old, new)
        statement = sa.update(JOB).where(JOB.c.id == job_id, JOB.c.status == old)
        if unless is not None:
            statement = statement.where(~unless)
        if attempt_held is not None:
            statement = statement.where(JOB.c.attempt == attempt_held)
        return self._one(statement.values(status=new, **values).returning(*JOB.c))

    # -- dispatch and sweep

    def mark_sent(self, sent: Sequence[Dispatch], now: datetime) -> None:
        """Notes that messages for these jobs are with the broker.

        A note that comes after the job was claimed and handed over is about a
        message that is used up, and must not keep the next one from being sent.
        The same goes for a note about a job of a paused target.
        """
        keys = [(each.job_id, each.attempt) for each in sent]
        self._connection.execute(
            sa.update(JOB)
            .where(sa.tuple_(JOB.c.id, JOB.c.attempt).in_(keys), JOB.c.status == JobStatus.PENDING)
            .where(~is_paused())
            .values(sent_at=now)
        )

    def hold_back(self, job_id: UUID) -> None:
        """Has a job that could not be claimed sent again, if it is pending still.

        It is, if its target is paused; the message that led here is used up.
        """
        self._connection.execute(
            sa.update(JOB)
            .where(JOB.c.id == job_id, JOB.c.status == JobStatus.PENDING)
            .values(sent_at=None)
        )

    def unsent(self, now: datetime, created_before: datetime, limit: int) -> list[Dispatch]:
        """Jobs that no message was sent for, and may be sent by now, oldest first."""
        return self._dispatches(
            JOB.c.sent_at.is_(None),
            JOB.c.created_at < created_before,
            sa.or_(JOB.c.not_before.is_(None), JOB.c.not_before <= now),
            limit=limit,
        )

    def sent(self) -> dict[str, int]:
        """How many pending jobs should have a message in their queue, by target."""
        rows = self._connection.execute(
            sa.select(JOB.c.target, sa.func.count())
            .where(_active(), JOB.c.status == JobStatus.PENDING, JOB.c.sent_at.is_not(None))
            .group_by(JOB.c.target)
        )
        return {target: int(number) for target, number in rows}

    def sent_before(self, target: str, moment: datetime, limit: int) -> list[Dispatch]:
        """Pending jobs of a target that were sent before a moment, oldest first."""
        return self._dispatches(JOB.c.target == target, JOB.c.sent_at < moment, limit=limit)

    def _dispatches(self, *where: sa.ColumnElement[bool], limit: int) -> list[Dispatch]:
        # Those of paused targets wait.
        rows = self._connection.execute(
            sa.select(JOB.c.id, JOB.c.attempt, JOB.c.target, JOB.c.n_qubits, JOB.c.shots)
            .where(_active(), JOB.c.status == JobStatus.PENDING, ~is_paused(), *where)
            .order_by(JOB.c.id)
            .limit(limit)
        )
        return [
            Dispatch(
                job_id=job_id,
                attempt=attempt,
                target=target,
                label=label(target, n_qubits, shots),
            )
            for job_id, attempt, target, n_qubits, shots in rows
        ]

    def lapsed(self, now: datetime) -> list[JobRow]:
        """Jobs whose lease has ended: running, or canceled and not confirmed to have stopped."""
        statement = sa.select(JOB).where(_leased(), JOB.c.lease_until < now)
        return [JobRow(**row) for row in self._connection.execute(statement).mappings()]

    def active_among(self, job_ids: Sequence[UUID]) -> set[UUID]:
        """Those of these jobs that are not final."""
        statement = sa.select(JOB.c.id).where(JOB.c.id.in_(job_ids), _active())
        return set(self._connection.execute(statement).scalars())

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
        return MigrationContext.configure(self._connection).get_current_revision()

    def _one(self, statement: sa.Executable) -> JobRow | None:
        row = self._connection.execute(statement).mappings().one_or_none()
        return None if row is None else JobRow(**row)


def _storable(text: str) -> str:
    """A message as every database and the wire can carry it; parsers quote anything."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _active() -> sa.ColumnElement[bool]:
    # Spelled as the partial index is, without parameters, so that it is used.
    return sa.literal_column(ACTIVE, sa.Boolean())


def _leased() -> sa.ColumnElement[bool]:
    return sa.literal_column(LEASED, sa.Boolean())


def label(target: str, n_qubits: int, shots: int) -> str:
    """What monitors show of a job beside its id."""
    return f"target={target} qubits={n_qubits} shots={shots}"
