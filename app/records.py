"""Between rows and the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.events import events_of
from app.rows import BatchRow, JobRow
from qdispatch.model import (
    JobError,
    JobInfo,
    JobSpec,
    JobStatus,
    PauliSum,
    PauliTerm,
    ProgramFormat,
    ResultType,
    Timings,
)
from qdispatch.updates import BatchInfo


def dump_observables(observables: Sequence[PauliSum]) -> list[Any]:
    """Observables as they are stored: terms as [paulis, qubits or null, coefficient]."""
    return [
        [[term.paulis, term.qubits, term.coefficient] for term in observable.terms]
        for observable in observables
    ]


def _load_observables(stored: list[Any]) -> tuple[PauliSum, ...]:
    return tuple(
        PauliSum(
            terms=tuple(
                PauliTerm(
                    paulis=paulis,
                    qubits=None if qubits is None else tuple(qubits),
                    coefficient=coefficient,
                )
                for paulis, qubits, coefficient in terms
            )
        )
        for terms in stored
    )


def spec_of(row: JobRow) -> JobSpec:
    """The spec of a job, without its program."""
    return JobSpec(
        program="",
        program_format=ProgramFormat(row.program_format),
        target=row.target,
        framework=row.framework,
        n_qubits=row.n_qubits,
        depth=row.depth,
        submission_date=row.submission_date,
        result_types=tuple(ResultType(kind) for kind in row.result_types),
        shots=row.shots,
        seed=row.seed,
        observables=_load_observables(row.observables),
        extra=row.extra,
        time_limit_s=float(row.time_limit_s),
        tags=tuple(row.tags),
        parameters=tuple(row.parameters),
        cache=row.use_cache,
        priority=row.priority,
    )


def info_of(row: JobRow) -> JobInfo:
    """A job as its row has it, without its results."""
    queued = None if row.started_at is None else row.started_at - row.created_at
    return JobInfo(
        id=str(row.id),
        owner=row.owner,
        request_id=row.request_id,
        status=row.status,
        spec=spec_of(row),
        created_at=row.created_at,
        started_at=row.started_at,
        finish_time=row.finish_time,
        stopped_at=row.stopped_at,
        attempt=row.attempt,
        faults=row.faults,
        cpu_s=row.cpu_s,
        worker=row.worker,
        error=None
        if row.error_kind is None
        else JobError(kind=row.error_kind, message=row.error_message or ""),
        method=row.method,
        method_reason=row.method_reason,
        simulator_version=row.simulator_version,
        timings=Timings(
            queued_s=None if queued is None else queued.total_seconds(),
            parsing_s=row.parsing_s,
            simulating_s=row.simulating_s,
            saving_s=row.saving_s,
        ),
        peak_memory_bytes=row.peak_memory_bytes,
        batch_id="" if row.batch_id is None else str(row.batch_id),
        batch_index=row.batch_index,
        n_points=row.n_points,
        points_done=row.points_done,
        events=events_of(row),
        cached_from="" if row.cached_from is None else str(row.cached_from),
    )


def batch_of(row: BatchRow, numbers: Mapping[JobStatus, int]) -> BatchInfo:
    """A batch, with how many of its jobs are in which status."""
    return BatchInfo(
        id=str(row.id),
        owner=row.owner,
        request_id=row.request_id,
        created_at=row.created_at,
        size=row.size,
        **{status.value: numbers.get(status, 0) for status in JobStatus},
    )
