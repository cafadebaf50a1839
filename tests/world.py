"""The core, put together as the service does, on fakes where it meets the outside."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import sqlalchemy as sa
from sqlmodel import SQLModel

from app.engines import make_engine
from app.identity import EVERYBODY
from app.jobs import Claim, EncodedResult, Failed, Finished
from app.outlooks import OutlookSource
from app.programs import Programs
from app.quotas import Quotas
from app.service import JobService
from app.settings import SETTINGS_VARIABLE, Settings
from app.store import Store
from app.targets import TargetControl
from app.upkeep import Upkeep
from app.visible_jobs import VisibleJobs
from app.watching import Watchers
from app.work import WorkService
from qdispatch.model import ErrorKind, JobInfo, JobStatus, Result
from qdispatch.model import ResultType as Type
from qdispatch.results_codec import encode_result
from tests.fake_store import FakeStore
from tests.fakes import ManualClock, ManualQueues, RecordingDispatcher, SwitchableStore
from tests.specs import bell

WORKER: Final = "aer@host"

#: In place of a database's URL: the fake store.
NO_DATABASE: Final = "fake:"


def counts(counted: dict[str, int]) -> EncodedResult:
    """A result as an engine hands it over."""
    n_bits = len(next(iter(counted), ""))
    result = Result(type=Type.COUNTS, n_bits=n_bits, counts=counted)
    return EncodedResult(
        result_type="counts", point=0, value=encode_result(result).SerializeToString()
    )


def finished(**changes: Any) -> Finished:
    """What a simulation that went well left behind."""
    outcome = Finished(
        results=(counts({"00": 48, "11": 52}),),
        method="stabilizer",
        method_reason="every gate is a Clifford gate",
        simulator_version="stub 1.0",
        parsing_s=0.25,
        simulating_s=0.5,
        peak_memory_bytes=123_456_789_012,
    )
    return replace(outcome, **changes)


def failed(kind: ErrorKind = ErrorKind.UNSUPPORTED, message: str = "no such gate") -> Failed:
    """What a simulation that went wrong left behind."""
    return Failed(kind=kind, message=message, simulator_version="stub 1.0", parsing_s=0.25)


def make_settings(folder: Path, **values: Any) -> Settings:
    """Settings that neither a file nor the environment of the run has a part in."""
    targets = {
        "aer": {"simulator": "aer", "concurrency": 2, "max_qubits": 100},
        "cirq": {"simulator": "cirq", "concurrency": 2, "max_qubits": 30},
        "pennylane": {"simulator": "pennylane", "concurrency": 1, "max_qubits": 20},
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("QDISPATCH_"):
                patch.delenv(name)
        patch.setenv(SETTINGS_VARIABLE, str(folder / "no-settings.toml"))
        # Nobody confirms a stop here.
        server = {"cancel_wait_s": 0}
        return Settings(**({"data_dir": folder, "targets": targets, "server": server} | values))


@dataclass(frozen=True, kw_only=True)
class World:
    """All that a use case touches."""

    settings: Settings
    store: SwitchableStore
    programs: Programs
    clock: ManualClock
    dispatcher: RecordingDispatcher
    queues: ManualQueues
    service: JobService
    jobs: VisibleJobs
    """Of somebody who may do everything."""
    work: WorkService
    upkeep: Upkeep
    targets: TargetControl
    watchers: Watchers
    quotas: Quotas
    own_quotas: dict[str, dict[str, float]]
    """Of single owners, by name."""
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def submit(self, **changes: Any) -> UUID:
        """Submits a Bell state, with changes to its spec, under a request_id of its own."""
        self.clock.advance(0.001)
        request_id = f"request-{next(self.numbers)}"
        return UUID(self.jobs.submit(bell(**changes), request_id=request_id).id)

    def claim(self, job_id: UUID, worker: str = WORKER) -> Claim:
        """Claims a job that can be claimed."""
        claim = self.work.claim(job_id, worker)
        assert claim is not None
        return claim

    def running(self, **changes: Any) -> Claim:
        """A job that runs."""
        return self.claim(self.submit(**changes))

    def info(self, job_id: UUID) -> JobInfo:
        """The job as the database has it."""
        return self.jobs.get(str(job_id))

    def status(self, job_id: UUID) -> JobStatus:
        """Where the job is in its life."""
        return self.info(job_id).status

    def files(self) -> set[UUID]:
        """The jobs that have a program file."""
        return {job_id for job_id, _ in self.programs.stored()}

    def job_in(self, status: JobStatus) -> UUID:
        """A job that has got as far as this status."""
        job_id = self.submit()
        if status is JobStatus.CANCELED:
            self.jobs.cancel(str(job_id))
        elif status is not JobStatus.PENDING:
            claim = self.claim(job_id)
            if status is JobStatus.FINISHED:
                self.work.finish(claim, finished())
            elif status is JobStatus.FAILED:
                self.work.fail(claim, failed())
        assert self.status(job_id) is status
        return job_id


class KeptStore(Store):
    """One of PostgreSQL, whose connections serve the next test as well.

    Each is a process of its own there, which takes longer to start than most tests do.
    """

    def close(self) -> None:
        """Leaves them open."""

    def end(self) -> None:
        """Closes them."""
        super().close()


@cache
def kept_store(url: str) -> KeptStore:
    """The one of a database."""
    return KeptStore(make_engine(url))


def delete_rows(store: Store) -> None:
    """Leaves a database without any."""
    with store.engine.begin() as connection:
        # There are few. TRUNCATE would make new files for every table and index.
        for table in reversed(SQLModel.metadata.sorted_tables):
            connection.execute(sa.delete(table))


def _make_store(url: str) -> Store | FakeStore:
    if url == NO_DATABASE:
        return FakeStore()
    if url.startswith("postgresql"):
        return kept_store(url)
    engine = make_engine(url)
    # What a test has written need not outlive the machine.
    sa.event.listen(engine, "connect", lambda each, _: each.execute("PRAGMA synchronous=OFF"))
    return Store(engine)


def make_world(settings: Settings) -> World:
    """The core on a database that is at the current schema, or on the fake store."""
    store = SwitchableStore(_make_store(settings.database))
    programs = Programs(settings.programs)
    clock = ManualClock()
    dispatcher = RecordingDispatcher()
    queues = ManualQueues()
    watchers = Watchers(
        store=store,
        clock=clock,
        outlooks=OutlookSource(store),
        interval_s=settings.server.watch_interval_s,
    )
    own_quotas: dict[str, dict[str, float]] = {}
    quotas = Quotas(
        settings=settings,
        store=store,
        clock=clock,
        own=lambda: own_quotas,
        timer=lambda: clock().timestamp(),
    )
    # What a server does as it starts.
    quotas.look()
    service = JobService(
        settings=settings,
        store=store,
        programs=programs,
        dispatcher=dispatcher,
        clock=clock,
        changed=watchers.changed,
        quotas=quotas,
    )
    return World(
        settings=settings,
        store=store,
        programs=programs,
        clock=clock,
        dispatcher=dispatcher,
        queues=queues,
        service=service,
        jobs=service.by(EVERYBODY),
        watchers=watchers,
        quotas=quotas,
        own_quotas=own_quotas,
        work=WorkService(store=store, programs=programs, clock=clock, settings=settings.jobs),
        upkeep=Upkeep(
            settings=settings.jobs,
            store=store,
            programs=programs,
            dispatcher=dispatcher,
            queues=queues,
            clock=clock,
            targets={name: each.concurrency for name, each in settings.targets.items()},
            reached_at=clock() - timedelta(days=1),
            used_up=quotas.used_up,
        ),
        targets=TargetControl(settings=settings, store=store, clock=clock),
    )
