"""Carries out the plan of faults, each while jobs run."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Final

from tests.chaos.faults import Mend, Saboteur
from tests.chaos.monitor import Monitor
from tests.chaos.plan import OF_A_WORKER, Fault
from tests.chaos.report import Report
from tests.services.process import wait_until

_log = logging.getLogger(__name__)

# How long a fault waits for one of the planned jobs to run, for one beside the
# plan, and for what it is to hit.
_PATIENCE_S: Final = 1.0
_JOB_S: Final = 15.0
_SUBJECT_S: Final = 45.0


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """The faults of a run, one after the other, at times two at once.

    Attributes:
        plan: What is to happen.
        saboteur: Makes it happen.
        monitor: Tells whether jobs run.
        report: Where it is counted.
        employ: Gets a target a job that runs for a while.
    """

    plan: Iterator[Fault]
    saboteur: Saboteur
    monitor: Monitor
    report: Report
    employ: Callable[[str], None]

    def run(self, *, before_each: Callable[[int], None], over: Callable[[int], bool]) -> None:
        """Lets one fault after the other happen.

        Args:
            before_each: Called with the number of faults so far.
            over: Whether that number is enough, or time is up.
        """
        number = 0
        while not over(number):
            before_each(number)
            together = [next(self.plan)]
            if together[0].joined:
                together.append(next(self.plan))
            self._happen(together)
            number += len(together)

    def _happen(self, together: list[Fault]) -> None:
        mends: list[tuple[float, Fault, Mend]] = []
        for fault in together:
            mend = self._begin(fault)
            if mend is not None:
                mends.append((time.monotonic() + fault.duration_s, fault, mend))
        for until, fault, mend in sorted(mends, key=lambda each: each[0]):
            _pause(until - time.monotonic())
            mend()
            _log.info("mended: %s", fault)
        _pause(together[-1].pause_s)

    def _begin(self, fault: Fault) -> Mend | None:
        of = fault.target if fault.subject in OF_A_WORKER else None
        if not wait_until(lambda: self.monitor.running(of) > 0, _PATIENCE_S):
            self.employ(fault.target)
            wait_until(lambda: self.monitor.running(of) > 0, _JOB_S)
        hit = self.monitor.running(of) > 0
        _log.info("fault: %s, while %d jobs run", fault, self.monitor.running(of))
        found: list[Mend] = []

        def began() -> bool:
            mend = self.saboteur.begin(fault)
            found.extend([mend] if mend is not None else [])
            return bool(found)

        if not wait_until(began, _SUBJECT_S, poll_s=0.1):
            _log.warning("nothing to hit for: %s", fault)
            return None
        self.report.happened[fault.kind] += 1
        self.report.hit[fault.kind] += hit
        return found[0]


def _pause(duration_s: float) -> None:
    if duration_s > 0:
        Event().wait(duration_s)
