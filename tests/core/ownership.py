"""Several callers at the same jobs, as the steps of a state machine: who sees what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.identity import Caller
from app.visible_jobs import VisibleJobs
from qdispatch.errors import (
    BatchNotFoundError,
    JobActiveError,
    JobNotFoundError,
    QDispatchError,
    RequestConflictError,
)
from qdispatch.model import CancelVerdict, JobStatus
from qdispatch.updates import JobFilter
from tests.specs import bell
from tests.watching import Told
from tests.world import World, finished

OWNERS: Final = ("ada", "bob", "root")
ADMIN: Final = "root"
#: Of nobody.
STRAY: Final = "stray"

CALLERS = st.sampled_from([*OWNERS, STRAY])
# Few, so that owners use the same ones.
REQUEST_IDS = st.sampled_from("abc")


@dataclass(kw_only=True, eq=False)
class Owned:
    """A job, and whose it is."""

    id: str
    owner: str
    request_id: str
    shots: int
    status: JobStatus = JobStatus.PENDING
    batch: str = ""

    def __repr__(self) -> str:
        return f"<job of {self.owner}>"


@dataclass(kw_only=True, eq=False)
class OwnedBatch:
    """A batch, and whose it is."""

    id: str
    owner: str
    request_id: str
    jobs: list[Owned] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<batch of {self.owner}>"


JOBS = st.runner().flatmap(lambda ownership: st.sampled_from(ownership.jobs))
BATCHES = st.runner().flatmap(lambda ownership: st.sampled_from(ownership.batches))

there_are_jobs = precondition(lambda ownership: ownership.jobs)
there_are_batches = precondition(lambda ownership: ownership.batches)


class Ownership(RuleBasedStateMachine):
    """Callers who submit, look, cancel and delete, whosever it is; and a worker."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.jobs: list[Owned] = []
        self.batches: list[OwnedBatch] = []

    @initialize()
    def begin(self) -> None:
        for owner in ("ada", "bob"):
            self.submit(owner, "a", 100)
            self.submit_many(owner, "a", 2)

    # -- what callers have

    @rule(caller=CALLERS, request_id=REQUEST_IDS, shots=st.sampled_from([100, 100, 200]))
    def submit(self, caller: str, request_id: str, shots: int) -> None:
        """A request_id is one's own: nobody else's job is ever the answer."""
        found = (each for each in self.jobs if not each.batch)
        known = self._known(found, caller, request_id)
        answer = self._said(
            lambda: self._by(caller).submit(bell(shots=shots, cache=False), request_id=request_id)
        )
        if known is None:
            assert answer.owner == caller
            self.jobs.append(Owned(id=answer.id, owner=caller, request_id=request_id, shots=shots))
        elif known.shots == shots:
            assert (answer.id, answer.owner) == (known.id, caller)
        else:
            assert answer is RequestConflictError

    @rule(caller=CALLERS, request_id=REQUEST_IDS, number=st.integers(1, 2))
    def submit_many(self, caller: str, request_id: str, number: int) -> None:
        known = self._known(self.batches, caller, request_id)
        specs = [bell(cache=False)] * number
        answer = self._said(lambda: self._by(caller).submit_many(specs, request_id=request_id))
        if known is None:
            batch = OwnedBatch(id=answer.batch.id, owner=caller, request_id=request_id)
            batch.jobs = [
                Owned(id=each, owner=caller, request_id="", shots=100, batch=batch.id)
                for each in answer.job_ids
            ]
            self.batches.append(batch)
            self.jobs += batch.jobs
        elif number == self._size(known):
            assert answer.batch.id == known.id
        else:
            assert answer is RequestConflictError

    # -- what callers see

    @there_are_jobs
    @rule(caller=CALLERS, job=JOBS)
    def get(self, caller: str, job: Owned) -> None:
        answers = [
            self._said(lambda: self._by(caller).get(job.id)),
            self._said(lambda: self._by(caller).results(job.id)),
        ]
        if not self._sees(caller, job):
            assert answers == [JobNotFoundError] * 2
            assert not self._by(caller).small_results(job.id, 2**20)
            return
        info, results = answers
        assert (info.id, info.owner, info.status) == (job.id, job.owner, job.status)
        assert bool(results) == (job.status is JobStatus.FINISHED)

    @invariant()
    def everybody_lists_their_own(self) -> None:
        for caller in (*OWNERS, STRAY):
            seen = [each.id for each in self.jobs if self._sees(caller, each)]
            listed = self._by(caller).page(JobFilter(), size=1000).jobs
            assert sorted(each.id for each in listed) == sorted(seen)

    @rule(caller=CALLERS, owner=st.sampled_from([*OWNERS, STRAY, ""]))
    def list(self, caller: str, owner: str) -> None:
        """Asking for others by name shows no more."""
        wanted = self._by(caller).page(JobFilter(owner=owner), size=2)
        listed = list(wanted.jobs)
        while wanted.next_token:
            wanted = self._by(caller).page(JobFilter(owner=owner), size=2, token=wanted.next_token)
            listed += wanted.jobs
        seen = [
            each.id for each in self.jobs if self._sees(caller, each) and owner in ("", each.owner)
        ]
        assert sorted(each.id for each in listed) == sorted(seen)

    @there_are_jobs
    @rule(caller=CALLERS, job=JOBS)
    def watch(self, caller: str, job: Owned) -> None:
        told = self._watch(
            lambda told: self.world.watchers.watch_job(
                UUID(job.id), self._caller(caller), after=0, tell=told
            )
        )
        if self._sees(caller, job):
            assert told.events[-1].status is job.status
        else:
            assert (told.updates, type(told.error)) == ([], JobNotFoundError)

    @there_are_batches
    @rule(caller=CALLERS, batch=BATCHES)
    def look_at_batch(self, caller: str, batch: OwnedBatch) -> None:
        answer = self._said(lambda: self._by(caller).batch(batch.id))
        told = self._watch(
            lambda told: self.world.watchers.watch_batch(
                UUID(batch.id), self._caller(caller), after=(), tell=told
            )
        )
        # A list asks for what is in it, and there is nothing in another's.
        listed = self._by(caller).page(JobFilter(batch_id=batch.id)).jobs
        seen = self._left(batch) if self._sees(caller, batch) else []
        assert sorted(each.id for each in listed) == sorted(each.id for each in seen)
        if not self._sees(caller, batch):
            assert answer is BatchNotFoundError
            assert (told.updates, type(told.error)) == ([], BatchNotFoundError)
            return
        assert list(answer.job_ids) == [each.id for each in seen]
        assert not told.error

    # -- what callers do

    @there_are_jobs
    @rule(caller=CALLERS, job=JOBS)
    def cancel(self, caller: str, job: Owned) -> None:
        answer = self._said(lambda: self._by(caller).cancel(job.id))
        if self._sees(caller, job):
            assert answer.verdict is self._canceled(job)
        else:
            assert answer is JobNotFoundError

    @there_are_jobs
    @rule(caller=CALLERS, jobs=st.lists(JOBS, min_size=1, max_size=4, unique=True))
    def cancel_all(self, caller: str, jobs: list[Owned]) -> None:
        """Of some that are theirs and some that are not, in one call."""
        nobody = str(uuid4())
        answer = self._by(caller).cancel_all([*(each.id for each in jobs), nobody])
        expected = [
            self._canceled(each) if self._sees(caller, each) else CancelVerdict.NOT_FOUND
            for each in jobs
        ]
        assert [each.verdict for each in answer] == [*expected, CancelVerdict.NOT_FOUND]

    @there_are_batches
    @rule(caller=CALLERS, batch=BATCHES)
    def cancel_batch(self, caller: str, batch: OwnedBatch) -> None:
        answer = self._said(lambda: self._by(caller).cancel_batch(batch.id))
        if not self._sees(caller, batch):
            assert answer is BatchNotFoundError
            return
        expected = [self._canceled(each) for each in self._left(batch)]
        assert [each.verdict for each in answer] == expected

    @there_are_jobs
    @rule(caller=CALLERS, job=JOBS)
    def delete(self, caller: str, job: Owned) -> None:
        answer = self._said(lambda: self._by(caller).delete(job.id))
        if not self._sees(caller, job):
            assert answer is JobNotFoundError
        elif not job.status.is_final:
            assert answer is JobActiveError
        else:
            assert answer is None
            self.jobs.remove(job)
            # Of a batch, nothing is left without its jobs.
            self.batches = [each for each in self.batches if self._left(each)]

    # -- a worker

    @there_are_jobs
    @rule(job=JOBS)
    def run(self, job: Owned) -> None:
        claim = self.world.work.claim(UUID(job.id), "aer@one")
        assert (claim is not None) == (job.status is JobStatus.PENDING)
        if claim is not None:
            assert self.world.work.finish(claim, finished())
            job.status = JobStatus.FINISHED
            self.world.watchers.changed([UUID(job.id)])

    @invariant()
    def each_is_as_its_owner_left_it(self) -> None:
        files = {str(each) for each in self.world.files()}
        assert files == {each.id for each in self.jobs if not each.status.is_final}

    def teardown(self) -> None:
        self.world.store.close()

    # -- the model

    def _canceled(self, job: Owned) -> CancelVerdict:
        if job.status.is_final:
            return CancelVerdict.TOO_LATE
        job.status = JobStatus.CANCELED
        return CancelVerdict.REMOVED_FROM_QUEUE

    def _left(self, batch: OwnedBatch) -> list[Owned]:
        return [each for each in batch.jobs if each in self.jobs]

    def _size(self, batch: OwnedBatch) -> int:
        return len(batch.jobs)

    def _known(self, owned: Any, caller: str, request_id: str) -> Any:
        own = (each for each in owned if each.owner == caller and each.request_id == request_id)
        return next(own, None)

    def _sees(self, caller: str, owned: Owned | OwnedBatch) -> bool:
        return caller in (ADMIN, owned.owner)

    # -- the service

    def _caller(self, name: str) -> Caller:
        return Caller(owner=name, is_admin=name == ADMIN)

    def _by(self, name: str) -> VisibleJobs:
        return self.world.service.by(self._caller(name))

    def _said(self, call: Callable[[], Any]) -> Any:
        self.world.clock.advance(0.001)
        try:
            return call()
        except QDispatchError as error:
            return type(error)

    def _watch(self, begin: Callable[[Told], Any]) -> Told:
        told = Told()
        watcher = begin(told)
        told.until(lambda: told.ended or told.updates)
        self.world.watchers.leave(watcher)
        return told
