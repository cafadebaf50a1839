"""A worker's hold on its jobs: looked at often, and renewed three times in a lease."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final
from uuid import UUID

from app.jobs import Claim
from app.work import WorkService
from qdispatch.errors import UnavailableError

_log = logging.getLogger(__name__)

# How often the progress of a sweep is noted at most, in seconds.
_NOTE_S: Final = 0.5
# How often jobs that were claimed together are looked at, in seconds, if none of them
# runs for so long that it is looked at for its own sake.
_LOOK_S: Final = 1.0


class Hold:
    """The hold on one job.

    Args:
        work: The database's side of it.
        claim: The job.
    """

    def __init__(self, work: WorkService, claim: Claim) -> None:
        self._work = work
        self._claim = claim
        self._renew_at = time.monotonic() + work.lease_s / 3
        self._note_at = 0.0
        self._noted = self._points_done = 0

    def note(self, points_done: int) -> None:
        """Notes how far the sweep is, unless that was done a moment ago."""
        self._points_done = points_done
        now = time.monotonic()
        if now < self._note_at or self._noted == points_done:
            return
        self._note_at = now + _NOTE_S
        try:
            self._work.progress(self._claim, points_done)
        except UnavailableError as error:
            _log.warning("cannot note the progress of job %s: %s", self._claim.job_id, error)
            return
        self._noted = points_done

    def lasts(self) -> bool:
        """Whether the job is still this attempt's."""
        # What came too soon after another to be noted.
        self.note(self._points_done)
        try:
            if time.monotonic() < self._renew_at:
                return self._work.holds(self._claim)
            held = self._work.renew(self._claim)
        except UnavailableError as error:
            # Go on: if the job was given away meanwhile, its end changes nothing.
            _log.warning("cannot look after job %s: %s", self._claim.job_id, error)
            return True
        self._renew_at = time.monotonic() + self._work.lease_s / 3
        return held


class GroupHold:
    """The hold on jobs that were claimed together and run one after the other.

    Args:
        work: The database's side of it.
        claims: The jobs.
        patience_s: After this time, in seconds, those that have not begun go back.
        overdue: Called then, too.
        note_ends: Called at each look: notes ends that could not be noted when they came.
    """

    def __init__(
        self,
        work: WorkService,
        claims: Sequence[Claim],
        *,
        patience_s: float,
        overdue: Callable[[], None],
        note_ends: Callable[[], None] = lambda: None,
    ) -> None:
        self._overdue = overdue
        self._note_ends = note_ends
        self._work = work
        self._held = {claim.job_id: claim for claim in claims}
        self._running: UUID | None = None
        now = time.monotonic()
        self._renew_at = now + work.lease_s / 3
        self._give_back_at = now + patience_s
        self._look_at = now + _LOOK_S

    def begin(self, claim: Claim) -> bool:
        """Turns to a job; False if it is known to be canceled or given away."""
        self._running = claim.job_id
        if claim.job_id in self._held and time.monotonic() >= self._look_at:
            # Many that take less than a look between them take longer than a lease.
            return self.lasts()
        return claim.job_id in self._held

    def ended(self, claim: Claim) -> None:
        """Lets a job go that needs no look any more."""
        self._held.pop(claim.job_id, None)

    def note(self, points_done: int) -> None:
        """Nothing: sweeps do not come in chunks."""

    def lasts(self) -> bool:
        """Whether the job that runs is still this attempt's; looks after all of them."""
        self._look_at = time.monotonic() + _LOOK_S
        try:
            self._note_ends()
            self._look()
            if time.monotonic() >= self._give_back_at:
                self._give_back()
        except UnavailableError as error:
            # Go on: what was given away meanwhile changes nothing by its end.
            _log.warning("cannot look after %d jobs: %s", len(self._held), error)
            return True
        return self._running in self._held

    def _look(self) -> None:
        claims = list(self._held.values())
        if time.monotonic() < self._renew_at:
            held = self._work.held_among(claims)
        else:
            held = self._work.renew_many(claims)
            self._renew_at = time.monotonic() + self._work.lease_s / 3
        for key in self._held.keys() - held - {self._running}:
            # It will not begin: whoever has canceled it is told so before its turn.
            self._work.confirm_stop(self._held[key])
            del self._held[key]
        self._held = {key: claim for key, claim in self._held.items() if key in held}

    def _give_back(self) -> None:
        """Jobs that wait behind one that takes long are for other slots."""
        for key in self._held.keys() - {self._running}:
            self._work.hand_over(self._held[key])
            # Not before: it is tried again if the database is away.
            del self._held[key]
        self._overdue()
