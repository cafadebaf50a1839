"""The client's side, without a server: what it makes of its arguments, and how it waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from qdispatch import job as job_module
from qdispatch.circuits import CustomCircuit
from qdispatch.client import ADDRESS_VARIABLE, DEFAULT_ADDRESS, Client
from qdispatch.errors import (
    CircuitError,
    InvalidJobError,
    JobCanceledError,
    JobEndedError,
    JobFailedError,
    QDispatchError,
    WaitTimeoutError,
)
from qdispatch.model import (
    CancelVerdict,
    JobError,
    JobInfo,
    JobSpec,
    JobStatus,
    PauliSum,
    PauliTerm,
    Result,
    ResultType,
)
from tests.fakes import ManualClock
from tests.world import BELL, bell

CIRCUIT = CustomCircuit(
    program=BELL, program_format="openqasm2", n_qubits=2, depth=3, framework="mine"
)
DONE = (
    Result(type=ResultType.COUNTS, n_bits=2, counts={"00": 1, "11": 2}),
    Result(type=ResultType.EXPVAL, expval=(1.0, -0.5), standard_errors=(0.0, 0.1)),
)


class ScriptedClient(Client):
    """A client whose server is a list of statuses, one per look."""

    def __init__(self, *statuses: JobStatus) -> None:
        super().__init__("127.0.0.1:1")
        self.statuses = list(statuses)
        self.specs: list[JobSpec] = []
        self.calls: list[str] = []
        self.error: JobError | None = None

    def _info(self, status: JobStatus) -> JobInfo:
        return JobInfo(
            id="018f0000-0000-7000-8000-000000000000",
            owner="anonymous",
            request_id="r",
            status=status,
            spec=bell(program=""),
            created_at=ManualClock()(),
            error=self.error,
        )

    def create_job(self, spec: JobSpec, *, request_id: str | None = None) -> JobInfo:
        self.specs.append(spec)
        return self._info(JobStatus.PENDING)

    def get_job(self, job_id: str, *, include_results: bool = False) -> JobInfo:
        self.calls.append("results" if include_results else "status")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return replace(self._info(status), results=DONE if include_results else ())

    def cancel_job(self, job_id: str) -> CancelVerdict:
        self.calls.append("cancel")
        return CancelVerdict.STOPPING


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Replaces the clock and the sleep of the polling by ones that take no time."""
    slept: list[float] = []
    monkeypatch.setattr(job_module.time, "sleep", slept.append)
    monkeypatch.setattr(job_module.time, "monotonic", lambda: sum(slept))
    yield slept
    monkeypatch.undo()


def submitted(**arguments: Any) -> JobSpec:
    with ScriptedClient() as client:
        client.submit(CIRCUIT, **arguments)
        (spec,) = client.specs
    return spec


# -- submission


def test_a_custom_circuit_brings_its_metadata() -> None:
    spec = submitted(target="aer", seed=1, tags=["a"], time_limit_s=2.0)
    assert (spec.program, spec.program_format) == (BELL, "openqasm2")
    assert (spec.framework, spec.n_qubits, spec.depth) == ("mine", 2, 3)
    assert (spec.target, spec.seed, spec.tags, spec.time_limit_s) == ("aer", 1, ("a",), 2.0)
    assert spec.submission_date is not None
    assert spec.submission_date.tzinfo is not None


@pytest.mark.parametrize(
    ("arguments", "kinds", "shots"),
    [
        ({}, ["counts"], 1024),
        ({"shots": 5}, ["counts"], 5),
        ({"result_types": "quasi"}, ["quasi"], 0),
        ({"result_types": ["quasi", "counts"]}, ["quasi", "counts"], 1024),
        ({"observables": "ZZ"}, ["expval"], 0),
        ({"observables": ["ZZ"], "result_types": ["counts", "expval"]}, ["counts", "expval"], 1024),
        ({"shots": 0}, ["counts"], 0),
    ],
)
def test_what_is_not_said_is_filled_in(
    arguments: dict[str, Any], kinds: list[str], shots: int
) -> None:
    spec = submitted(**arguments)
    assert (list(spec.result_types), spec.shots) == (kinds, shots)


def test_observables_are_not_dropped_in_secret() -> None:
    # The server refuses them, and says why.
    spec = submitted(observables=["ZZ"], result_types=["counts"])
    assert spec.observables == (PauliSum(terms=(PauliTerm(paulis="ZZ"),)),)


@pytest.mark.parametrize(
    ("extra", "text"), [("", ""), ('{"a":1}', '{"a":1}'), ({"a": [1]}, '{"a": [1]}')]
)
def test_extra_is_text_or_what_json_can_carry(extra: object, text: str) -> None:
    assert submitted(extra=extra).extra == text


def test_an_unknown_result_type_is_refused_before_anything_is_sent() -> None:
    with ScriptedClient() as client:
        with pytest.raises(InvalidJobError, match="counts, quasi, expval") as caught:
            client.submit(CIRCUIT, result_types=["counts", "samples"])
        assert client.specs == []
    assert caught.value.field == "result_types[1]"


def test_what_is_no_circuit_is_refused_before_anything_is_sent() -> None:
    with ScriptedClient() as client:
        with pytest.raises(CircuitError):
            client.submit(object())
        assert client.specs == []


@pytest.mark.parametrize(
    "change",
    [{"shots": -1}, {"shots": 2**64}, {"seed": -1}, {"n_qubits": 2**32}, {"framework": "\ud800"}],
)
def test_what_the_wire_cannot_carry_is_an_error_of_the_job(change: dict[str, Any]) -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(InvalidJobError, match="cannot be sent"):
        client.create_job(bell(**change))


@pytest.mark.parametrize(
    "change",
    [
        {"program": ""},
        {"program_format": "quil"},
        {"n_qubits": 0},
        {"n_qubits": True},
        {"depth": -1},
        {"depth": 1.5},
        {"framework": " "},
    ],
)
def test_a_custom_circuit_demands_its_metadata(change: dict[str, Any]) -> None:
    fields = {name: getattr(CIRCUIT, name) for name in CIRCUIT.__dataclass_fields__}
    with pytest.raises(CircuitError, match=next(iter(change))):
        CustomCircuit(**(fields | change))


def test_the_address_is_given_or_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    with Client() as client:
        assert client.address == DEFAULT_ADDRESS
    monkeypatch.setenv(ADDRESS_VARIABLE, "there:1")
    with Client() as there, Client("here:2") as here:
        assert (there.address, here.address) == ("there:1", "here:2")


# -- waiting


def test_waiting_backs_off(naps: list[float]) -> None:
    with ScriptedClient(*[JobStatus.RUNNING] * 30, JobStatus.FINISHED) as client:
        assert client.submit(CIRCUIT).wait() is JobStatus.FINISHED
    assert naps == sorted(naps)
    assert naps[0] < 0.01
    assert naps[-1] == 1.0
    assert len(naps) == 30


def test_waiting_ends_in_time_and_the_job_goes_on(naps: list[float]) -> None:
    with ScriptedClient(JobStatus.RUNNING) as client:
        job = client.submit(CIRCUIT)
        with pytest.raises(WaitTimeoutError, match=r"still running after 2.5 s; it goes on"):
            job.wait(2.5)
        with pytest.raises(TimeoutError):
            job.result(timeout_s=0)
    assert sum(naps) == pytest.approx(2.5)


def test_waiting_no_time_looks_once(naps: list[float]) -> None:
    with ScriptedClient(JobStatus.FINISHED) as client:
        assert client.submit(CIRCUIT).wait(0) is JobStatus.FINISHED
        assert client.calls == ["status"]
    assert naps == []


def test_a_final_status_is_not_asked_for_again() -> None:
    with ScriptedClient(JobStatus.FINISHED) as client:
        job = client.submit(CIRCUIT)
        assert [job.status(), job.status(), job.wait()] == [JobStatus.FINISHED] * 3
        assert client.calls == ["status"]


# -- results


def test_results_are_fetched_once() -> None:
    with ScriptedClient(JobStatus.FINISHED) as client:
        job = client.submit(CIRCUIT)
        result = job.result()
        assert job.result() == result
        assert client.calls == ["status", "results"]
    assert result.counts == {"00": 1, "11": 2}
    assert (result.expval, result.standard_errors) == ((1.0, -0.5), (0.0, 0.1))
    with pytest.raises(QDispatchError, match="not asked for quasi"):
        _ = result.quasi


def test_a_failed_job_says_why() -> None:
    with ScriptedClient(JobStatus.FAILED) as client:
        client.error = JobError(kind="out_of_memory", message="needs 16 GiB")
        job = client.submit(CIRCUIT)
        with pytest.raises(JobFailedError, match="out_of_memory: needs 16 GiB") as caught:
            job.result()
    assert caught.value.info is job.info
    assert isinstance(caught.value, JobEndedError)


def test_a_canceled_job_has_no_results() -> None:
    with ScriptedClient(JobStatus.CANCELED) as client:
        job = client.submit(CIRCUIT)
        assert job.cancel() is CancelVerdict.STOPPING
        with pytest.raises(JobCanceledError, match=job.id):
            job.result()


def test_a_job_shows_itself() -> None:
    with ScriptedClient(JobStatus.FINISHED) as client:
        text = repr(client.submit(CIRCUIT))
    assert text == "<Job 018f0000-0000-7000-8000-000000000000 on aer: pending>"
