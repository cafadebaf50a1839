"""What the page reads: one short transaction a page, and only of the kind that reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar
from uuid import UUID

from app.placement import WORKER_SEEN_S
from app.ports import Clock
from app.programs import ProgramLostError, Programs
from app.reading import is_seen
from app.records import batch_of, info_of
from app.settings import Settings
from app.store import Store
from page.asking import Asked
from qdispatch.arrays import PackedPoints
from qdispatch.errors import JobNotFoundError, UnavailableError
from qdispatch.model import JobInfo, JobStatus, Result, TargetState
from qdispatch.results_codec import decode_result
from qdispatch.updates import BatchInfo
from qdispatch.v1 import qdispatch_pb2 as pb

T = TypeVar("T")

_JOBS: Final = 50
_BATCHES: Final = 20
#: Results that take more than this, as they are stored, are not shown.
MOST_RESULT_BYTES: Final = 4 * 2**20
#: Of a program, so many characters are shown.
MOST_PROGRAM: Final = 100_000


@dataclass(frozen=True, kw_only=True)
class Leaf(Generic[T]):
    """A page of a long list."""

    entries: tuple[T, ...]
    last: UUID | None
    """The last of them, if there are more; the next page begins behind it."""


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One job, with all that is known of it."""

    job: JobInfo
    program: str | None
    """Its text, or the beginning; None if there is none to show."""
    program_note: str
    """Why there is none, or not all."""
    points: Sequence[tuple[float, ...]]
    """Of a sweep: the values of the parameters at each point."""
    results: tuple[Result, ...]
    result_bytes: int
    """What all results take; if that is much, none is here."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """A target, and what it has to do."""

    name: str
    simulator: str
    max_qubits: int
    state: TargetState
    changed_at: datetime | None
    """When it came into this state; None if it was never in another."""
    workers: int
    """Those that reported lately."""
    slots: int
    """How many jobs they can run at once."""
    running: int
    pending: int


class Reader:
    """Reads for the page.

    Args:
        settings: Which targets there are.
        store: The database.
        programs: The program files.
        clock: Tells the time.
    """

    def __init__(
        self, *, settings: Settings, store: Store, programs: Programs, clock: Clock
    ) -> None:
        self._settings = settings
        self._store = store
        self._programs = programs
        self._clock = clock

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return tuple(self._settings.targets)

    def now(self) -> datetime:
        """The time, UTC."""
        return self._clock()

    def check(self) -> None:
        """Asks the database for something small.

        Raises:
            UnavailableError: It does not answer.
        """
        with self._store.read() as tx:
            tx.revision()

    # In each of these, ``sees`` is whose jobs there are for the caller; None is everybody's.

    def jobs(self, asked: Asked, sees: str | None) -> Leaf[JobInfo]:
        """Jobs, newest first."""
        with self._store.read() as tx:
            rows = tx.lists.jobs(asked.wanted, sees=sees, before=asked.before, limit=_JOBS + 1)
        last = rows[_JOBS - 1].id if len(rows) > _JOBS else None
        return Leaf(entries=tuple(map(info_of, rows[:_JOBS])), last=last)

    def job(self, job_id: str, sees: str | None) -> Detail:
        """One job.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = _parse_id(job_id, "job")
        with self._store.read(long=True) as tx:
            row = tx.job(key)
            if row is None or not is_seen(row, sees):
                raise JobNotFoundError(f"there is no job {key}")
            shown = row.result_bytes <= MOST_RESULT_BYTES
            packed = tx.results(key) if shown else ()
            values = tx.sweep(key) if row.parameters else b""
        program, note = self._program(key, row.status)
        return Detail(
            job=info_of(row),
            program=program,
            program_note=note,
            points=PackedPoints(values, len(row.parameters)) if row.parameters else (),
            results=tuple(decode_result(pb.Result.FromString(each)) for each in packed),
            result_bytes=row.result_bytes,
        )

    def _program(self, key: UUID, status: JobStatus) -> tuple[str | None, str]:
        if status.is_final:
            return None, "The program file was deleted when the job ended."
        try:
            program = self._programs.read(key)
        except ProgramLostError:
            return None, "The program file is not there: the job has just ended, or it was lost."
        except UnavailableError as error:
            return None, f"{error}."
        if len(program) > MOST_PROGRAM:
            return program[:MOST_PROGRAM], (
                f"The first {MOST_PROGRAM:,} of {len(program):,} characters."
            )
        return program, ""

    def loads(self) -> tuple[Load, ...]:
        """Every target, in the order of the settings."""
        with self._store.read() as tx:
            states, changes = tx.targets.states(), tx.targets.changes()
            load = tx.load()
            workers = tx.workers(self._clock() - timedelta(seconds=WORKER_SEEN_S))
        return tuple(
            Load(
                name=name,
                simulator=target.simulator,
                max_qubits=target.max_qubits,
                state=states.get(name, TargetState.ACTIVE),
                changed_at=changes.get(name),
                workers=workers.get(name, (0, 0))[0],
                slots=workers.get(name, (0, 0))[1],
                running=load.get((name, JobStatus.RUNNING), 0),
                pending=load.get((name, JobStatus.PENDING), 0),
            )
            for name, target in self._settings.targets.items()
        )

    def batches(self, before: UUID | None, sees: str | None) -> Leaf[BatchInfo]:
        """Batches, newest first."""
        with self._store.read() as tx:
            rows = tx.lists.batches(before=before, sees=sees, limit=_BATCHES + 1)
            shown = tuple(batch_of(row, tx.lists.batch_numbers(row.id)) for row in rows[:_BATCHES])
        last = rows[_BATCHES - 1].id if len(rows) > _BATCHES else None
        return Leaf(entries=shown, last=last)

    def batch(self, batch_id: str, sees: str | None) -> BatchInfo:
        """One batch.

        Raises:
            JobNotFoundError: There is none of that id.
        """
        key = _parse_id(batch_id, "batch")
        with self._store.read() as tx:
            row = tx.lists.batch(key)
            if row is None or not is_seen(row, sees):
                raise JobNotFoundError(f"there is no batch {key}")
            return batch_of(row, tx.lists.batch_numbers(key))


def _parse_id(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise JobNotFoundError(f"{text[:60]!r} is not the id of a {what}; ids are UUIDs") from error
