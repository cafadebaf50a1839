"""The jobs of a chunk: claimed in groups, run one after the other, ended in groups.

A group is as many jobs as take a moment together, so that what it saves in
transactions costs nobody much time: a job is claimed shortly before it runs,
and its end is told shortly after. A chunk that takes long was none of small
jobs: what is left of it goes back, and other slots share it.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from app.jobs import Claim, Failed, Finished
from qdispatch.errors import UnavailableError
from qdispatch.model import JobStatus
from tasks.holds import GroupHold
from tasks.runner import Runner
from tasks.settle import Ending, ending_of
from tasks.supervise import Stopped

_log = logging.getLogger(__name__)

# How long a group should take, in seconds.
_GROUP_S: Final = 0.1
# How long a slot stays with one chunk, in seconds, unless its end is near.
_CHUNK_S: Final = 2.0
# After how long it is asked whether jobs of other owners wait, in seconds: less than a
# group takes, so that it is asked after each but the first and small ones.
_ASK_S: Final = 0.05
# Less than it takes to claim a job, in seconds.
_SHORT_S: Final = 1e-4
# Results that are stored at once, in bytes, or a little more.
_GROUP_BYTES: Final = 2**20


class ChunkRunner(Runner):
    """Runs the jobs of one chunk at a time."""

    # The ends of those before wait for it, too.
    moment_s = 0.05

    # Those of the group that have ended, and wait to be noted together.
    _ended: list[tuple[Claim, Finished | Failed]]
    _ends: Counter[JobStatus]
    _ask_at: float
    # Those that were not claimed yet.
    _left: Sequence[UUID]

    def run(self, job_ids: Sequence[UUID]) -> Counter[JobStatus]:
        """Runs those of these jobs that are pending.

        Returns:
            How many have ended here, by their status.

        Raises:
            UnavailableError: The worker is to stop, and could not even claim the first.
        """
        self._ends = Counter()
        began = time.monotonic()
        self._ask_at = began + _ASK_S
        done, size = 0, 1
        self._left = job_ids
        while self._left:
            group, self._left = self._left[:size], self._left[size:]
            # Those that others had claimed took no time, and tell nothing of the rest.
            done += self._run_group(group)
            # By what they took so far; each group is a little better known than the last.
            per_job_s = max(_SHORT_S, time.monotonic() - began) / max(1, done)
            too_long = min(done, len(self._left)) * per_job_s > _CHUNK_S
            if self._stops() or too_long or self._others_wait():
                self._release()
            if done:
                size = max(1, min(4 * size, int(_GROUP_S / per_job_s)))
        return self._ends

    def _others_wait(self) -> bool:
        """Whether others are to have their turn now; asked once a while."""
        if not self._left or time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + _ASK_S
        try:
            return self._work.others_wait(self._left[0])
        except UnavailableError:
            # Whoever claims the next group waits until it is back.
            return False

    def _stops(self) -> bool:
        return self._stop.terminated or self._stop.leaving

    def _release(self) -> None:
        """Leaves what has not been claimed to others."""
        job_ids, self._left = self._left, ()
        # Those of a chunk that an operator terminates are canceled by the main process
        # (`MainProcess.revoked`), which knows them by the chunk that they still belong to.
        if not job_ids or (self._stop.terminated and not self._stop.leaving):
            return
        _log.info("%d jobs of a chunk are left to others", len(job_ids))
        try:
            self._work.release(job_ids)
        except UnavailableError as error:
            # Their message is used up: the sweep will miss it, and send them again.
            _log.warning("cannot give %d jobs back: %s", len(job_ids), error)

    def _run_group(self, job_ids: Sequence[UUID]) -> int:
        """Runs those of these jobs that are pending; how many were."""
        claims = self._settler.until_there(
            job_ids[0], lambda: self._work.claim_many(job_ids, self._worker)
        )
        hold = GroupHold(
            self._work,
            claims,
            patience_s=_CHUNK_S,
            overdue=self._release,
            note_ends=self._note_ends,
        )
        self._ended = []
        size = 0
        try:
            for claim in claims:
                begins = hold.begin(claim) and not self._stops()
                outcome = self._outcome(claim, hold) if begins else Stopped()
                hold.ended(claim)
                if isinstance(outcome, Finished | Failed):
                    self._ended.append((claim, outcome))
                    size += _size_of(outcome)
                else:
                    self._count(self._settled(claim, outcome))
                    self._changed([claim.job_id])
                if size > _GROUP_BYTES:
                    self._end()
                    size = 0
            self._end()
        except UnavailableError:
            # The worker stops: leases lapse, and other attempts follow.
            self._engine.kill()
        return len(claims)

    def _began(self, claim: Claim) -> None:
        """One takes its time: those before it are not to wait for it."""
        try:
            self._note_ends()
        except UnavailableError as error:
            # This one has limits that somebody must look at: the ends are noted later.
            _log.warning("the ends of %d jobs wait: %s", len(self._ended), error)
        super()._began(claim)

    def _end(self) -> None:
        """Notes the ends of those that have ended, however long that takes."""
        if self._ended:
            self._settler.until_there(self._ended[0][0].job_id, self._note_ends)

    def _note_ends(self) -> None:
        """Notes the ends of those that have ended.

        Raises:
            UnavailableError: The database is away; they still wait then.
        """
        ended = tuple(self._ended)
        if not ended:
            return
        try:
            held = self._work.end_many(ended)
        except UnavailableError:
            raise
        except Exception:  # noqa: BLE001 - one of them is the cause; each must end
            _log.exception("%d jobs cannot end together", len(ended))
            self._ended = []
            for claim, outcome in ended:
                self._count(self._settled(claim, outcome))
        else:
            self._ended = []
            for claim, outcome in ended:
                if claim.job_id in held:
                    self._count(ending_of(claim, outcome))
                else:
                    self._count(self._settler.stopped(claim, outcome.cpu_s))
        self._changed([claim.job_id for claim, _ in ended])

    def _count(self, ending: Ending) -> None:
        if ending.status is not None:
            self._ends[ending.status] += 1


def _size_of(outcome: Finished | Failed) -> int:
    if isinstance(outcome, Failed):
        return 0
    return sum(len(each.value) for each in outcome.results)
