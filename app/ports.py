"""What the core is given: the seams that something else stands behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeAlias
from uuid import UUID

#: Tells the time, UTC-aware.
Clock: TypeAlias = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a running service."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """What is needed to send a job to its queue."""

    job_id: UUID
    """Names the message; nothing else of the job is in it."""
    target: str
    """Names the queue."""
    label: str
    """Shown by monitors beside the id."""
    attempt: int = 0
    """How often the job had been claimed when this was made."""


class Dispatcher(Protocol):
    """Tells workers about jobs. Returns at once; a failure is the sweep's to mend."""

    def send(self, dispatch: Dispatch) -> None:
        """Puts a committed job on its queue."""

    def revoke(self, job_id: UUID, *, running: bool) -> None:
        """Tells workers that a job is canceled.

        Args:
            job_id: A job that is canceled in the database already.
            running: Whether a worker had claimed it.
        """
