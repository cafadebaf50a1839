"""Whatever may happen to jobs, as the steps of a state machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from app.ports import Dispatch
from qdispatch.errors import RequestConflictError, TargetDrainedError
from qdispatch.model import ErrorKind, JobStatus, TargetState
from tests.core.agreement import Agreement
from tests.core.model import Attempt, ModelJob
from tests.fakes import Trouble
from tests.world import bell, counts, failed, finished

T = TypeVar("T")

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


class Life(Agreement):
    """Users, workers, operators, the sweep and bad luck."""

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
        # One that was canceled and is not confirmed yet is revoked again.
        was = {
            job: job.status
            for job in jobs
            if not job.status.is_final or (revoked and job.lease_until is not None)
        }

        def after() -> None:
            for job, status in was.items():
                job.file = False
                if revoked:
                    self.model.revocations.append((job.id, status is not JobStatus.PENDING))

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

    def _look(
        self, call: Callable[[], int], change: Callable[[], int], after: Callable[[], None]
    ) -> None:
        """The sweep looks; where it meets trouble, it knows that the database was away."""
        if not self._agree(call, change, after):
            self.model.reached_at = None

    @precondition(lambda life: life.model.having(JobStatus.PENDING))
    @rule(later_s=st.sampled_from([0.0, 6.0]))
    def resend(self, later_s: float) -> None:
        self.world.clock.advance(later_s)

        unsent = self.model.unsent()

        def after() -> None:
            for job in unsent:
                self._send(job)

        self._look(self.world.upkeep.resend, lambda: len(self.model.resend()), after)

    @precondition(lambda life: life.model.having(JobStatus.PENDING))
    @rule(later_s=st.sampled_from([0.0, 16.0]))
    def resend_lost(self, later_s: float) -> None:
        self.world.clock.advance(later_s)
        self.world.queues.lengths["aer"] = self.model.queued.total()
        lost = self.model.lost()

        def after() -> None:
            for job in lost:
                self._send(job)

        self._look(self.world.upkeep.resend_lost, lambda: len(lost), after)

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

    # -- the end

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
