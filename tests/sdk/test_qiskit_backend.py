"""qdispatch as a provider of backends, beside Aer's own simulator."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.random import random_circuit
from qiskit.primitives import BackendEstimatorV2, BackendSamplerV2
from qiskit.providers import JobStatus, JobTimeoutError
from qiskit.quantum_info import Operator
from qiskit.transpiler import generate_preset_pass_manager
from qiskit_aer import AerSimulator

from qdispatch.client import Client
from qdispatch.errors import (
    CircuitError,
    InvalidJobError,
    JobCanceledError,
    JobFailedError,
    UnknownTargetError,
)
from qdispatch.qiskit import Backend, Provider
from tests.sdk.inprocess import Installation
from tests.sdk.qiskit_circuits import DYNAMIC, STATIC, bell, overlapping, with_reset

SHOTS = 600


@pytest.fixture
def provider(client: Client) -> Provider:
    return Provider(client)


@pytest.fixture
def backend(provider: Provider) -> Backend:
    return provider.get_backend("aer")


@pytest.fixture
def aer() -> AerSimulator:
    return AerSimulator(method="statevector", max_parallel_threads=1)


def close(first: Mapping[str, int], second: Mapping[str, int]) -> bool:
    """Whether two samples may be of one distribution, by five standard deviations."""
    n_first, n_second = sum(first.values()), sum(second.values())
    for outcome in first.keys() | second.keys():
        a, b = first.get(outcome, 0), second.get(outcome, 0)
        share = (a + b) / (n_first + n_second)
        variance = share * (1 - share) * (1 / n_first + 1 / n_second)
        if abs(a / n_first - b / n_second) > 5 * math.sqrt(variance) + 1e-12:
            return False
    return n_first == n_second


def test_the_counts_are_those_of_aer(backend: Backend, aer: AerSimulator) -> None:
    circuits = [transpile(make(), aer, optimization_level=0) for make in STATIC.values()]
    mine = backend.run(circuits, shots=SHOTS, seed_simulator=11).result()
    theirs = aer.run(circuits, shots=SHOTS, seed_simulator=11).result()
    assert len(circuits) >= 15
    for index, name in enumerate(STATIC):
        assert mine.get_counts(index) == theirs.get_counts(index), name


def test_single_shots_are_in_the_order_of_aer(backend: Backend, aer: AerSimulator) -> None:
    circuit = STATIC["two_registers"]()
    mine = backend.run(circuit, shots=50, seed_simulator=3, memory=True).result()
    theirs = aer.run(circuit, shots=50, seed_simulator=3, memory=True).result()
    assert mine.get_memory() == theirs.get_memory()
    assert mine.get_memory()[0].count(" ") == 1


@pytest.mark.parametrize("target", ["cirq", "pennylane"])
def test_other_targets_have_aers_distribution(
    provider: Provider, aer: AerSimulator, target: str
) -> None:
    circuits = [transpile(make(), aer, optimization_level=0) for make in STATIC.values()]
    mine = provider.backend(target).run(circuits, shots=2000, seed_simulator=5).result()
    theirs = aer.run(circuits, shots=2000, seed_simulator=6).result()
    for index, name in enumerate(STATIC):
        assert close(mine.get_counts(index), theirs.get_counts(index)), name


@pytest.mark.parametrize("name", DYNAMIC)
def test_dynamic_circuits_have_aers_distribution(
    backend: Backend, aer: AerSimulator, name: str
) -> None:
    circuit = DYNAMIC[name]()
    mine = backend.run(circuit, shots=2000, seed_simulator=5).result().get_counts()
    theirs = aer.run(circuit, shots=2000, seed_simulator=6).result().get_counts()
    assert close(mine, theirs)


def test_sets_of_values_are_experiments(backend: Backend, aer: AerSimulator) -> None:
    theta, phi = Parameter("θ"), Parameter("phi")
    circuit = QuantumCircuit(2, 2)
    circuit.ry(theta, 0)
    circuit.cx(0, 1)
    circuit.rx(2 * phi + theta, 1)
    circuit.measure([0, 1], [0, 1])
    binds = [{}, {phi: [0.1, 0.2, 0.3], theta: [1.0, 1.5, 2.0]}, {}]
    circuits = [bell(), circuit, bell()]
    mine = backend.run(circuits, shots=SHOTS, seed_simulator=1, parameter_binds=binds).result()
    theirs = aer.run(circuits, shots=SHOTS, seed_simulator=1, parameter_binds=binds).result()
    assert len(mine.results) == 5
    assert mine.get_counts() == theirs.get_counts()


def test_overlapping_registers_show_each_bit_once(backend: Backend) -> None:
    result = backend.run(overlapping(), shots=SHOTS, seed_simulator=2, memory=True).result()
    assert all(len(outcome.replace(" ", "")) == 4 for outcome in result.get_counts())
    assert {outcome.split(" ")[-1] for outcome in result.get_counts()} == {"0"}
    assert len(result.get_memory()) == SHOTS


def test_a_result_says_which_circuit_it_is_of(backend: Backend) -> None:
    circuit = QuantumCircuit(QuantumRegister(1, "q"), ClassicalRegister(1, "c"), name="one")
    circuit.metadata = {"angle": 0.5}
    circuit.measure(0, 0)
    result = backend.run([bell(), circuit], shots=10).result()
    assert result.get_counts(circuit) == {"0": 10}
    assert result.results[1].header["metadata"] == {"angle": 0.5}
    assert (result.success, result.backend_name) == (True, "aer")


def test_a_circuit_without_measurements_says_so(backend: Backend) -> None:
    circuit = QuantumCircuit(1)
    circuit.h(0)
    with pytest.raises(JobFailedError, match="measures nothing"):
        backend.run(circuit, shots=10).result()


def test_a_run_is_found_again(backend: Backend, provider: Provider) -> None:
    job = backend.run([bell(), with_reset()], shots=30, seed_simulator=4)
    counts = job.result().get_counts()
    assert backend.retrieve_job(job.job_id()).result().get_counts() == counts
    again = provider.retrieve_job(job.job_id())
    assert again.result().get_counts() == counts
    assert (again.backend().name, again.status()) == ("aer", JobStatus.DONE)


def test_a_run_can_be_watched_and_canceled(backend: Backend, installation: Installation) -> None:
    installation.dispatcher.held.set()
    job = backend.run([bell(), bell()])
    assert job.status() is JobStatus.QUEUED
    with pytest.raises(JobTimeoutError):
        job.wait_for_final_state(timeout=0.01)
    assert job.cancel()
    installation.dispatcher.release()
    job.wait_for_final_state(timeout=30)
    assert job.cancelled()
    assert not job.cancel()
    with pytest.raises(JobCanceledError):
        job.result()


def test_a_circuit_that_cannot_run_fails_with_its_reason(backend: Backend) -> None:
    circuit = QuantumCircuit(60, 60)
    circuit.h(range(60))
    circuit.t(range(60))
    circuit.measure(range(60), range(60))
    job = backend.run([bell(), circuit], method="stabilizer", shots=10)
    with pytest.raises(JobFailedError, match="unsupported"):
        job.result()
    assert job.status() is JobStatus.ERROR


def test_qiskits_own_primitives_run_on_it(backend: Backend) -> None:
    sampler = BackendSamplerV2(backend=backend, options={"default_shots": 20})
    data = sampler.run([STATIC["two_registers"]()]).result()[0].data
    assert (data.a.num_bits, data.b.num_shots) == (2, 20)
    circuit = QuantumCircuit(2)
    circuit.x(0)
    estimator = BackendEstimatorV2(backend=backend)
    values = estimator.run([(circuit, ["ZZ", "IZ", "ZI"])], precision=0.2).result()[0].data.evs
    assert list(values) == [-1, -1, 1]


def test_the_method_and_the_defaults_are_options(backend: Backend) -> None:
    backend.set_options(shots=20, method="matrix_product_state", seed_simulator=1)
    result = backend.run(bell()).result()
    assert sum(result.get_counts().values()) == 20
    assert result.results[0].metadata["method"] == "matrix_product_state"
    with pytest.warns(UserWarning, match="noise_model"):
        backend.run(bell(), noise_model=None)


def test_errors_come_before_anything_is_submitted(backend: Backend, provider: Provider) -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(Parameter("a"), 0)
    with pytest.raises(CircuitError, match="circuit 1: parameters without a value: a"):
        backend.run([bell(), circuit])
    with pytest.raises(InvalidJobError, match="2 circuits and 1"):
        backend.run([circuit, circuit], parameter_binds=[{}])
    with pytest.raises(UnknownTargetError, match="aer, cirq, pennylane"):
        provider.get_backend("nowhere")


def test_backends_are_told_by_name_and_size(provider: Provider) -> None:
    assert [each.name for each in provider.backends()] == ["aer", "cirq", "pennylane"]
    assert [each.name for each in provider.backends(min_num_qubits=50)] == ["aer"]
    assert [each.num_qubits for each in provider.backends("cirq")] == [30]


@pytest.mark.parametrize("level", [0, 3])
def test_circuits_are_transpiled_to_the_target(backend: Backend, level: int) -> None:
    for seed in range(3):
        circuit = random_circuit(4, 4, seed=seed)
        fit = transpile(circuit, backend, optimization_level=level, seed_transpiler=1)
        assert set(fit.count_ops()) <= set(backend.target.operation_names)
        assert fit.num_qubits == 4
        assert Operator(fit).equiv(Operator(circuit)) or level == 3
    dynamic = DYNAMIC["with_condition"]()
    passes = generate_preset_pass_manager(level, backend=backend)
    assert "if_else" in passes.run(dynamic).count_ops()
