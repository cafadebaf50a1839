"""Between rows and the vocabulary."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from app.records import dump_observables, info_of, spec_of
from app.rows import JobRow, StatusColumn, UtcDateTime
from qdispatch.model import JobError, JobStatus, PauliSum, PauliTerm, ResultType, Timings
from tests.world import World, bell, failed

SQLITE = sa.dialects.registry.load("sqlite")()


def row(world: World, **changes: object) -> JobRow:
    job_id = world.submit()
    with world.store.read() as tx:
        found = tx.job(job_id)
    assert found is not None
    for name, value in changes.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    "observables",
    [
        (),
        (PauliSum(terms=()),),
        (PauliSum(terms=(PauliTerm(paulis="XIZ", coefficient=0.1),)),),
        (PauliSum(terms=(PauliTerm(paulis="", qubits=None),)),),
        (
            PauliSum(terms=(PauliTerm(paulis="XZ", qubits=(7, 2)), PauliTerm(paulis="Y" * 3))),
            PauliSum(terms=(PauliTerm(paulis="Z", qubits=(0,), coefficient=-1e-17),)),
        ),
    ],
)
def test_observables_come_back(world: World, observables: tuple[PauliSum, ...]) -> None:
    stored = dump_observables(observables)
    assert spec_of(row(world, observables=stored)).observables == observables


def test_a_spec_holds_no_program(world: World) -> None:
    spec = spec_of(row(world))
    assert spec == bell(program="", time_limit_s=600.0)
    assert isinstance(spec.result_types[0], ResultType)


def test_what_is_not_known_yet_is_none(world: World) -> None:
    info = info_of(row(world))
    assert (info.started_at, info.finish_time, info.error) == (None, None, None)
    assert info.timings == Timings()
    assert (info.worker, info.method, info.peak_memory_bytes, info.results) == ("", "", 0, ())


def test_queueing_counts_from_the_servers_clock(world: World) -> None:
    claimed = datetime(2025, 1, 1, tzinfo=UTC)
    stored = row(world, submission_date=claimed)
    stored.started_at = stored.created_at + timedelta(seconds=1.25)
    assert info_of(stored).timings.queued_s == 1.25


def test_an_error_is_a_kind_and_a_message(world: World) -> None:
    claim = world.running()
    world.work.fail(claim, failed(message=""))
    assert world.info(claim.job_id).error == JobError(kind="unsupported", message="")


def test_moments_are_utc_whatever_they_were() -> None:
    column = UtcDateTime()
    local = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert column.process_bind_param(local, SQLITE) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    naive = datetime(2026, 1, 1)  # noqa: DTZ001
    assert column.process_result_value(naive, SQLITE) == datetime(2026, 1, 1, tzinfo=UTC)
    with pytest.raises(ValueError, match="naive"):
        column.process_bind_param(naive, SQLITE)


def test_a_status_is_stored_by_its_value() -> None:
    column = StatusColumn()
    assert column.process_bind_param(JobStatus.RUNNING, SQLITE) == "running"
    assert column.process_result_value("running", SQLITE) is JobStatus.RUNNING
    with pytest.raises(ValueError, match="RUNNING"):
        column.process_bind_param("RUNNING", SQLITE)
