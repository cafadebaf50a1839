"""The whole life against a model of it, whatever happens in whatever order."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

import pytest
import sqlalchemy as sa
from hypothesis import Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import SQLModel

from app.jobs import TRANSITIONS
from app.ports import Dispatch
from app.rows import JobRow
from app.settings import Settings
from app.store import Store
from qdispatch.errors import (
    QDispatchError,
    RequestConflictError,
    TargetDrainedError,
    UnavailableError,
)
from qdispatch.model import ErrorKind, JobStatus, TargetState
from tests.core.model import Attempt, Model, ModelJob
from tests.fakes import Trouble
from tests.world import World, bell, counts, failed, finished, make_world

T = TypeVar("T")

# How many histories, by database and by what the run may take.
EXAMPLES = {"fake": 40, "sqlite": 24, "postgresql": 12}
MANY_TIMES = 20
STEPS = 40

# Few, so that they meet.
REQUEST_IDS = st.sampled_from("abcde")
WORKERS = st.sampled_from(["aer@one", "aer@two"])


def among(find: Callable[[Life], Sequence[T]]) -> st.SearchStrategy[T]:
    """One of what there is when the step is taken."""
    return st.runner().flatmap(lambda life: st.sampled_from(find(life)))


JOBS = among(lambda life: life.model.all())
SOME_JOBS = st.lists(JOBS, min_size=1, max_size=3, unique=True)
QUEUED = among(lambda life: life.model.waiting())
# Most ends come too late; those that meet another attempt tell the most.
ATTEMPTS = among(lambda life: life.model.contested(life.attempts) or life.attempts)

there_are_jobs = precondition(lambda life: life.model.jobs)
there_are_attempts = precondition(lambda life: life.attempts)


class Life(RuleBasedStateMachine):
    """A service, and the model that it must agree with after every step."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model(settings=world.settings.jobs, clock=world.clock)
        self.attempts: list[Attempt] = []
        self.unnoted: list[tuple[UUID, int]] = []
        self.finishes = 0
        self.seen: dict[UUID, JobRow] = {}

    @initialize()
    def begin(self) -> None:
        """A job that waits, one that runs, and one that a second attempt has."""
        for request_id in "abc":
            self.submit(request_id, 100)
            self.note_sent(0)
        _, once, twice = self.model.all()
        self.deliver(once, "aer@one")
        self.deliver(twice, "aer@one")
        self.hand_over(self.attempts[-1])
        self.redeliver(twice, "aer@two")

    # -- users

    @rule(request_id=REQUEST_IDS, shots=st.sampled_from([100, 100, 200]))
    def submit(self, request_id: str, shots: int) -> None:
        self.world.clock.advance(0.001)
        before = self.world.files()
        known = self.model.by_request(request_id)
        answer, trouble = self._call(
            lambda: UUID(self.world.jobs.submit(bell(shots=shots), request_id=request_id).id)
        )
        written = self.world.files() - before
        for each in written:
            self._date(each)
        drained = self.model.state is TargetState.DRAINED
        if known is None and not drained and trouble in (None, Trouble.ANSWER_LOST):
            (job_id,) = written
            job = self.model.submit(job_id, request_id, shots)
            if trouble is None:
                assert answer == job_id
                if self.model.state is TargetState.ACTIVE:
                    self._send(job)
            return
        if trouble is None:
            refused = TargetDrainedError if known is None else RequestConflictError
            assert answer == (known.id if known and known.shots == shots else refused)
            assert written == set()
        self.model.orphans |= dict.fromkeys(written, self.world.clock())

    @there_are_jobs
    @rule(jobs=SOME_JOBS, way=st.sampled_from(["one", "all", "revoked by an operator"]))
    def cancel(self, jobs: list[ModelJob], way: str) -> None:
        if way == "one":
            self._cancel_one(jobs[0])
        elif way == "all":
            self._cancel_all(jobs)
        else:
            self._revoke(jobs)

    def _cancel_one(self, job: ModelJob) -> None:
        def cancel() -> object:
            canceled = self.world.jobs.cancel(str(job.id))
            return canceled.verdict, canceled.job.status

        self._cancel([job], cancel, lambda: self.model.cancel(job))

    def _cancel_all(self, jobs: Sequence[ModelJob]) -> None:
        def cancel() -> object:
            ends = self.world.jobs.cancel_all([str(job.id) for job in jobs])
            return [(each.verdict, each.status) for each in ends]

        self._cancel(jobs, cancel, lambda: [self.model.cancel(job) for job in jobs])

    def _revoke(self, jobs: Sequence[ModelJob]) -> None:
        self._cancel(
            jobs,
            lambda: self.world.work.cancel_all([job.id for job in jobs]),
            lambda: self.model.revoke(jobs),
            revoked=False,
        )

    def _cancel(
        self,
        jobs: Sequence[ModelJob],
        call: Callable[[], object],
        change: Callable[[], object],
        *,
        revoked: bool = True,
    ) -> None:
        was = {job: job.status for job in jobs if not job.status.is_final}

        def after() -> None:
            for job, status in was.items():
                job.file = False
                if revoked:
                    self.model.revocations.append((job.id, status is JobStatus.RUNNING))

        self._agree(call, change, after)

    @there_are_jobs
    @rule(job=among(lambda life: life.model.final() or life.model.all()))
    def delete(self, job: ModelJob) -> None:
        def after() -> None:
            if job.deleted:
                self.model.orphans.pop(job.id, None)

        self._agree(
            lambda: self.world.jobs.delete(str(job.id)), lambda: self.model.delete(job), after
        )

    # -- operators

    @rule(state=st.sampled_from([TargetState.ACTIVE, *TargetState]))
    def set_state(self, state: TargetState) -> None:
        def change() -> None:
            self.model.state = state

        self._agree(lambda: self.world.targets.set_state("aer", state), change)

    @precondition(lambda life: life.model.having(JobStatus.PENDING))
    @rule()
    def requeue(self) -> None:
        self._agree(self.world.targets.requeue, self.model.requeue)

    # -- workers

    @precondition(lambda life: life.model.waiting())
    @rule(job=QUEUED, worker=WORKERS)
    def deliver(self, job: ModelJob, worker: str) -> None:
        """The broker hands out a message."""
        self._deliver(job, worker, used_up=1)

    @precondition(lambda life: life.model.sent())
    @rule(job=among(lambda life: life.model.sent_active() or life.model.sent()), worker=WORKERS)
    def redeliver(self, job: ModelJob, worker: str) -> None:
        """It hands out a message once more, used up or not."""
        self._deliver(job, worker, used_up=0)

    def _deliver(self, job: ModelJob, worker: str, *, used_up: int) -> None:
        def claim() -> int | None:
            claimed = self.world.work.claim(job.id, worker)
            if claimed is None:
                return None
            self.attempts.append(Attempt(job=job, claim=claimed))
            return claimed.attempt

        if self._agree(claim, lambda: self.model.claim(job, worker)):
            self.model.queued[job.id] -= used_up

    @there_are_attempts
    @rule(attempt=ATTEMPTS)
    def renew(self, attempt: Attempt) -> None:
        assert self.world.store.trouble or (self.world.work.holds(attempt.claim) is attempt.holds())
        self._agree(lambda: self.world.work.renew(attempt.claim), lambda: self.model.renew(attempt))

    @there_are_attempts
    @rule(attempt=ATTEMPTS, kind=st.none() | st.sampled_from(ErrorKind))
    def end(self, attempt: Attempt, kind: ErrorKind | None) -> None:
        if kind is None:
            self._finish(attempt)
        else:
            self._end(
                attempt,
                lambda: self.world.work.fail(attempt.claim, failed(kind)),
                lambda: self.model.fail(attempt, kind),
            )

    def _finish(self, attempt: Attempt) -> None:
        # Nobody else's results look like these.
        self.finishes += 1
        results = tuple(replace(counts({"00": self.finishes}), point=point) for point in range(2))
        self._end(
            attempt,
            lambda: self.world.work.finish(attempt.claim, finished(results=results)),
            lambda: self.model.finish(attempt, [each.value for each in results]),
        )

    @there_are_attempts
    @rule(attempt=ATTEMPTS)
    def fault(self, attempt: Attempt) -> None:
        held = attempt.holds()

        def after() -> None:
            if held and attempt.job.status.is_final:
                attempt.job.file = False

        self._agree(
            lambda: self.world.work.fault(attempt.claim, failed(ErrorKind.CRASHED)),
            lambda: self.model.fault(attempt),
            after,
        )

    @precondition(lambda life: life.model.stopped(life.attempts))
    @rule(attempt=among(lambda life: life.model.stopped(life.attempts)))
    def confirm_stop(self, attempt: Attempt) -> None:
        self._agree(
            lambda: self.world.work.confirm_stop(attempt.claim),
            lambda: self.model.confirm_stop(attempt),
        )

    @there_are_attempts
    @rule(attempt=ATTEMPTS)
    def hand_over(self, attempt: Attempt) -> None:
        self._agree(
            lambda: self.world.work.hand_over(attempt.claim),
            lambda: self.model.hand_over(attempt),
        )

    @there_are_attempts
    @rule(attempt=ATTEMPTS)
    def terminate(self, attempt: Attempt) -> None:
        """An operator ends the worker's task."""
        self._end(
            attempt,
            lambda: self.world.work.cancel(attempt.claim),
            lambda: self.model.terminate(attempt),
        )

    # -- sweep

    @precondition(lambda life: any(each.lease_until for each in life.model.all()))
    @rule(unheard_s=st.sampled_from([0.0, 29.0, 31.0, 31.0]))
    def recover(self, unheard_s: float) -> None:
        self.world.clock.advance(unheard_s)
        answer, trouble = self._call(self.world.upkeep.recover)
        if trouble is Trouble.AWAY:
            self.model.reached_at = None
            return
        lapsed = self.model.lapsed()
        if trouble is None:
            assert answer == len(lapsed)
        files = self.world.files()
        for job in lapsed:
            # In trouble, it is open how many it got to, and how far.
            if trouble is None or self._row(job.id).lease_until is None:
                ran = job.status is JobStatus.RUNNING
                self.model.recover(job)
                if ran and job.status.is_final:
                    job.file = trouble is not None and job.id in files

    @precondition(lambda life: life.model.having(JobStatus.PENDING))
    @rule(later_s=st.sampled_from([0.0, 6.0]))
    def resend(self, later_s: float) -> None:
        self.world.clock.advance(later_s)

        def after() -> None:
            for job in self.model.unsent():
                self._send(job)

        self._agree(self.world.upkeep.resend, lambda: len(self.model.unsent()), after)

    @precondition(lambda life: life.model.having(JobStatus.PENDING))
    @rule(later_s=st.sampled_from([0.0, 16.0]))
    def resend_lost(self, later_s: float) -> None:
        self.world.clock.advance(later_s)
        self.world.queues.lengths["aer"] = self.model.queued.total()
        lost = self.model.lost()

        def after() -> None:
            for job in lost:
                self._send(job)

        self._agree(self.world.upkeep.resend_lost, lambda: len(lost), after)

    @precondition(lambda life: life.model.spare_files())
    @rule(later_s=st.sampled_from([0.0, 601.0]))
    def tidy(self, later_s: float) -> None:
        self.world.clock.advance(later_s)
        litter = self.model.litter()
        self._agree(self.world.upkeep.tidy, lambda: len(litter), lambda: self.model.tidy(litter))

    @precondition(lambda life: life.unnoted)
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

    @precondition(lambda life: life.model.waiting())
    @rule()
    def lose_messages(self) -> None:
        """The broker comes back without its disk."""
        self.model.queued.clear()

    @precondition(lambda life: life.world.store.trouble is None)
    @rule(trouble=st.sampled_from(Trouble))
    def break_next(self, trouble: Trouble) -> None:
        self.world.store.trouble = trouble

    # -- what must hold after every step

    @invariant()
    def holds(self) -> None:
        with self.world.store.inner.read() as tx:
            rows = {row.id: row for row in tx.jobs(self.model.ever)}
            results = {job_id: tuple(tx.results(job_id)) for job_id in self.model.ever}
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
        assert rows.keys() == self.model.jobs.keys()
        for job_id, job in self.model.jobs.items():
            columns = job.columns()
            assert {name: getattr(rows[job_id], name) for name in columns} == columns
        assert {key: found for key, found in results.items() if found} == {
            job.id: job.results for job in self.model.all() if job.results
        }
        assert files == self.model.files()
        sent = [(each.job_id, each.attempt) for each in self.world.dispatcher.sent]
        assert sent == self.model.sends
        assert Counter(self.world.dispatcher.revoked) == Counter(self.model.revocations)

    def teardown(self) -> None:
        """With everything back, every job comes to an end, and nothing remains."""
        try:
            self._settle()
        finally:
            self.world.store.close()

    def _settle(self) -> None:
        self.world.store.trouble = None
        self.set_state(TargetState.ACTIVE)
        for _ in range(self.world.settings.jobs.max_attempts + 2):
            steps = (
                (self.recover, 31.0),
                (self.resend, 6.0),
                (self.resend_lost, 16.0),
                (self._work_off, "aer@one"),
                (self.tidy, 601.0),
            )
            for step, argument in steps:
                step(argument)
                self.holds()
            if all(job.status.is_final for job in self.model.all()):
                break
        assert all(job.status.is_final for job in self.model.all())
        assert self.world.files() == set()

    def _work_off(self, worker: str) -> None:
        while self.model.waiting():
            had = len(self.attempts)
            self.deliver(self.model.waiting()[0], worker)
            self.holds()
            for attempt in self.attempts[had:]:
                self._finish(attempt)

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

    def _end(
        self, attempt: Attempt, call: Callable[[], object], change: Callable[[], object]
    ) -> None:
        held = attempt.holds()

        def after() -> None:
            if held:
                attempt.job.file = False

        self._agree(call, change, after)

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
        gave_up = was.status is JobStatus.RUNNING and row.status in (
            JobStatus.PENDING,
            JobStatus.FAILED,
        )
        assert row.faults - was.faults in ((0, 1) if gave_up else (0,))
        if was.status.is_final:
            assert for_good(row) == for_good(was)
        assert was.stopped_at in (None, row.stopped_at)
    # Of a canceled job, something may still run.
    unconfirmed = row.status is JobStatus.CANCELED and row.stopped_at is None
    assert row.lease_until is None or row.status is JobStatus.RUNNING or unconfirmed
    assert row.lease_until is not None or row.status is not JobStatus.RUNNING
    assert (row.finish_time is not None) is row.status.is_final
    assert (row.error_kind is not None) is (row.status is JobStatus.FAILED)


def for_good(row: JobRow) -> dict[str, object]:
    """What never changes of a final job: all but the confirmation of its stop."""
    return row.model_dump(exclude={"stopped_at", "lease_until"})


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


# To cut a failure down may take minutes.
@pytest.mark.timeout(600)
@pytest.mark.parametrize("times", [1, pytest.param(MANY_TIMES, marks=pytest.mark.slow)])
def test_a_job_lives_as_the_model_says(
    settings: Settings, request: pytest.FixtureRequest, times: int
) -> None:
    database = settings.database.partition(":")[0].partition("+")[0]
    run_state_machine_as_test(
        lambda: Life(fresh(settings)),
        settings=hypothesis_settings(
            max_examples=EXAMPLES[database] * times,
            stateful_step_count=STEPS,
            # A history is cut down to what matters where that takes seconds.
            phases=tuple(Phase) if database == "fake" else (Phase.generate,),
        ),
    )
