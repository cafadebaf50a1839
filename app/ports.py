"""What the core is given: the seams that something else stands behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    owner: str = ""
    """Whose it is."""
    urgency: int = 0
    """The message's place among others: those of 9 go first, those of 0 last."""


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """Jobs of one target that one message carries to its queue."""

    chunk_id: UUID
    """Names the message."""
    target: str
    """Names the queue."""
    job_ids: tuple[UUID, ...]
    """In the order in which they are to run."""
    label: str
    """Shown by monitors beside the id."""
    owner: str = ""
    """Whose they are."""
    urgency: int = 0
    """As of `Dispatch`."""


#: What the broker has confirmed.
Sent: TypeAlias = Dispatch | Chunk


class Dispatcher(Protocol):
    """Tells workers about jobs. Returns at once; a failure is the sweep's to mend."""

    def send(self, dispatch: Dispatch) -> None:
        """Puts a committed job on its queue."""

    def send_chunk(self, chunk: Chunk) -> None:
        """Puts committed jobs on their queue, all in one message."""

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Tells workers that jobs are canceled.

        Args:
            job_ids: Jobs that are canceled in the database already.
            running: Whether workers had claimed them.
        """


class Queues(Protocol):
    """What the broker holds."""

    def length(self, target: str) -> int:
        """How many messages wait in a target's queue; those that workers hold do not count.

        Raises:
            UnavailableError: The broker does not answer.
        """
