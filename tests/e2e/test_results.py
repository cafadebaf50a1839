"""All frameworks to all targets, all result types, both languages."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import pytest

from qdispatch import Client, JobResult
from qdispatch.errors import JobFailedError
from qdispatch.model import ErrorKind, JobStatus
from tests.e2e import circuits
from tests.e2e.stack import TARGETS, Stack
from tests.waiting import wait_until

FRAMEWORKS: dict[str, Callable[[], object]] = {
    "qiskit": circuits.qiskit_circuit,
    "cirq": circuits.cirq_circuit,
    "pennylane": circuits.pennylane_circuit,
}


def assert_sampled(counts: Mapping[str, int], expected: Mapping[str, float], shots: int) -> None:
    """Counts within five standard deviations of what is expected."""
    assert sum(counts.values()) == shots
    assert counts.keys() <= expected.keys()
    for outcome, probability in expected.items():
        deviation = math.sqrt(shots * probability * (1 - probability))
        assert abs(counts.get(outcome, 0) - shots * probability) <= 5 * deviation


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_framework_on_every_target(client: Client, framework: str, target: str) -> None:
    job = client.submit(FRAMEWORKS[framework](), target=target, shots=1000, seed=11, cache=False)
    result = job.result(timeout_s=60)
    assert_sampled(result.counts, circuits.ASYMMETRIC, 1000)
    assert result.info.spec.framework == framework
    assert result.info.spec.n_qubits == 3
    assert result.info.spec.target == target
    assert result.info.method.startswith("statevector")
    assert result.info.simulator_version
    timings = result.info.timings
    for seconds in (timings.queued_s, timings.parsing_s, timings.simulating_s, timings.saving_s):
        assert seconds is not None
        assert seconds >= 0
    assert result.info.peak_memory_bytes > 2**20
    assert 0 < result.info.cpu_s < 60
    assert result.info.attempt == 1
    assert result.info.worker.startswith(f"{target}@")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("program", "program_format"),
    [(circuits.OPENQASM2, "openqasm2"), (circuits.OPENQASM3, "openqasm3")],
)
def test_openqasm_from_a_custom_provider(
    client: Client, program: str, program_format: str, target: str
) -> None:
    job = client.submit(circuits.custom(program, program_format), target=target, shots=500, seed=3)
    assert_sampled(job.result(timeout_s=60).counts, circuits.ASYMMETRIC, 500)
    assert job.info.spec.framework == "handwritten"


def all_types(client: Client, target: str, shots: int, seed: int | None = 5) -> JobResult:
    types = ["counts", "quasi", "expval"] if shots else ["quasi", "expval"]
    job = client.submit(
        circuits.qiskit_circuit(),
        target=target,
        shots=shots,
        seed=seed,
        result_types=types,
        observables=["IIZ", {"IXI": 2.0, "ZII": 1.0}, [("Z", [1], 1.0)]],
        # Each is to be run.
        cache=False,
    )
    return job.result(timeout_s=60)


@pytest.mark.parametrize("target", TARGETS)
def test_several_types_from_one_job(client: Client, target: str) -> None:
    exact = all_types(client, target, shots=0)
    assert exact.quasi == pytest.approx(circuits.ASYMMETRIC, abs=1e-6)
    assert exact.expval == pytest.approx((-1.0, 3.0, 0.0), abs=1e-6)
    assert exact.standard_errors == (0.0, 0.0, 0.0)

    sampled = all_types(client, target, shots=4000)
    assert_sampled(sampled.counts, circuits.ASYMMETRIC, 4000)
    assert sampled.quasi == pytest.approx({k: n / 4000 for k, n in sampled.counts.items()})
    assert sampled.standard_errors[2] == pytest.approx(1 / math.sqrt(4000), rel=0.1)
    for value, expected, error in zip(
        sampled.expval, (-1.0, 3.0, 0.0), sampled.standard_errors, strict=True
    ):
        assert abs(value - expected) <= 5 * error + 1e-6


def test_an_equal_job_is_answered_with_the_results_of_the_first(client: Client) -> None:
    def run() -> JobResult:
        job = client.submit(circuits.qiskit_circuit(), target="aer", shots=400, seed=12)
        return job.result(timeout_s=60)

    first = run()
    # A worker that has just been started tells within moments what it runs.
    seen = [first]

    def is_cached() -> bool:
        seen.append(run())
        return seen[-1].is_cached

    assert wait_until(is_cached, 20)
    again = seen[-1]
    assert again.counts == first.counts
    assert (again.info.attempt, again.info.worker) == (0, "")


@pytest.mark.parametrize("target", TARGETS)
def test_a_seed_makes_results_reproducible(client: Client, target: str) -> None:
    first, again, other = (all_types(client, target, 1000, seed) for seed in (1, 1, 2))
    assert first.counts == again.counts
    assert first.expval == again.expval
    assert (first.counts, first.expval) != (other.counts, other.expval)


def test_the_same_circuit_is_reported_alike_by_all_targets(client: Client) -> None:
    exact = [all_types(client, target, shots=0) for target in TARGETS]
    for other in exact[1:]:
        assert other.quasi == pytest.approx(exact[0].quasi, abs=1e-6)
        assert other.expval == pytest.approx(exact[0].expval, abs=1e-6)


def test_without_a_target_the_server_picks_one(client: Client) -> None:
    job = client.submit(circuits.qiskit_circuit(), shots=10)
    assert job.info.spec.target in TARGETS
    assert sum(job.result(timeout_s=60).counts.values()) == 10
    # Only one target takes as many as this.
    assert client.submit(circuits.wide(60), shots=10).info.spec.target == "aer"


@pytest.mark.parametrize("target", TARGETS)
def test_a_simulation_that_does_not_fit_names_need_and_limit(client: Client, target: str) -> None:
    job = client.submit(circuits.slow(n_qubits=30), target=target, shots=10)
    with pytest.raises(JobFailedError, match=r"GiB.*limit.* 2\.0 GiB") as failure:
        job.result(timeout_s=60)
    error = failure.value.info.error
    assert error is not None
    assert error.kind == ErrorKind.OUT_OF_MEMORY


@pytest.mark.parametrize("target", TARGETS)
def test_a_program_that_cannot_be_parsed_names_the_line(
    client: Client, stack: Stack, target: str
) -> None:
    broken = circuits.OPENQASM2.replace("h q[1];", "h q[7];")
    job = client.submit(circuits.custom(broken), target=target, shots=10)
    assert job.wait(60) is JobStatus.FAILED
    assert job.info.error is not None
    assert job.info.error.kind == ErrorKind.PROGRAM_INVALID
    assert "line 7" in job.info.error.message
    assert job.info.attempt == 1
    assert wait_until(lambda: f"{job.id}.qasm" not in stack.programs, 30)


def test_a_small_job_after_a_large_one_reports_its_own_peak(client: Client) -> None:
    large = client.submit(circuits.wide(24), target="cirq", shots=10).result(timeout_s=90)
    small = client.submit(circuits.qiskit_circuit(), target="cirq", shots=10).result(timeout_s=60)
    # One engine, one after the other: 2**24 amplitudes of 8 bytes are 128 MiB.
    assert large.info.peak_memory_bytes - small.info.peak_memory_bytes > 100 * 2**20
