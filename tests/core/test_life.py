"""The whole life against a model of it, whatever happens in whatever order."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel

from app.jobs import TRANSITIONS, Claim
from app.ports import Dispatch
from app.rows import JobRow
from app.settings import Settings
from app.store import Store
from qdispatch.errors import QDispatchError, RequestConflictError, UnavailableError
from qdispatch.model import ErrorKind, JobStatus
from tests.core.model import Model, ModelJob
from tests.fakes import Trouble
from tests.world import World, bell, counts, failed, finished, make_world

# How many histories, by database and by what the run may take.
EXAMPLES = {"fake": 60, "sqlite": 20, "postgresql": 20}
MANY_TIMES = 20
STEPS = 40

# Few, so that they meet.
REQUEST_IDS = st.sampled_from("abcde")
WORKERS = st.sampled_from(["aer@one", "aer@two"])


class Life(RuleBasedStateMachine):
    """A service, and the model that it must agree with after every step."""

    jobs: Bundle[UUID] = Bundle("jobs")
    claims: Bundle[Claim] = Bundle("claims")

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model(settings=world.settings.jobs, clock=world.clock)
        self.unnoted: list[tuple[UUID, int]] = []
        self.finishes = 0
        self.seen: dict[UUID, JobRow] = {}

    # -- users

    @initialize(target=jobs)
    def begin(self) -> object:
        return multiple(*(self.submit(request_id, 100) for request_id in "abc"))

    @rule(target=jobs, request_id=REQUEST_IDS, shots=st.sampled_from([100, 100, 200]))
    def submit(self, request_id: str, shots: int) -> object:
        self.world.clock.advance(0.001)
        before = self.world.files()
        known = self.model.by_request(request_id)
        answer, trouble = self._call(
            lambda: UUID(self.world.jobs.submit(bell(shots=shots), request_id=request_id).id)
        )
        written = self.world.files() - before
        for each in written:
            self._date(each)
        if known is None and trouble in (None, Trouble.ANSWER_LOST):
            (job_id,) = written
            self.model.submit(job_id, request_id, shots)
            if trouble is None:
                assert answer == job_id
                self._send(self.model.jobs[job_id])
            return job_id
        if trouble is None:
            assert known is not None
            assert answer == (known.id if known.shots == shots else RequestConflictError)
            assert written == set()
        self.model.orphans |= dict.fromkeys(written, self.world.clock())
        return multiple()

    @rule(job_id=jobs)
    def cancel(self, job_id: UUID) -> None:
        was = self.model.jobs[job_id].status

        def cancel() -> object:
            cancellation = self.world.jobs.cancel(str(job_id))
            return cancellation.verdict, cancellation.job.status

        def after() -> None:
            if not was.is_final:
                self.model.revocations.append((job_id, was is JobStatus.RUNNING))
                self.model.delete_file(job_id)

        self._agree(cancel, lambda: self.model.cancel(job_id), after)

    # -- workers

    @precondition(lambda self: +self.model.queued)
    @rule(target=claims, at=st.integers(0, 3), worker=WORKERS)
    def deliver(self, at: int, worker: str) -> object:
        """The broker hands out a message."""
        waiting = sorted(+self.model.queued)
        return self._deliver(waiting[min(at, len(waiting) - 1)], worker, used_up=1)

    @rule(target=claims, job_id=jobs, worker=WORKERS)
    def redeliver(self, job_id: UUID, worker: str) -> object:
        """It hands out a message once more, used up or not."""
        if not any(sent == job_id for sent, _ in self.model.sends):
            return multiple()
        return self._deliver(job_id, worker, used_up=0)

    def _deliver(self, job_id: UUID, worker: str, *, used_up: int) -> MultipleResults[Claim]:
        claims: list[Claim | None] = []

        def claim() -> int | None:
            claims.append(self.world.work.claim(job_id, worker))
            return claims[-1] and claims[-1].attempt

        if self._agree(claim, lambda: self.model.claim(job_id, worker)):
            self.model.queued[job_id] -= used_up
        return multiple(*(each for each in claims if each))

    @rule(claim=claims)
    def renew(self, claim: Claim) -> None:
        self._agree(lambda: self.world.work.renew(claim), lambda: self.model.renew(claim))

    @rule(claim=claims)
    def finish(self, claim: Claim) -> None:
        # Nobody else's results look like these.
        self.finishes += 1
        results = tuple(replace(counts({"00": self.finishes}), point=point) for point in range(2))
        self._end(
            claim,
            lambda: self.world.work.finish(claim, finished(results=results)),
            lambda: self.model.finish(claim, [each.value for each in results]),
        )

    @rule(claim=claims, kind=st.sampled_from(ErrorKind))
    def fail(self, claim: Claim, kind: ErrorKind) -> None:
        self._end(
            claim,
            lambda: self.world.work.fail(claim, failed(kind)),
            lambda: self.model.fail(claim, kind),
        )

    @rule(claim=claims)
    def terminate(self, claim: Claim) -> None:
        self._end(claim, lambda: self.world.work.cancel(claim), lambda: self.model.terminate(claim))

    @rule(claim=claims)
    def hand_over(self, claim: Claim) -> None:
        self._agree(lambda: self.world.work.hand_over(claim), lambda: self.model.hand_over(claim))

    @rule(job_id=jobs)
    def revoke(self, job_id: UUID) -> None:
        was = self.model.jobs[job_id].status

        def after() -> None:
            if was is JobStatus.PENDING:
                self.model.delete_file(job_id)

        self._agree(
            lambda: self.world.work.cancel_pending(job_id),
            lambda: self.model.revoke(job_id),
            after,
        )

    # -- sweep

    @precondition(lambda self: self.model.having(JobStatus.RUNNING))
    @rule()
    def recover(self) -> None:
        lapsed = self.model.lapsed()
        answer, trouble = self._call(self.world.upkeep.recover)
        if trouble is None:
            assert answer == len(lapsed)
        for job in lapsed:
            # In trouble, it is open how many it got to.
            if trouble is None or self._row(job.id).status is not JobStatus.RUNNING:
                self.model.recover(job)
                job.file = job.file and (
                    not job.status.is_final
                    or (trouble is not None and job.id in self.world.files())
                )

    @precondition(lambda self: self.model.having(JobStatus.PENDING))
    @rule()
    def resend(self) -> None:
        def after() -> None:
            for job in self.model.unsent():
                self._send(job)

        self._agree(self.world.upkeep.resend, lambda: len(self.model.unsent()), after)

    @precondition(lambda self: self.model.files())
    @rule()
    def tidy(self) -> None:
        litter = self.model.litter()
        self._agree(self.world.upkeep.tidy, lambda: len(litter), lambda: self.model.tidy(litter))

    @precondition(lambda self: self.unnoted)
    @rule(at=st.integers(0, 3))
    def note_sent(self, at: int) -> None:
        """The dispatcher says which messages the broker has; it may be late."""
        job_id, attempt = self.unnoted.pop(min(at, len(self.unnoted) - 1))
        sent = [Dispatch(job_id=job_id, target="aer", label="", attempt=attempt)]
        self._agree(
            lambda: self.world.upkeep.mark_sent(sent),
            lambda: self.model.mark_sent(job_id, attempt),
        )

    # -- what nobody does

    @rule(seconds=st.sampled_from([0.5, 6.0, 29.0, 31.0, 601.0]))
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @precondition(lambda self: self.world.store.trouble is None)
    @rule(trouble=st.sampled_from(Trouble))
    def break_next(self, trouble: Trouble) -> None:
        self.world.store.trouble = trouble

    # -- what must hold after every step

    @invariant()
    def holds(self) -> None:
        with self.world.store.inner.read() as tx:
            rows = {job_id: tx.job(job_id) for job_id in self.model.jobs}
            results = {job_id: tuple(tx.results(job_id)) for job_id in self.model.jobs}
        files = self.world.files()
        self._check_model(rows, results, files)
        for job_id, row in rows.items():
            check_law(self.seen.get(job_id), row)
            assert bool(results[job_id]) is (row.status is JobStatus.FINISHED)
            assert row.status.is_final or job_id in files
        self.seen = rows

    def _check_model(
        self, rows: dict[UUID, JobRow], results: dict[UUID, tuple[bytes, ...]], files: set[UUID]
    ) -> None:
        for job_id, job in self.model.jobs.items():
            columns = job.columns()
            assert {name: getattr(rows[job_id], name) for name in columns} == columns
            assert results[job_id] == job.results
        assert files == self.model.files()
        sent = [(each.job_id, each.attempt) for each in self.world.dispatcher.sent]
        assert sent == self.model.sends
        assert self.world.dispatcher.revoked == self.model.revocations

    def teardown(self) -> None:
        """With everything back, every job comes to an end, and nothing remains."""
        try:
            self._settle()
        finally:
            self.world.store.close()

    def _settle(self) -> None:
        self.world.store.trouble = None
        for _ in range(self.world.settings.jobs.max_attempts + 1):
            self.world.clock.advance(601)
            for step in (self.recover, self.resend, self._work_off, self.tidy):
                step()
                self.holds()
        assert all(job.status.is_final for job in self.model.jobs.values())
        assert self.world.files() == set()

    def _work_off(self) -> None:
        for job_id in +self.model.queued:
            for claim in self._deliver(job_id, "aer@one", used_up=1).values:
                self.holds()
                self.finish(claim)

    # -- steps that several have in common

    def _call(self, function: Callable[[], object]) -> tuple[object, Trouble | None]:
        """Makes a call; its answer, or its error's class, and the trouble that it met."""
        trouble = self.world.store.trouble
        answer: object
        try:
            answer = function()
        except QDispatchError as error:
            answer = type(error)
        if self.world.store.trouble is trouble:
            return answer, None
        assert answer is UnavailableError
        return answer, trouble

    def _agree(
        self,
        call: Callable[[], object],
        change: Callable[[], object],
        after: Callable[[], object] = lambda: None,
    ) -> bool:
        """Makes a call to both; False if no answer came back.

        Args:
            call: To the service.
            change: The transaction that it makes, in the model.
            after: What it does once that is committed.
        """
        answer, trouble = self._call(call)
        if trouble is None:
            assert answer == change()
            after()
        elif trouble is Trouble.ANSWER_LOST:
            change()
        return trouble is None

    def _end(self, claim: Claim, call: Callable[[], object], change: Callable[[], object]) -> None:
        held = self.model.holds(claim)
        self._agree(call, change, lambda: held and self.model.delete_file(claim.job_id))

    def _send(self, job: ModelJob) -> None:
        self.model.send(job)
        self.unnoted.append((job.id, job.attempt))

    def _date(self, job_id: UUID) -> None:
        """Gives a file the time of the test's clock."""
        path = self.world.settings.data_dir / "programs" / f"{job_id}.qasm"
        moment = self.world.clock().timestamp()
        os.utime(path, (moment, moment))

    def _row(self, job_id: UUID) -> JobRow:
        with self.world.store.inner.read() as tx:
            row = tx.job(job_id)
        assert row is not None
        return row


def check_law(was: JobRow | None, row: JobRow) -> None:
    """What holds of every job from one step to the next, whatever the model says."""
    if was is not None:
        assert row.status is was.status or row.status in TRANSITIONS[was.status]
        claimed = was.status is JobStatus.PENDING and row.status is JobStatus.RUNNING
        assert row.attempt == was.attempt + claimed
        assert not was.status.is_final or row == was
    assert (row.lease_until is not None) is (row.status is JobStatus.RUNNING)
    assert (row.finish_time is not None) is row.status.is_final
    assert (row.error_kind is not None) is (row.status is JobStatus.FAILED)


def fresh(settings: Settings) -> World:
    """The core, without a trace of the history before."""
    world = make_world(settings)
    if isinstance(world.store.inner, Store):
        with world.store.inner.engine.begin() as connection:
            for table in reversed(SQLModel.metadata.sorted_tables):
                connection.execute(sa.delete(table))
    for each in world.files():
        world.programs.delete(each)
    return world


@pytest.mark.parametrize("times", [1, pytest.param(MANY_TIMES, marks=pytest.mark.slow)])
def test_a_job_lives_as_the_model_says(
    settings: Settings, request: pytest.FixtureRequest, times: int
) -> None:
    database = settings.database.partition(":")[0].partition("+")[0]
    run_state_machine_as_test(
        lambda: Life(fresh(settings)),
        settings=hypothesis_settings(
            max_examples=EXAMPLES[database] * times, stateful_step_count=STEPS
        ),
    )
