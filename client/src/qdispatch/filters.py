"""Which jobs to list, from what a user says."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from qdispatch.errors import InvalidJobError
from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter


def job_filter(
    *,
    status: JobStatus | str | Iterable[JobStatus | str] | None,
    target: str,
    tag: str,
    batch: str,
    created_after: datetime | None,
    created_before: datetime | None,
    owner: str,
) -> JobFilter:
    """The filter for `Client.jobs`, whose arguments these are.

    Raises:
        InvalidJobError: There is no such status.
    """
    names = (status,) if isinstance(status, str) else tuple(status or ())
    try:
        statuses = tuple(map(JobStatus, names))
    except ValueError as error:
        raise InvalidJobError(
            f"{error}; there are {', '.join(JobStatus)}", field="status"
        ) from error
    return JobFilter(
        statuses=statuses,
        target=target,
        tag=tag,
        batch_id=batch,
        created_after=_in_utc(created_after),
        created_before=_in_utc(created_before),
        owner=owner,
    )


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
