"""The life of a job: the one transition table, and what a claim and an outcome are.

    pending -> running     a worker claims it; attempt + 1
    pending -> canceled    by its user, before anybody claimed it
    pending -> failed      it has no attempts left, or can no longer be run
    pending -> finished    an equal job was run before, and its results are known;
                           as it is accepted, so that nobody ever sees it pending
    running -> finished    by the attempt that holds it
    running -> failed      by the attempt that holds it, or its lease lapsed for good
    running -> canceled    by its user
    running -> pending     its lease lapsed, its simulator crashed or its worker
                           stops; another attempt follows

Statuses change by compare-and-set only: an UPDATE that names the status (and,
for a running job, the attempt) that it expects, and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from qdispatch.model import ErrorKind, JobSpec, JobStatus

TRANSITIONS: Final[Mapping[JobStatus, frozenset[JobStatus]]] = {
    JobStatus.PENDING: frozenset(
        {JobStatus.RUNNING, JobStatus.CANCELED, JobStatus.FAILED, JobStatus.FINISHED}
    ),
    JobStatus.RUNNING: frozenset(
        {JobStatus.FINISHED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.PENDING}
    ),
    JobStatus.FINISHED: frozenset(),
    JobStatus.CANCELED: frozenset(),
    JobStatus.FAILED: frozenset(),
}


#: No job waits longer than this after a fault, in seconds.
MAX_RETRY_DELAY_S: Final = 60.0


def check_transition(old: JobStatus, new: JobStatus) -> None:
    """Guards the code against a status change that no job may make.

    Raises:
        ValueError: The table does not allow it.
    """
    if new not in TRANSITIONS[old]:
        raise ValueError(f"a {old} job never becomes {new}")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A worker's right to run a job, fenced by the attempt's number."""

    job_id: UUID
    attempt: int
    faults: int
    """How many earlier attempts ended in a crash or the loss of their worker."""
    spec: JobSpec
    """Without the program; `WorkService.program` has it."""
    owner: str
    """Whose it is."""


@dataclass(frozen=True, kw_only=True)
class EncodedResult:
    """A result as it is stored and sent."""

    result_type: str
    point: int
    value: bytes
    """A serialized qdispatch.v1.Result."""


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a simulation that went well left behind."""

    results: tuple[EncodedResult, ...]
    method: str
    simulator_version: str
    parsing_s: float
    simulating_s: float
    peak_memory_bytes: int
    method_reason: str = ""
    fingerprint: str = ""
    """Of what has run it; see `tasks.fingerprint`."""
    cpu_s: float = 0.0
    """Processor time that the attempt took."""


@dataclass(frozen=True, kw_only=True)
class Failed:
    """Why an attempt came to nothing, and what is known of it."""

    kind: ErrorKind
    message: str
    simulator_version: str = ""
    parsing_s: float | None = None
    simulating_s: float | None = None
    peak_memory_bytes: int = 0
    cpu_s: float = 0.0
    """Processor time that the attempt took."""


def retry_delay_s(faults: int, first_s: float) -> float:
    """How long a job waits after so many faults: twice as long each time.

    Args:
        faults: At least 1.
        first_s: After the first one, in seconds.
    """
    return min(first_s * 2.0 ** (faults - 1), MAX_RETRY_DELAY_S)
