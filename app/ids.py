"""Ids of jobs and batches: UUIDs of version 7, whose order is that of time."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7

from qdispatch.errors import BatchNotFoundError, JobNotFoundError


def new_id() -> UUID:
    """An id that is higher than all before it."""
    # The uuid-utils class looks like the standard one, but is another.
    return UUID(int=uuid7().int)


def known_id(text: str) -> UUID | None:
    """The id that a text is; None if it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def parse_job_id(text: str) -> UUID:
    """The id of a job that a text is.

    Raises:
        JobNotFoundError: It is none, so no job has it.
    """
    key = known_id(text)
    if key is None:
        raise JobNotFoundError(f"{text[:60]!r} is not the id of a job; ids are UUIDs", field="id")
    return key


def parse_batch_id(text: str) -> UUID:
    """The id of a batch that a text is.

    Raises:
        BatchNotFoundError: It is none, so no batch has it.
    """
    key = known_id(text)
    if key is None:
        raise BatchNotFoundError(
            f"{text[:60]!r} is not the id of a batch; ids are UUIDs", field="batch_id"
        )
    return key
