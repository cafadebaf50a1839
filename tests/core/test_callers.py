"""Many callers at the same time, with real threads and real connections."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from threading import Barrier
from time import perf_counter_ns
from uuid import UUID

import pytest

from app.jobs import Claim
from app.ports import Dispatch
from app.settings import Settings
from qdispatch.errors import UnavailableError
from qdispatch.model import CancelVerdict, ErrorKind, JobStatus
from tests.core.agreement import check_events
from tests.core.linear import CANCELED, FAILED, FINISHED, Call, in_some_order
from tests.world import WORKER, World, failed, finished, make_settings

CALLERS = 6
CALLS = 25
JOBS = 3

# What callers do, and how often; what ends a job is rare, so that there is much before.
WEIGHTS = {
    "claim": 10,
    "renew": 3,
    "holds": 3,
    "hand_over": 4,
    "fault": 2,
    "recover": 2,
    "mark_sent": 3,
    "look": 3,
    "finish": 2,
    "fail": 1,
    "terminate": 1,
    "cancel": 2,
    "cancel_all": 1,
}


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Leases that lapse at once: any claim may be taken back at any time."""
    return make_settings(
        tmp_path, database_url=database_url, jobs={"lease_s": 1e-9, "max_attempts": 4}
    )


@contextmanager
def may_meet_a_deadlock() -> Iterator[None]:
    """For what changes several jobs in one statement, in whatever order they are met.

    PostgreSQL rolls one of two back that wait for each other: nothing has
    happened, and its caller is told to try again.
    """
    with suppress(UnavailableError):
        yield


@dataclass(kw_only=True)
class Callers:
    """Threads that call what they please, and a record of all answers."""

    world: World
    jobs: list[UUID]
    claims: list[Claim] = field(default_factory=list)
    calls: defaultdict[UUID, list[Call]] = field(default_factory=lambda: defaultdict(list))

    def run(self, seed: int) -> None:
        start = Barrier(CALLERS)

        def call_at_random(number: int) -> None:
            random = Random(f"{seed} {number}")
            start.wait(10)
            for name in random.choices(list(WEIGHTS), list(WEIGHTS.values()), k=CALLS):
                self._call(name, random)

        with ThreadPoolExecutor(CALLERS) as threads:
            list(threads.map(call_at_random, range(CALLERS)))
        for job_id in self.jobs:
            self._note([job_id], "look", lambda job_id=job_id: self._look(job_id))

    def _call(self, name: str, random: Random) -> None:
        if name in ("claim", "cancel", "look"):
            job_id = random.choice(self.jobs)
            about: Callable[[UUID], object] = getattr(self, f"_{name}")
            self._note([job_id], name, lambda: about(job_id))
        elif name == "recover":
            self.world.clock.advance(0.001)
            self._note(self.jobs, name, self.world.upkeep.recover, answer=lambda _: None)
        elif name == "mark_sent":
            sent = [Dispatch(job_id=each, target="aer", label="") for each in self.jobs]
            with may_meet_a_deadlock():
                self.world.upkeep.mark_sent(random.sample(sent, JOBS))
        elif name == "cancel_all":
            with may_meet_a_deadlock():
                self._cancel_all(random.sample(self.jobs, 2))
        elif self.claims:
            # Late ones too, but rather those that may hold.
            claim = random.choice(self.claims[-2 * JOBS :])
            of: Callable[[Claim], object] = getattr(self, f"_{name}")
            self._note([claim.job_id], name, lambda: of(claim), attempt=claim.attempt)

    def _note(
        self,
        job_ids: list[UUID],
        name: str,
        call: Callable[[], object],
        *,
        answer: Callable[[object], object] = lambda each: each,
        attempt: int = 0,
    ) -> object:
        began = perf_counter_ns()
        answered = call()
        ended = perf_counter_ns()
        for each in job_ids:
            self.calls[each].append(
                Call(name=name, began=began, ended=ended, answer=answer(answered), attempt=attempt)
            )
        return answered

    # -- the calls, and what of their answers counts

    def _claim(self, job_id: UUID) -> int | None:
        claim = self.world.work.claim(job_id, WORKER)
        if claim is None:
            return None
        self.claims.append(claim)
        return claim.attempt

    def _cancel(self, job_id: UUID) -> object:
        canceled = self.world.jobs.cancel(str(job_id))
        return canceled.verdict, canceled.job.status

    def _cancel_all(self, job_ids: list[UUID]) -> None:
        began = perf_counter_ns()
        ends = self.world.jobs.cancel_all([str(each) for each in job_ids])
        ended = perf_counter_ns()
        for job_id, end in zip(job_ids, ends, strict=True):
            answer = (end.verdict, end.status)
            self.calls[job_id].append(Call(name="cancel", began=began, ended=ended, answer=answer))

    def _look(self, job_id: UUID) -> object:
        info = self.world.info(job_id)
        return info.status, info.attempt, info.faults

    def _renew(self, claim: Claim) -> object:
        return self.world.work.renew(claim)

    def _holds(self, claim: Claim) -> object:
        return self.world.work.holds(claim)

    def _finish(self, claim: Claim) -> object:
        return self.world.work.finish(claim, finished())

    def _fail(self, claim: Claim) -> object:
        return self.world.work.fail(claim, failed())

    def _fault(self, claim: Claim) -> object:
        return self.world.work.fault(claim, failed(ErrorKind.CRASHED))

    def _hand_over(self, claim: Claim) -> object:
        return self.world.work.hand_over(claim)

    def _terminate(self, claim: Claim) -> object:
        return self.world.work.cancel(claim)


@pytest.mark.parametrize(
    "rounds", [8, pytest.param(100, marks=(pytest.mark.long, pytest.mark.timeout(600)))]
)
def test_what_callers_are_told_could_have_happened_one_after_the_other(
    world: World, rounds: int
) -> None:
    for seed in range(rounds):
        callers = Callers(world=world, jobs=[world.submit() for _ in range(JOBS)])
        callers.run(seed)
        for job_id in callers.jobs:
            calls = sorted(callers.calls[job_id], key=lambda call: call.began)
            story = "\n".join(map(str, calls))
            assert in_some_order(calls, world.settings.jobs.max_attempts), story
            check_end(world, job_id, calls)


def check_end(world: World, job_id: UUID, calls: list[Call]) -> None:
    """At most one call has ended the job, and the database has what that one was told."""
    status = world.status(job_id)
    with world.store.read() as tx:
        row = tx.job(job_id)
    assert row is not None
    check_events(row)
    winners = Counter(
        {"finish": FINISHED, "fail": FAILED, "terminate": CANCELED}[call.name]
        for call in calls
        if call.name in ("finish", "fail", "terminate") and call.answer
    )
    # A cancellation is answered alike until it is confirmed, however often it is asked for.
    winners[CANCELED] += any(
        call.name == "cancel" and call.answer[0] is not CancelVerdict.TOO_LATE for call in calls
    )
    winners = +winners
    assert winners in ({}, {status: 1})
    if status in (FINISHED, CANCELED):
        assert winners
    late = [call.answer for call in calls if call.name == "cancel"]
    assert all(final is status for verdict, final in late if verdict is CancelVerdict.TOO_LATE)
    assert len(world.jobs.results(str(job_id))) == (status is FINISHED)
    assert (job_id in world.files()) is not status.is_final


@pytest.mark.parametrize(
    ("calls", "possible"),
    [
        ([("claim", 0, 2, 1), ("claim", 1, 3, None)], True),
        ([("claim", 0, 1, None), ("claim", 2, 3, 1)], False),
        ([("claim", 0, 3, 1), ("claim", 1, 2, 1)], False),
        ([("claim", 0, 1, 1), ("finish", 2, 5, True), ("fail", 3, 4, True)], False),
        ([("claim", 0, 1, 1), ("finish", 2, 5, True), ("fail", 3, 4, False)], True),
        ([("claim", 0, 1, 1), ("fail", 2, 3, False), ("finish", 4, 5, True)], False),
        ([("claim", 0, 1, 1), ("recover", 2, 3, None), ("claim", 4, 5, 2)], True),
        ([("claim", 0, 1, 1), ("claim", 2, 3, 2), ("recover", 4, 5, None)], False),
        ([("cancel", 0, 3, (CancelVerdict.STOPPING, CANCELED)), ("claim", 1, 2, 1)], True),
        ([("cancel", 0, 1, (CancelVerdict.STOPPING, CANCELED)), ("claim", 2, 3, 1)], False),
        ([("claim", 0, 1, 1), ("look", 2, 3, (JobStatus.PENDING, 1, 0))], False),
    ],
)
def test_the_search_knows_what_could_not_have_happened(
    calls: list[tuple[str, int, int, object]], possible: bool
) -> None:
    history = [
        Call(name=name, began=began, ended=ended, answer=answer, attempt=1)
        for name, began, ended, answer in calls
    ]
    assert in_some_order(history, max_faults=3) is possible
