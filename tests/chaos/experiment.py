"""One run: start, submit, break, heal, check."""

from __future__ import annotations

import logging
import signal
import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from qdispatch import Client
from qdispatch.model import JobSpec, JobStatus
from tests.chaos import litter
from tests.chaos.checker import Checker, Expected
from tests.chaos.faults import Saboteur
from tests.chaos.installation import ORPHAN_AFTER_S, Installation
from tests.chaos.keeper import Keeper, keepers
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load
from tests.chaos.mixture import orders, references
from tests.chaos.monitor import Monitor
from tests.chaos.plan import EMBEDDED, FULL, faults, select
from tests.chaos.report import Case, Report, Verdict
from tests.chaos.sabotage import Sabotage
from tests.services.process import wait_until

_log = logging.getLogger(__name__)

_ENOUGH: Final = 10**9
_REFERENCE_S: Final = 120.0
# How long the number of active jobs may stay as it is, once all is healed.
_STUCK_S: Final = 60.0
_EMPTY_S: Final = 60.0


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be run.

    Attributes:
        seed: Decides jobs and faults.
        jobs: How many to submit, if `seconds` is None.
        faults: How many are to happen, if `seconds` is None.
        seconds: How long to submit and break.
        embedded: Whether on SQLite and the broker of its own.
        only: Patterns of the kinds of faults; all if empty.
        disks: Whether small disks may be mounted.
        settle_s: How long jobs may take to end after the last fault, at the most.
    """

    seed: int
    jobs: int
    faults: int
    seconds: float | None
    embedded: bool
    only: tuple[str, ...]
    disks: bool
    settle_s: float

    @property
    def kinds(self) -> list[str]:
        """The kinds of faults that can happen here."""
        known = EMBEDDED if self.embedded else FULL
        return [
            kind for kind in select(known, self.only) if self.disks or not kind.startswith("disk:")
        ]

    @property
    def title(self) -> str:
        """Names the run."""
        return f"Chaos, {'embedded' if self.embedded else 'full'}, seed {self.seed}"


class Experiment:
    """One run in a folder.

    Args:
        options: What is to be run.
        folder: For everything.
    """

    def __init__(self, options: Options, folder: Path) -> None:
        self._options = options
        self._folder = folder
        self._report = Report(options.title)
        self._ledger = Ledger()
        if not options.disks:
            self._report.notes.append("Left out: disk:*, because nothing may be mounted here.")

    def run(self) -> Report:
        """Runs it to the end."""
        with ExitStack() as stack:
            installation = Installation(
                self._folder, embedded=self._options.embedded, disks=self._options.disks
            )
            stack.callback(installation.close)
            monitor = Monitor(installation.stack.database_url)
            stack.callback(monitor.close)
            with installation.stack.client() as client:
                expected = _expected(client)
            _log.info("the reference is there: %d distinct jobs that finish", len(expected))
            monitor.start()
            kept = keepers(installation)
            for keeper in kept.values():
                stack.callback(keeper.close)
            self._break(installation, monitor, kept)
            self._check(installation, monitor, expected)
            self._end(installation, monitor, kept)
        return self._report

    # -- breaking

    def _break(self, installation: Installation, monitor: Monitor, kept: dict[str, Keeper]) -> None:
        options = self._options
        load = Load(
            installation.stack.address,
            orders(options.seed),
            self._ledger,
            backlog=monitor.active,
        )
        saboteur = Saboteur(installation, kept)
        sabotage = Sabotage(
            plan=faults(options.seed, options.kinds),
            saboteur=saboteur,
            monitor=monitor,
            report=self._report,
            employ=load.add,
        )
        began = time.monotonic()

        def over(number: int) -> bool:
            if options.seconds is not None:
                return time.monotonic() - began >= options.seconds
            return number >= options.faults

        def before_each(number: int) -> None:
            if options.seconds is not None:
                return
            share = options.jobs / options.faults
            load.allow(min(options.jobs, round(share * (number + 2))))
            wait_until(lambda: load.given >= share * number, _EMPTY_S)
            _log.info("%d faults, %d jobs so far", number, load.given)

        load.start()
        try:
            if options.seconds is not None:
                load.allow(_ENOUGH)
            sabotage.run(before_each=before_each, over=over)
            saboteur.heal()
            _log.info("healed")
            number = options.jobs if options.seconds is None else load.given
            in_time = load.finish(number, options.settle_s)
            _log.info("%d jobs, %s", load.given, "settled" if in_time else "NOT settled")
            if self._settle(monitor):
                self._clean(installation, kept["sweep"])
        finally:
            saboteur.heal()
            load.stop()
            for name, keeper in kept.items():
                if keeper.ended_by_itself:
                    self._report.restarts[name] = keeper.ended_by_itself

    def _settle(self, monitor: Monitor) -> bool:
        """Waits until every job is final, as long as there is progress; whether all are."""
        until = time.monotonic() + self._options.settle_s
        while time.monotonic() < until:
            before = monitor.count_active()
            if not before or not wait_until(
                lambda n=before: monitor.count_active() != n, _STUCK_S, poll_s=0.2
            ):
                break
        left = monitor.count_active()
        if left and time.monotonic() >= until:
            self._report.notes.append(
                f"There was progress still after {self._options.settle_s:g} s, with {left} jobs"
                " left: this machine may be too slow for so short a time to settle."
            )
        _log.info("%d jobs are not final", left)
        return not left

    def _clean(self, installation: Installation, sweep: Keeper) -> None:
        """Gives the service the time it claims to need for cleaning up."""
        healed = time.monotonic()
        if not wait_until(lambda: not installation.stack.programs, 3.0):
            wait_until(lambda: time.monotonic() - healed > ORPHAN_AFTER_S, ORPHAN_AFTER_S + 1)
            # It looks for files when it starts, and then once a minute.
            sweep.hold()
            process = installation.stack.process("sweep")
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: not sweep.part.running(), _EMPTY_S)
            sweep.release()
            wait_until(lambda: not installation.stack.programs, _EMPTY_S)
        wait_until(lambda: not list(litter.in_queues(installation)), _EMPTY_S, poll_s=0.5)

    # -- checking

    def _check(self, installation: Installation, monitor: Monitor, expected: Expected) -> None:
        with installation.stack.client() as client:
            Checker(client, monitor.jobs(), expected).check(self._ledger.entries, self._report)
        self._report.cases += [
            *litter.in_rows(monitor),
            *litter.in_queues(installation),
            *litter.in_programs(installation),
        ]

    def _end(self, installation: Installation, monitor: Monitor, kept: dict[str, Keeper]) -> None:
        before = len(list(litter.in_queues(installation)))
        for name in installation.parts:
            kept[name].retire()
        try:
            installation.stack.stop()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            text = f"does not stop in order: {error}"
            self._report.cases.append(Case(verdict=Verdict.LITTER, text=text))
        after = list(litter.after_the_end(installation, monitor))
        if not before:
            after += litter.in_queues(installation)
        self._report.cases += after


def _expected(client: Client) -> dict[JobSpec, dict[str, int]]:
    """Runs every distinct job that finishes, on the healthy installation."""
    specs = references()
    jobs = [
        client.job(client.create_job(spec, request_id=f"reference-{number}").id)
        for number, spec in enumerate(specs)
    ]
    expected = {}
    for spec, job in zip(specs, jobs, strict=True):
        status = job.wait(_REFERENCE_S)
        if status is not JobStatus.FINISHED:
            raise RuntimeError(f"on a healthy installation: {job}: {job.info.error}")
        expected[spec] = dict(job.result().counts)
    return expected
