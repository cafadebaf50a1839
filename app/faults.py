"""Attempts that were cut short: by a crash, or the loss of their worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.jobs import Failed, retry_delay_s
from app.rows import JobRow
from app.settings import JobSettings
from app.store import Transaction


@dataclass(frozen=True, kw_only=True)
class Fault:
    """An attempt that was cut short."""

    job_id: UUID
    attempt: int
    faults: int
    """How many there are with this one."""
    lapsed: datetime | None = None
    """Only if the lease ended before this."""
    cpu_s: float = 0.0
    """Processor time that the attempt took."""


def end_attempt(
    tx: Transaction,
    fault: Fault,
    *,
    settings: JobSettings,
    now: datetime,
    last: Callable[[int], Failed],
) -> JobRow | None:
    """Makes a job pending again, after a while; or failed, if it has had too many faults.

    Args:
        tx: The transaction.
        fault: What happened.
        settings: How many faults a job may have, and how long it waits.
        now: The time.
        last: Why the job fails, given how many faults there were.

    Returns:
        The job; None if the attempt does not hold it any more.
    """
    if fault.faults >= settings.max_attempts:
        return tx.fail(
            fault.job_id,
            last(fault.faults),
            now=now,
            attempt=fault.attempt,
            faults=1,
            lapsed=fault.lapsed,
        )
    delay = timedelta(seconds=retry_delay_s(fault.faults, settings.retry_delay_s))
    return tx.hand_over(
        fault.job_id,
        fault.attempt,
        now=now,
        faults=1,
        not_before=now + delay,
        lapsed=fault.lapsed,
        cpu_s=fault.cpu_s,
    )
