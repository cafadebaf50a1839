"""Qiskit's sampler on qdispatch, beside Qiskit's own samplers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, transpile
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives import BitArray, PrimitiveResult, StatevectorSampler
from qiskit.providers import JobStatus
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import SamplerV2 as AerSampler

from qdispatch.client import Client
from qdispatch.errors import (
    CircuitError,
    InvalidJobError,
    JobCanceledError,
    JobFailedError,
    QDispatchError,
)
from qdispatch.qiskit import Provider, SamplerOptions, SamplerV2
from tests.sdk.inprocess import Installation
from tests.sdk.qiskit_circuits import DYNAMIC, STATIC, bell, overlapping
from tests.sdk.test_qiskit_backend import close

SHOTS = 400


def parametric() -> QuantumCircuit:
    """Two registers, two vectors' elements in another order than they are used in."""
    angles, phi = ParameterVector("v", 2), Parameter("φ")
    circuit = QuantumCircuit(
        QuantumRegister(3), ClassicalRegister(2, "alpha"), ClassicalRegister(1, "beta")
    )
    circuit.ry(angles[1], 0)
    circuit.cx(0, 1)
    circuit.rx(angles[0] + phi / 2, 2)
    circuit.measure([1, 0], [0, 1])
    circuit.measure(2, 2)
    circuit.metadata = {"kind": "test"}
    return circuit


VALUES = np.random.default_rng(5).uniform(0, 3, size=(2, 3, 3))


def arrays(result: Any) -> dict[str, BitArray]:
    return dict(result.data.items())


def test_the_single_shots_are_those_of_aers_sampler(client: Client) -> None:
    aer = AerSimulator(method="statevector", max_parallel_threads=1)
    circuits = [transpile(make(), aer, optimization_level=0) for make in STATIC.values()]
    pubs = [*circuits, (parametric(), VALUES), *circuits[:2]]
    mine = SamplerV2(client, target="aer", default_shots=SHOTS, seed=9).run(pubs).result()
    theirs = AerSampler.from_backend(aer, default_shots=SHOTS, seed=9).run(pubs).result()
    assert len(circuits) >= 15
    for index, _ in enumerate(pubs):
        assert arrays(mine[index]) == arrays(theirs[index]), index


def test_the_distribution_is_that_of_a_state_vector(client: Client) -> None:
    pubs = [make() for make in STATIC.values()]
    mine = SamplerV2(client, target="aer", seed=1).run(pubs, shots=1000).result()
    theirs = StatevectorSampler(seed=2).run(pubs, shots=1000).result()
    for index, name in enumerate(STATIC):
        assert arrays(mine[index]).keys() == arrays(theirs[index]).keys()
        for register, bits in arrays(mine[index]).items():
            reference = arrays(theirs[index])[register]
            assert bits.array.shape == reference.array.shape
            assert close(bits.get_counts(), reference.get_counts()), (name, register)


def test_a_sweep_has_the_shape_of_its_values(client: Client) -> None:
    circuit = parametric()
    named = {"φ": VALUES[..., 2], ("v[0]", "v[1]"): VALUES[..., :2]}
    order = [each.name for each in circuit.parameters]
    columns = np.stack([{"φ": 2, "v[0]": 0, "v[1]": 1}[each] * np.ones(1) for each in order])
    same = VALUES[..., columns.astype(int).ravel()]
    job = SamplerV2(client, seed=3).run([(circuit, named), (circuit, same, 64)], shots=32)
    first, second = job.result()
    assert first.data.shape == (2, 3)
    assert (first.data.alpha.shape, first.data.alpha.num_shots) == ((2, 3), 32)
    assert (second.data.beta.num_bits, second.data.beta.num_shots) == (1, 64)
    assert first.metadata == {"shots": 32, "circuit_metadata": {"kind": "test"}}
    reference = StatevectorSampler(seed=1).run([(circuit, same)], shots=64).result()[0].data
    for index in np.ndindex(2, 3):
        mine = second.data.alpha.get_counts(index)
        assert close(mine, reference.alpha.get_counts(index))


def test_a_call_is_one_batch_and_a_pub_one_job(client: Client) -> None:
    job = SamplerV2(client).run([(parametric(), VALUES), bell()], shots=8)
    assert isinstance(job.result(), PrimitiveResult)
    assert [each.info.n_points for each in client.batch(job.job_id()).jobs()] == [6, 0]
    assert (job.done(), job.in_final_state()) == (True, True)


def test_registers_that_overlap_are_picked_out_bit_by_bit(client: Client) -> None:
    data = SamplerV2(client, seed=2).run([overlapping()], shots=1000).result()[0].data
    alias, real = data.alias.get_bitstrings(), data.real.get_bitstrings()
    # `alias` has bits 3 and 1, `real` has bits 1 and 2; bit 1 is the one in common.
    assert [each[0] for each in alias] == [each[1] for each in real]
    assert len(set(alias)) == 4


def test_dynamic_circuits(client: Client) -> None:
    circuit = DYNAMIC["with_condition"]()
    data = SamplerV2(client, seed=1).run([circuit], shots=1000).result()[0].data
    outcomes = zip(data.m.get_bitstrings(), data.out.get_bitstrings(), strict=True)
    assert {(m, out[0] == m) for m, out in outcomes} == {("0", True), ("1", True)}


def test_what_is_measured_nowhere_is_0(client: Client) -> None:
    circuit = QuantumCircuit(1)
    circuit.add_register(ClassicalRegister(9, "c"))
    circuit.add_register(ClassicalRegister(0, "none"))
    data = SamplerV2(client).run([circuit], shots=5).result()[0].data
    assert data.c.get_counts() == {"0" * 9: 5}
    assert data["none"].num_bits == 0


def test_without_registers_there_is_nothing_to_run(client: Client) -> None:
    with pytest.warns(UserWarning, match="no output classical registers"):
        job = SamplerV2(client).run([QuantumCircuit(1)])
    assert dict(job.result()[0].data.items()) == {}
    assert job.status() is JobStatus.DONE
    empty = (parametric(), np.zeros((0, 3)))
    assert SamplerV2(client).run([empty]).result()[0].data.alpha.shape == (0,)


def test_points_without_parameters_are_sampled_one_by_one(client: Client) -> None:
    from qiskit.primitives.containers import BindingsArray

    pub = (bell(), BindingsArray({}, shape=(3,)))
    array = SamplerV2(client, seed=4).run([pub], shots=50).result()[0].data.c
    assert array.shape == (3,)
    assert array.get_bitstrings(0) != array.get_bitstrings(1)


def test_it_is_made_as_other_samplers_are(client: Client, address: str) -> None:
    backend = Provider(address).get_backend("cirq")
    for sampler in (
        SamplerV2(), SamplerV2(address), SamplerV2(mode=backend), SamplerV2(backend=backend),
        SamplerV2(backend, options={"default_shots": 7, "seed_simulator": 1}),
        SamplerV2(client, options=SamplerOptions(default_shots=7), seed=np.random.default_rng(1)),
    ):  # fmt: skip
        sampler.options.default_shots = 7
        sampler.options.dynamical_decoupling.enable = True
        sampler.options.simulator.seed_simulator = 3
        job = sampler.run([bell()])
        assert job.result()[0].data.c.num_shots == 7
        (spec,) = [each.info.spec for each in client.batch(job.job_id()).jobs()]
        assert spec.seed is not None
        assert spec.target == sampler.target or not sampler.target


def test_what_is_wrong_is_said(client: Client) -> None:
    with pytest.raises(QDispatchError, match="AerSimulator is no backend"):
        SamplerV2(mode=AerSimulator())
    with pytest.raises(QDispatchError, match="default_shots"):
        SamplerV2(client, options={"shot": 3})
    with pytest.raises(ValueError, match="inconsistent"):
        SamplerV2(client).run([(parametric(), [1.0])])
    circuit = QuantumCircuit(1, 1)
    circuit.rx(1j * Parameter("a"), 0)
    circuit.measure(0, 0)
    with pytest.raises(CircuitError, match=r"pub 1: gate 'rx'"):
        SamplerV2(client).run([bell(), (circuit, [1.0])])


def test_a_failed_job_says_why(client: Client) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.t(0)
    circuit.measure(0, 0)
    sampler = SamplerV2(client, target="aer", options={"method": "stabilizer"})
    job = sampler.run([circuit])
    with pytest.raises(JobFailedError, match="stabilizer cannot run this"):
        job.result()
    assert job.status() is JobStatus.ERROR
    sampler = SamplerV2(client, target="aer", options={"method": "nonsense"})
    with pytest.raises(InvalidJobError, match=r"extra\.method: on target aer it must be"):
        sampler.run([bell()])


def test_a_run_can_be_canceled(client: Client, installation: Installation) -> None:
    installation.dispatcher.held.set()
    job = SamplerV2(client).run([bell(), bell()])
    assert not job.running()
    job.cancel()
    installation.dispatcher.release()
    with pytest.raises(JobCanceledError):
        job.result()
    assert job.cancelled()
