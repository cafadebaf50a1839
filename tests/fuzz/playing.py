"""The broker and the worker of a fuzzed server: jobs go through all of their life, fast."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Final
from uuid import UUID

from app.jobs import Claim, EncodedResult, Failed, Finished
from app.ports import Chunk, Dispatch, Sent
from app.work import WorkService
from qdispatch.arrays import Memory
from qdispatch.errors import UnavailableError
from qdispatch.model import ErrorKind, Result, ResultType
from qdispatch.results_codec import encode_result
from tests.world import counts, failed, finished

_WORKER: Final = "@player"
_MOST: Final = 100
#: So many run at the same time, and as many wait, so that requests find jobs that do.
_HELD: Final = 60
_OFTEN_S: Final = 1.0
# How often a job has more results than one message may carry, in bytes.
_LARGE: Final = 0.02
_LARGE_BYTES: Final = 2 * 2**20
# Of what runs the jobs: results are given to equal ones of the same.
_FINGERPRINT: Final = "the same"


class Player:
    """A dispatcher whose jobs it runs itself.

    Args:
        work: What workers do with jobs.
    """

    def __init__(self, work: WorkService) -> None:
        self._work = work
        self._queue: SimpleQueue[Sent] = SimpleQueue()
        self._stop = Event()
        self._random = random.Random(7)
        self._running: list[Claim] = []
        self._thread = Thread(target=self._run, name="player", daemon=True)
        self.played = 0

    def start(
        self,
        *,
        sent: Callable[[Sequence[Sent]], None],
        changed: Callable[[Sequence[UUID]], None],
        often: Callable[[], None],
    ) -> None:
        """Begins.

        Args:
            sent: Told of what the broker has.
            changed: Told which jobs have another status.
            often: Called every few seconds.
        """
        self._sent, self._changed, self._often = sent, changed, often
        for target in ("aer", "cirq"):
            self._work.report(target + _WORKER, target, 2, _FINGERPRINT)
        self._thread.start()

    def close(self) -> None:
        """Ends, with what runs."""
        self._stop.set()
        self._thread.join()

    # -- as a dispatcher

    def send(self, dispatch: Dispatch) -> None:
        """Takes a job."""
        self._queue.put(dispatch)

    def send_chunk(self, chunk: Chunk) -> None:
        """Takes jobs."""
        self._queue.put(chunk)

    def revoke(self, job_ids: Sequence[UUID], *, running: bool) -> None:
        """Hears of jobs that are canceled; they are found out when they are to end."""

    def length(self, _target: str) -> int:
        """How many messages wait."""
        return self._queue.qsize()

    # -- as a worker

    def _run(self) -> None:
        last = 0.0
        while not self._stop.is_set():
            try:
                self._play(self._messages())
                if monotonic() - last > _OFTEN_S:
                    self._often()
                    last = monotonic()
            except UnavailableError:
                # The database is busy; what was claimed stays so.
                continue

    def _messages(self) -> list[Sent]:
        messages: list[Sent] = []
        # What comes slowly waits a while, so that it can be met as it waits.
        self._stop.wait(0.1)
        while len(messages) < _MOST:
            try:
                messages.append(self._queue.get_nowait())
            except Empty:
                break
        return messages

    def _play(self, messages: Sequence[Sent]) -> None:
        if not messages:
            return
        self._sent(messages)
        job_ids = [job_id for each in messages for job_id in _jobs_of(each)]
        for job_id in job_ids:
            claim = self._work.claim(job_id, f"aer{_WORKER}")
            if claim is not None:
                self._running.append(claim)
        ready, self._running = self._running[:-_HELD], self._running[-_HELD:]
        if ready and self._random.random() < _LARGE:
            self._work.finish(ready.pop(), finished(results=(_large(),), fingerprint=_FINGERPRINT))
        outcomes = [(claim, outcome) for claim in ready if (outcome := self._outcome(claim))]
        held = self._work.end_many(outcomes) if outcomes else set()
        for claim, _ in outcomes:
            if claim.job_id not in held:
                self._work.confirm_stop(claim)
        self.played += len(outcomes)
        self._changed([*job_ids, *(claim.job_id for claim in ready)])

    def _outcome(self, claim: Claim) -> Finished | Failed | None:
        """What an attempt comes to; None if that has been seen to."""
        fate = self._random.random()
        if fate < 0.03:
            self._work.fault(claim, failed(ErrorKind.CRASHED, "it crashed"))
            return None
        if fate < 0.06:
            self._work.hand_over(claim)
            return None
        if fate < 0.2:
            return failed(self._random.choice(list(ErrorKind)), "it went wrong")
        if fate < 0.3:
            many = counts({f"{number:010b}": 1 for number in range(1000)})
            return finished(results=(many,), fingerprint=_FINGERPRINT)
        return finished(fingerprint=_FINGERPRINT)


def _large() -> EncodedResult:
    """More than one message may carry."""
    memory = Memory(bytes(_LARGE_BYTES), n_bits=8)
    value = encode_result(Result(type=ResultType.MEMORY, n_bits=8, memory=memory))
    return EncodedResult(result_type="memory", point=0, value=value.SerializeToString())


def _jobs_of(message: Sent) -> tuple[UUID, ...]:
    return message.job_ids if isinstance(message, Chunk) else (message.job_id,)
