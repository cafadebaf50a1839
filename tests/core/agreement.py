"""A service and a model of it that must agree after every step, whatever the steps are."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from uuid import UUID

from hypothesis.stateful import RuleBasedStateMachine, invariant

from app.events import events_of
from app.jobs import TRANSITIONS
from app.rows import JobRow
from qdispatch.errors import QDispatchError, UnavailableError
from qdispatch.model import JobStatus
from tests.core.model import Attempt, Model, ModelJob
from tests.fakes import Trouble
from tests.world import World


class Agreement(RuleBasedStateMachine):
    """What the steps are made of, and what must hold after each."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.model = Model(settings=world.settings.jobs, clock=world.clock)
        self.attempts: list[Attempt] = []
        self.unnoted: list[tuple[UUID, int]] = []
        self.finishes = 0
        self.seen: dict[UUID, JobRow] = {}

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
            events = events_of(rows[job_id])
            assert [(each.status, each.at, each.attempt) for each in events] == job.events
        assert {key: found for key, found in results.items() if found} == {
            job.id: job.results for job in self.model.all() if job.results
        }
        assert files == self.model.files()
        sent = [(each.job_id, each.attempt) for each in self.world.dispatcher.sent]
        # Those that one message carries come before others that are as old.
        assert Counter(sent) == Counter(self.model.sends)
        assert Counter(self.world.dispatcher.revoked) == Counter(self.model.revocations)

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
        # Of its kind: what was cut short says how far it got.
        assert isinstance(answer, type)
        assert issubclass(answer, UnavailableError)
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
    check_events(row)
    # Of a canceled job, something may still run.
    unconfirmed = row.status is JobStatus.CANCELED and row.stopped_at is None
    assert row.lease_until is None or row.status is JobStatus.RUNNING or unconfirmed
    assert row.lease_until is not None or row.status is not JobStatus.RUNNING
    assert (row.finish_time is not None) is row.status.is_final
    assert (row.error_kind is not None) is (row.status is JobStatus.FAILED)


def check_events(row: JobRow) -> None:
    """Every change of a status is one event, in order, and nothing else is."""
    events = events_of(row)
    assert [each.number for each in events] == list(range(1, len(events) + 1))
    assert row.life.count("\n") == len(events)
    assert events[0].status is JobStatus.PENDING
    assert (events[-1].status, events[-1].attempt) == (row.status, row.attempt)
    for before, after in pairwise(events):
        assert after.status in TRANSITIONS[before.status]
        assert after.attempt == before.attempt + (after.status is JobStatus.RUNNING)
        assert before.at <= after.at


def for_good(row: JobRow) -> dict[str, object]:
    """What never changes of a final job: all but the confirmation of its stop."""
    return row.model_dump(exclude={"stopped_at", "lease_until"})
