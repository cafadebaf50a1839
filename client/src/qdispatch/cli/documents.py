"""What ``--json`` writes. Keys are stable; a moment is UTC in ISO 8601, a length in seconds."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from qdispatch.display import words
from qdispatch.model import Cancellation, JobInfo, ResultType, TargetInfo
from qdispatch.updates import BatchInfo, Estimate, Outlook

if TYPE_CHECKING:
    from qdispatch.result import JobResult, PointResult

Document = dict[str, Any]


def _moment(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def job_document(info: JobInfo) -> Document:
    """A job, without its program and its results."""
    spec, timings = info.spec, info.timings
    return {
        "id": info.id,
        "owner": info.owner,
        "status": info.status.value,
        "target": spec.target,
        "framework": spec.framework,
        "program_format": spec.program_format.value,
        "n_qubits": spec.n_qubits,
        "depth": spec.depth,
        "result_types": [each.value for each in spec.result_types],
        "shots": spec.shots,
        "seed": spec.seed,
        "observables": [words.observable(each) for each in spec.observables],
        "parameters": list(spec.parameters),
        "n_points": info.n_points,
        "points_done": info.points_done,
        "tags": list(spec.tags),
        "priority": spec.priority,
        "time_limit_s": spec.time_limit_s,
        "cached_from": info.cached_from or None,
        "batch_id": info.batch_id or None,
        "batch_index": info.batch_index if info.batch_id else None,
        "created_at": _moment(info.created_at),
        "started_at": _moment(info.started_at),
        "finish_time": _moment(info.finish_time),
        "stopped_at": _moment(info.stopped_at),
        "attempt": info.attempt,
        "faults": info.faults,
        "cpu_s": info.cpu_s,
        "worker": info.worker or None,
        "method": info.method or None,
        "method_reason": info.method_reason or None,
        "simulator_version": info.simulator_version or None,
        "timings": {
            "queued_s": timings.queued_s,
            "parsing_s": timings.parsing_s,
            "simulating_s": timings.simulating_s,
            "saving_s": timings.saving_s,
        },
        "peak_memory_bytes": info.peak_memory_bytes,
        "error": {"kind": str(info.error.kind), "message": info.error.message}
        if info.error
        else None,
        "events": [
            {
                "number": each.number,
                "status": each.status.value,
                "at": _moment(each.at),
                "attempt": each.attempt,
            }
            for each in info.events
        ],
    }


def outlook_document(outlook: Outlook | None) -> Document | None:
    """What is to be expected; None if nothing is known."""
    if outlook is None:
        return None
    return {
        "queue_position": outlook.queue_position,
        "start": _estimate(outlook.start),
        "finish": _estimate(outlook.finish),
    }


def _estimate(each: Estimate | None) -> Document | None:
    if each is None:
        return None
    return {
        "lower": _moment(each.lower),
        "expected": _moment(each.expected),
        "upper": _moment(each.upper),
    }


def batch_document(batch: BatchInfo) -> Document:
    """A batch."""
    return {
        "id": batch.id,
        "owner": batch.owner,
        "created_at": _moment(batch.created_at),
        "size": batch.size,
        "pending": batch.pending,
        "running": batch.running,
        "finished": batch.finished,
        "canceled": batch.canceled,
        "failed": batch.failed,
    }


def points_document(result: JobResult) -> list[Document]:
    """The results, point by point; a job without a sweep has one point."""
    kinds = result.info.spec.result_types
    return [
        {"point": point.index, "parameters": dict(point.parameters)}
        | {key: value for kind in kinds for key, value in _values(point, kind).items()}
        for point in result
    ]


def _values(point: PointResult, kind: ResultType) -> Document:
    value: Any = getattr(point, kind.value)
    if kind is ResultType.EXPVAL:
        return {"expval": list(value), "standard_errors": list(point.standard_errors)}
    if kind is ResultType.STATEVECTOR:
        return {kind.value: [[each.real, each.imag] for each in value]}
    if kind in (ResultType.COUNTS, ResultType.QUASI):
        return {kind.value: dict(value)}
    return {kind.value: list(value)}


def cancellation_document(cancellation: Cancellation) -> Document:
    """What one cancellation came to."""
    return {
        "id": cancellation.id,
        "verdict": cancellation.verdict.value,
        "status": None if cancellation.status is None else cancellation.status.value,
    }


def target_document(target: TargetInfo) -> Document:
    """A target; null for a time limit that does not exist."""
    return {
        "name": target.name,
        "state": target.state.value,
        "simulator": target.simulator,
        "program_formats": [each.value for each in target.program_formats],
        "result_types": [each.value for each in target.result_types],
        "max_qubits": target.max_qubits,
        "workers_online": target.workers_online,
        "queue_length": target.queue_length,
        "running": target.running,
        "max_time_limit_s": _finite(target.max_time_limit_s),
        "default_time_limit_s": _finite(target.default_time_limit_s),
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
