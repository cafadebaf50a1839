"""The tables, as SQLModel rows.

History is kept: nothing is overwritten but the state of a job that is not
final yet. What is deleted, by hand or by retention, is deleted as a whole.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any, Final, cast
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field, SQLModel

from qdispatch.model import JobStatus


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A UTC-aware moment, also where the database keeps no time zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """To the database; a naive moment is a defect, not a time zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive moment: {value}")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class StatusColumn(sa.types.TypeDecorator[JobStatus]):
    """A status by its value; SQLAlchemy's own Enum would store its name."""

    impl = sa.String(16)
    cache_ok = True

    def process_bind_param(self, value: JobStatus | str | None, dialect: sa.Dialect) -> str | None:  # noqa: ARG002
        """To the database; a word that is no status is refused."""
        return None if value is None else JobStatus(value).value

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> JobStatus | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else JobStatus(value)


ACTIVE = "status IN ('pending', 'running')"
LEASED = "lease_until IS NOT NULL"
PENDING = "status = 'pending'"
HAS_RESULTS = "result_bytes > 0"
IN_BATCH = "batch_id IS NOT NULL"
IN_CHUNK = f"chunk_id IS NOT NULL AND {ACTIVE}"

#: Larger results, in bytes, are not kept for equal jobs: to copy them takes long. A state
#: vector of 22 qubits is a little more than 64 MiB.
MAX_ENTRY_BYTES: Final = 65 * 2**20
# Only what has finished has results. The status is not named: SQLite, which counts
# nothing beforehand, would take an index of all jobs that have it for better.
ENTRY = f"cache_key IS NOT NULL AND result_bytes BETWEEN 1 AND {MAX_ENTRY_BYTES}"


class JobRow(SQLModel, table=True):
    """One job."""

    __tablename__ = "job"
    __table_args__ = (
        sa.UniqueConstraint("owner", "request_id", name="job_owner_request_id_key"),
        # Lists of these, newest first.
        sa.Index("job_owner_idx", "owner", "id"),
        sa.Index("job_target_idx", "target", "id"),
        sa.Index("job_status_idx", "status", "id"),
        sa.Index("job_created_idx", "created_at", "id"),
        # What is active is little, however long the history grows.
        sa.Index(
            "job_active_idx",
            "target",
            "status",
            postgresql_where=sa.text(ACTIVE),
            sqlite_where=sa.text(ACTIVE),
        ),
        # What waits, as its owners' turns come.
        sa.Index(
            "job_waiting_idx",
            "target",
            "owner",
            "sent_at",
            "priority",
            "id",
            postgresql_where=sa.text(PENDING),
            sqlite_where=sa.text(PENDING),
        ),
        sa.Index(
            "job_lease_idx",
            "lease_until",
            postgresql_where=sa.text(LEASED),
            sqlite_where=sa.text(LEASED),
        ),
        # Adding up what the results take reads this and not the whole history.
        sa.Index(
            "job_result_bytes_idx",
            "result_bytes",
            postgresql_where=sa.text(HAS_RESULTS),
            sqlite_where=sa.text(HAS_RESULTS),
        ),
        sa.Index(
            "job_batch_idx",
            "batch_id",
            "batch_index",
            postgresql_where=sa.text(IN_BATCH),
            sqlite_where=sa.text(IN_BATCH),
        ),
        # The whole cache is in it: its entries, their age and their size.
        sa.Index(
            "job_cache_idx",
            "cache_key",
            "id",
            "result_bytes",
            postgresql_where=sa.text(ENTRY),
            sqlite_where=sa.text(ENTRY),
        ),
        sa.Index(
            "job_chunk_idx",
            "chunk_id",
            postgresql_where=sa.text(IN_CHUNK),
            sqlite_where=sa.text(IN_CHUNK),
        ),
    )

    id: UUID = Field(primary_key=True)
    owner: str
    request_id: str
    digest: bytes
    created_at: datetime = Field(sa_type=UtcDateTime)
    status: JobStatus = Field(sa_type=StatusColumn)
    target: str
    framework: str
    n_qubits: int = Field(sa_type=sa.BigInteger)
    depth: int = Field(sa_type=sa.BigInteger)
    submission_date: datetime | None = Field(default=None, sa_type=UtcDateTime)
    program_format: str
    result_types: list[str] = Field(sa_type=sa.JSON)
    shots: int = Field(sa_type=sa.BigInteger)
    seed: int | None = Field(default=None, sa_type=sa.BigInteger)
    observables: list[Any] = Field(sa_type=sa.JSON)
    extra: str = Field(sa_type=sa.Text)
    time_limit_s: float
    tags: list[str] = Field(sa_type=sa.JSON)
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    finish_time: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempt: int = 0
    worker: str = ""
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error_kind: str | None = None
    error_message: str | None = Field(default=None, sa_type=sa.Text)
    method: str = ""
    simulator_version: str = ""
    parsing_s: float | None = None
    simulating_s: float | None = None
    saving_s: float | None = None
    peak_memory_bytes: int = Field(default=0, sa_type=sa.BigInteger)
    faults: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    not_before: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stopped_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    result_bytes: int = Field(
        default=0, sa_type=sa.BigInteger, sa_column_kwargs={"server_default": "0"}
    )
    batch_id: UUID | None = None
    batch_index: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    #: Names the message that carries it with others; None if it has one of its own.
    chunk_id: UUID | None = None
    parameters: list[str] = Field(
        default_factory=list, sa_type=sa.JSON, sa_column_kwargs={"server_default": "[]"}
    )
    n_points: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    points_done: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    #: Every change of its status: see `app.events`.
    life: str = Field(default="", sa_type=sa.Text, sa_column_kwargs={"server_default": ""})
    method_reason: str = Field(default="", sa_type=sa.Text, sa_column_kwargs={"server_default": ""})
    use_cache: bool = Field(default=True, sa_column_kwargs={"server_default": sa.true()})
    #: What it has in common with equal jobs; see `app.cache`.
    cache_key: bytes | None = None
    #: Of what has run it; see `tasks.fingerprint`.
    fingerprint: str = Field(default="", sa_column_kwargs={"server_default": ""})
    #: The job that its results were copied from.
    cached_from: UUID | None = None
    priority: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    #: Processor time of all its attempts, in seconds.
    cpu_s: float = Field(default=0.0, sa_column_kwargs={"server_default": "0"})


class _Plain(SimpleNamespace):
    """The fields of a row, and nothing else."""

    def model_dump(self, *, exclude: Collection[str] = ()) -> dict[str, Any]:
        """The fields by their names, as of a SQLModel."""
        return {name: value for name, value in vars(self).items() if name not in exclude}


def job_row(values: dict[str, Any]) -> JobRow:
    """A job's row without the machinery of SQLModel.

    That would take longer than the statement that the row is for.

    Args:
        values: Its fields; those that are left out have their defaults.
    """
    return cast("JobRow", _Plain(**_DEFAULTS | values))


_DEFAULTS: Final[dict[str, Any]] = {
    name: field.get_default(call_default_factory=True)
    for name, field in JobRow.model_fields.items()
    if not field.is_required()
}


class SweepRow(SQLModel, table=True):
    """The values of a sweep's parameters; apart, since lists of jobs are read without."""

    __tablename__ = "sweep"

    job_id: UUID = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    #: Little-endian doubles, point by point.
    packed: bytes


class BatchRow(SQLModel, table=True):
    """One submission of many jobs."""

    __tablename__ = "batch"
    __table_args__ = (
        sa.UniqueConstraint("owner", "request_id", name="batch_owner_request_id_key"),
    )

    id: UUID = Field(primary_key=True)
    owner: str
    request_id: str
    digest: bytes
    created_at: datetime = Field(sa_type=UtcDateTime)
    size: int


class ResultRow(SQLModel, table=True):
    """One result of a job, as it goes over the wire."""

    __tablename__ = "result"

    job_id: UUID = Field(primary_key=True, foreign_key="job.id", ondelete="CASCADE")
    result_type: str = Field(primary_key=True)
    point: int = Field(primary_key=True)
    value: bytes


class WorkerRow(SQLModel, table=True):
    """A worker that reported lately."""

    __tablename__ = "worker"

    name: str = Field(primary_key=True)
    target: str
    concurrency: int
    seen_at: datetime = Field(sa_type=UtcDateTime)
    #: Of what it runs jobs with; empty until it is known.
    fingerprint: str = Field(default="", sa_column_kwargs={"server_default": ""})


class TargetRow(SQLModel, table=True):
    """The state that operators put a target in; one without a row is active."""

    __tablename__ = "target"

    name: str = Field(primary_key=True)
    state: str
    changed_at: datetime = Field(sa_type=UtcDateTime)


class TokenRow(SQLModel, table=True):
    """What somebody shows to be let in; it is not kept itself."""

    __tablename__ = "token"

    #: Its public part, by which it is found.
    id: str = Field(primary_key=True)
    owner: str
    is_admin: bool = Field(default=False)
    salt: bytes
    #: Of its secret part, with the salt.
    digest: bytes
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class QuotaRow(SQLModel, table=True):
    """A quota of one owner, in place of the one in the settings."""

    __tablename__ = "quota"

    owner: str = Field(primary_key=True)
    #: As in the settings.
    name: str = Field(primary_key=True)
    value: float


class UsageRow(SQLModel, table=True):
    """Processor time that jobs of one owner took on one day.

    A row for each of those who write it, so that no two wait for each other.
    """

    __tablename__ = "usage"

    owner: str = Field(primary_key=True)
    #: Of UTC.
    day: date = Field(primary_key=True)
    #: Who has run them: a slot of a worker.
    worker: str = Field(primary_key=True)
    cpu_s: float


BATCH: sa.Table = BatchRow.__table__  # type: ignore[attr-defined]
JOB: sa.Table = JobRow.__table__  # type: ignore[attr-defined]
RESULT: sa.Table = ResultRow.__table__  # type: ignore[attr-defined]
WORKER: sa.Table = WorkerRow.__table__  # type: ignore[attr-defined]
SWEEP: sa.Table = SweepRow.__table__  # type: ignore[attr-defined]
TARGET: sa.Table = TargetRow.__table__  # type: ignore[attr-defined]
TOKEN: sa.Table = TokenRow.__table__  # type: ignore[attr-defined]
QUOTA: sa.Table = QuotaRow.__table__  # type: ignore[attr-defined]
USAGE: sa.Table = UsageRow.__table__  # type: ignore[attr-defined]
