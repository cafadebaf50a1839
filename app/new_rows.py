"""The row of a job that is submitted, and what tells it from others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime

from app.events import line
from app.ids import new_id
from app.records import dump_observables
from app.rows import JobRow, job_row
from app.settings import TargetSettings
from qdispatch.codec import encode_spec
from qdispatch.errors import RequestConflictError
from qdispatch.model import JobSpec, JobStatus


def new_row(
    spec: JobSpec,
    name: str,
    target: TargetSettings,
    *,
    request_id: str,
    owner: str,
    now: datetime,
    cache_key: bytes | None,
) -> JobRow:
    """The row of a job that waits.

    Args:
        spec: What is submitted.
        name: Of the target that runs it.
        target: The target.
        request_id: Names the submission among those of its owner.
        owner: Whose it is.
        now: The time.
        cache_key: See `JobRow`.
    """
    return job_row(
        {
            "id": new_id(),
            "owner": owner,
            "request_id": request_id,
            "digest": digest_of(spec),
            "created_at": now,
            "status": JobStatus.PENDING,
            "target": name,
            "framework": spec.framework,
            "n_qubits": spec.n_qubits,
            "depth": spec.depth,
            "submission_date": spec.submission_date,
            "program_format": spec.program_format.value,
            "result_types": [kind.value for kind in spec.result_types],
            "shots": spec.shots,
            "seed": spec.seed,
            "observables": dump_observables(spec.observables),
            "extra": spec.extra,
            "time_limit_s": min(spec.time_limit_s or target.time_limit_s, target.max_time_limit_s),
            "tags": list(spec.tags),
            "parameters": list(spec.parameters),
            "n_points": len(spec.parameter_values),
            "use_cache": spec.cache,
            "priority": spec.priority,
            "cache_key": cache_key,
            "life": line(JobStatus.PENDING, now),
        }
    )


def digest_of(spec: JobSpec) -> bytes:
    """Tells whether a submission is the same as another."""
    content = encode_spec(spec)
    # The client's clock may differ between two tries of the same submission.
    content.ClearField("submission_date")
    return hashlib.sha256(content.SerializeToString(deterministic=True)).digest()


def digest_of_all(digests: Iterable[bytes]) -> bytes:
    """Tells whether a batch is the same as another, by the digests of its jobs."""
    return hashlib.sha256(b"".join(digests)).digest()


def conflict(request_id: str, what: str) -> RequestConflictError:
    """Says that a submission is not the same as the one that its request_id stands for."""
    return RequestConflictError(
        f"{request_id!r} stands for {what}, whose content differs;"
        " make a new request_id for a new submission",
        field="request_id",
    )
