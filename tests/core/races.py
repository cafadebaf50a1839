"""Many races between a worker and a user, and what both were told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from threading import Barrier
from time import sleep
from typing import Final, TypeVar
from uuid import UUID

from uuid_utils.compat import uuid7

from app.identity import EVERYBODY
from app.jobs import Claim
from app.ports import utc_now
from app.rows import JOB
from app.service import JobService
from app.store import Store
from app.visible_jobs import Canceled
from app.work import WorkService
from qdispatch.model import JobStatus
from tests.specs import BELL, bell
from tests.world import WORKER, World, finished

T = TypeVar("T")

# How far the head start moves after each race, how much it varies, and how long it is
# at the most, in seconds. It moves twice as far whenever the same side wins again: by how
# much a side is late depends on the machine.
_STEP_S: Final = 30e-6
_JITTER_S: Final = 300e-6
_LONGEST_S: Final = 0.1
_PATIENCE_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Race:
    """What one race came to."""

    job_id: UUID
    claim: Claim | None
    """What the worker had, or got."""
    held: bool
    """Whether the worker was told that its results count."""
    canceled: Canceled
    """What the user was told."""


class Track:
    """A worker and a user, with a thread each, who meet over one job after the other.

    The head start follows the outcomes, so that it is always a close race.

    Args:
        world: The core.
        seed: Of the head starts.
        cancel_wait_s: How long the user waits for the worker's word.
    """

    def __init__(self, world: World, *, seed: int, cancel_wait_s: float) -> None:
        server = world.settings.server.model_copy(update={"cancel_wait_s": cancel_wait_s})
        self._jobs = JobService(
            settings=world.settings.model_copy(update={"server": server}),
            store=world.store,
            programs=world.programs,
            dispatcher=world.dispatcher,
            clock=utc_now,
        ).by(EVERYBODY)
        self._work = WorkService(
            store=world.store,
            programs=world.programs,
            clock=utc_now,
            settings=world.settings.jobs,
        )
        self._random = Random(seed)
        self._start = Barrier(2, action=self._draw)
        self._step_s = _STEP_S
        self._lead_s = 0.0
        self._worker_waits_s = 0.0
        self._ahead = self._was_ahead = False

    def run(self, claims: Sequence[Claim], *, claimed: bool) -> list[Race]:
        """Races over jobs that run; or that are pending, if they are not claimed yet."""
        work = self._finish if claimed else self._claim_and_finish
        with ThreadPoolExecutor(2) as threads:
            ends = threads.submit(self._each, claims, work, 1)
            cancellations = threads.submit(self._each, claims, self._cancel, -1)
            return [
                Race(job_id=race.job_id, claim=claim, held=held, canceled=canceled)
                for race, (claim, held), canceled in zip(
                    claims, ends.result(), cancellations.result(), strict=True
                )
            ]

    def _each(self, claims: Sequence[Claim], call: Callable[[Claim], T], side: int) -> list[T]:
        try:
            return [self._started(claim, call, side) for claim in claims]
        except BaseException:
            self._start.abort()
            raise

    def _started(self, claim: Claim, call: Callable[[Claim], T], side: int) -> T:
        self._start.wait(_PATIENCE_S)
        head_start_s = self._worker_waits_s * side
        if head_start_s > 0:
            sleep(head_start_s)
        return call(claim)

    def _draw(self) -> None:
        self._step_s = 2 * self._step_s if self._ahead is self._was_ahead else _STEP_S
        self._was_ahead = self._ahead
        lead_s = self._lead_s + (self._step_s if self._ahead else -self._step_s)
        self._lead_s = max(-_LONGEST_S, min(lead_s, _LONGEST_S))
        self._worker_waits_s = self._lead_s + self._random.uniform(-_JITTER_S, _JITTER_S)

    # -- the two

    def _cancel(self, claim: Claim) -> Canceled:
        return self._jobs.cancel(str(claim.job_id))

    def _finish(self, claim: Claim) -> tuple[Claim, bool]:
        held = self._ahead = self._work.finish(claim, finished())
        if not held:
            self._work.confirm_stop(claim)
        return claim, held

    def _claim_and_finish(self, claim: Claim) -> tuple[Claim | None, bool]:
        got = self._work.claim(claim.job_id, WORKER)
        held = got is not None and self._finish(got)[1]
        self._ahead = got is not None
        return got, held


def prepare(world: World, number: int, status: JobStatus) -> list[Claim]:
    """Makes jobs that are pending, or that their first attempt holds; fast."""
    assert isinstance(world.store.inner, Store)
    info = world.jobs.submit(bell(), request_id=f"pattern of {status}")
    with world.store.read() as tx:
        pattern = tx.job(UUID(info.id))
    assert pattern is not None
    values = pattern.model_dump() | {"status": status}
    if status is JobStatus.RUNNING:
        now = utc_now()
        lease_until = now + timedelta(hours=1)
        values |= {"attempt": 1, "worker": WORKER, "started_at": now, "lease_until": lease_until}
    world.jobs.cancel(info.id)
    ids = [UUID(int=uuid7().int) for _ in range(number)]
    with world.store.inner.engine.begin() as connection:
        connection.execute(
            JOB.insert(), [values | {"id": each, "request_id": str(each)} for each in ids]
        )
    for each in ids:
        world.programs.write({each: BELL})
    return [
        Claim(job_id=each, attempt=1, faults=0, spec=info.spec, owner=info.owner) for each in ids
    ]


def run(world: World, number: int, status: JobStatus, *, tracks: int) -> list[Race]:
    """Runs races, several at a time; every other user waits for the worker's word."""
    claims = prepare(world, number, status)
    waits_s = [0.0, 0.2]

    def run_one(at: int) -> list[Race]:
        track = Track(world, seed=at, cancel_wait_s=waits_s[at % len(waits_s)])
        return track.run(claims[at::tracks], claimed=status is JobStatus.RUNNING)

    with ThreadPoolExecutor(tracks) as threads:
        return [race for races in threads.map(run_one, range(tracks)) for race in races]
