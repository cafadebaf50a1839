"""What the clients know: what was acknowledged, asked for and seen."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from qdispatch.model import CancelVerdict, JobInfo, JobStatus
from tests.chaos.mixture import Order


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A job in a final status, as a client saw it."""

    status: JobStatus
    finish_time: datetime | None


@dataclass
class Entry:
    """One order and what came of it, as its client knows.

    Attributes:
        order: What was to be submitted.
        job_ids: Those that CreateJob answered, all for one request_id.
        refusal: Why it was refused, if it was.
        verdict: What a cancellation came to; None if nobody answered.
        sightings: The different final statuses that were seen.
        problems: What should never be answered.
        in_batch: The request_id that the server has made for a job of a batch.
    """

    order: Order
    job_ids: list[str] = field(default_factory=list)
    refusal: str = ""
    verdict: CancelVerdict | None = None
    sightings: list[Sighting] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    in_batch: str = ""

    @property
    def request_id(self) -> str:
        """By which the database knows the submission."""
        return self.in_batch or self.order.request_id

    @property
    def settled(self) -> bool:
        """Whether its client knows if there is a job."""
        return bool(self.job_ids or self.refusal)

    def acknowledge(self, job_id: str) -> None:
        """Notes an answer of CreateJob."""
        if job_id not in self.job_ids:
            self.job_ids.append(job_id)

    def see(self, info: JobInfo) -> None:
        """Notes a job as it was seen."""
        if info.status.is_final:
            sighting = Sighting(status=info.status, finish_time=info.finish_time)
            if sighting not in self.sightings:
                self.sightings.append(sighting)
        elif self.sightings:
            self.problems.append(f"was {self.sightings[-1].status}, and then {info.status}")


class Ledger:
    """All entries; safe for threads."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._lock = Lock()
        self._random = random.Random()

    def open(self, order: Order) -> Entry:
        """Begins an entry."""
        entry = Entry(order)
        with self._lock:
            self._entries.append(entry)
        return entry

    @property
    def entries(self) -> Sequence[Entry]:
        """Those that there are now."""
        with self._lock:
            return tuple(self._entries)

    def acknowledged(self) -> Sequence[Entry]:
        """Those with a job."""
        return [entry for entry in self.entries if entry.job_ids]

    def some(self) -> Entry | None:
        """One with a job, by chance; a young one as often as one of all."""
        known = self.acknowledged()
        if not known:
            return None
        return self._random.choice(known[-60:] if self._random.random() < 0.5 else known)
