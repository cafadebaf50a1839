"""Where a job runs, if it does not say so itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from app.ports import Clock
from app.settings import TargetSettings
from app.store import Store
from app.validation import candidates, in_batch
from qdispatch.errors import TargetDrainedError
from qdispatch.model import JobSpec, JobStatus, TargetState

#: A worker that was not seen for this long is not counted, in seconds.
WORKER_SEEN_S: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class TargetLoad:
    """How busy the targets are, at one moment."""

    jobs: Mapping[tuple[str, JobStatus], int]
    """How many jobs are pending and running, by target."""
    workers: Mapping[str, tuple[int, int]]
    """Workers that reported lately, and their slots, by target."""
    states: Mapping[str, TargetState]
    """Those that are not active."""

    @classmethod
    def read(cls, store: Store, clock: Clock) -> TargetLoad:
        """The load now."""
        with store.read() as tx:
            seen_after = clock() - timedelta(seconds=WORKER_SEEN_S)
            return cls(jobs=tx.load(), workers=tx.workers(seen_after), states=tx.targets.states())


class Placement:
    """Picks targets for jobs that come at the same moment.

    Args:
        targets: Those that there are.
        read: Tells how busy they are; asked once, and only if a job leaves the choice.
    """

    def __init__(
        self, targets: Mapping[str, TargetSettings], read: Callable[[], TargetLoad]
    ) -> None:
        self._targets = targets
        self._read = read
        self._placed: Counter[str] = Counter()

    @cached_property
    def _load(self) -> TargetLoad:
        return self._read()

    def pick(self, spec: JobSpec) -> str:
        """The target that a job names, else the least loaded of those that fit.

        Raises:
            RequestError: There is none of that name, or none fits.
            TargetDrainedError: All that fit are drained.
        """
        names = candidates(spec, self._targets)
        if spec.target:
            return names[0]
        drained = TargetState.DRAINED
        accepting = [name for name in names if self._load.states.get(name) is not drained]
        if not accepting:
            raise drained_error(names)
        best = min(accepting, key=self._rank)
        self._placed[best] += 1
        return best

    def _rank(self, name: str) -> tuple[bool, bool, float]:
        jobs = self._load.jobs
        busy = sum(jobs.get((name, each), 0) for each in (JobStatus.PENDING, JobStatus.RUNNING))
        _, slots = self._load.workers.get(name, (0, 0))
        per_slot = (busy + self._placed[name]) / (slots or self._targets[name].concurrency)
        return name in self._load.states, slots == 0, per_slot


def check_drained(specs: Sequence[JobSpec], states: Mapping[str, TargetState]) -> None:
    """Refuses a batch of which a job names a target that is drained."""
    for index, spec in enumerate(specs):
        if states.get(spec.target) is TargetState.DRAINED:
            with in_batch(index):
                raise drained_error([spec.target])


def drained_error(names: Sequence[str]) -> TargetDrainedError:
    """Nobody takes the job, for these targets are drained."""
    if len(names) == 1:
        text = f"target {names[0]} is drained: it accepts no jobs until it is resumed"
    else:
        text = f"all targets that fit are drained ({', '.join(names)}): none accepts jobs for now"
    return TargetDrainedError(
        f"{text}; name another target, or submit again later (`client.targets()` shows the states)",
        field="spec.target",
    )
