"""Qiskit's estimator on qdispatch, beside Qiskit's own estimator."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.circuit.library import efficient_su2
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import SparseObservable, SparsePauliOp
from qiskit.transpiler import CouplingMap, generate_preset_pass_manager

from qdispatch.client import Client
from qdispatch.errors import QDispatchError
from qdispatch.qiskit import EstimatorOptions, EstimatorV2, Provider
from qdispatch.qiskit.pairs import Block, blocks
from qdispatch.qiskit.plan import shots_for
from tests.sdk.qiskit_circuits import STATIC
from tests.sdk.test_qiskit_programs import EXPRESSIONS

ANGLES = ParameterVector("θ", 3)
VALUES = np.random.default_rng(7).uniform(-3, 3, size=(4, 5, 3))


def ansatz() -> QuantumCircuit:
    circuit = QuantumCircuit(3, metadata={"depth": 2})
    circuit.ry(ANGLES[2], 0)
    circuit.crx(ANGLES[0] * ANGLES[1], 0, 1)
    circuit.rzz(2 * ANGLES[1] - 0.3, 1, 2)
    circuit.h(2)
    circuit.rx(ANGLES[0], 2)
    return circuit


OBSERVABLES = [["ZII"], ["IXY"], [SparsePauliOp(["XXI", "IIZ", "III"], [0.5, 2, -0.3])], ["ZZZ"]]


def test_exact_values_are_those_of_qiskit(client: Client) -> None:
    pubs = []
    for make in STATIC.values():
        circuit = make().remove_final_measurements(inplace=False)
        n = circuit.num_qubits
        observable = SparsePauliOp.from_sparse_list(
            [("Z", [0], 1.0), ("XY", [n - 1, 0], 0.5), ("ZZ", [0, 1], -2.0)], num_qubits=n
        )
        pubs.append((circuit, ["Z" * n, observable]))
    mine = EstimatorV2(client, target="aer").run(pubs).result()
    theirs = StatevectorEstimator().run(pubs).result()
    assert len(pubs) >= 15
    for index, name in enumerate(STATIC):
        evs = mine[index].data.evs
        assert evs == pytest.approx(theirs[index].data.evs, abs=1e-9), name
        assert not mine[index].data.stds.any()


@pytest.mark.parametrize("target", ["aer", "cirq", "pennylane"])
@pytest.mark.parametrize(
    ("observables", "values", "n_jobs"),
    [
        pytest.param("ZZZ", VALUES, 1, id="one observable"),
        pytest.param(OBSERVABLES, VALUES[0], 1, id="outer product"),
        pytest.param(["ZII", "IXY", "ZZZ", "YIY", "IIX"], VALUES, 1, id="along the last axis"),
        pytest.param(["ZII", "IXY", "ZII"], VALUES[0, 0], 1, id="one point"),
        pytest.param(np.array(OBSERVABLES, dtype=object).T[..., None], VALUES[0, :1], 1, id="deep"),
    ],
)
def test_broadcasting(
    client: Client, target: str, observables: object, values: object, n_jobs: int
) -> None:
    pub = (ansatz(), observables, values)
    job = EstimatorV2(client, target=target).run([pub])
    mine = job.result()[0]
    theirs = StatevectorEstimator().run([pub]).result()[0]
    assert mine.data.shape == theirs.data.evs.shape
    # Cirq computes with single precision by default.
    assert mine.data.evs == pytest.approx(theirs.data.evs, abs=1e-5 if target == "cirq" else 1e-9)
    assert mine.data.stds.shape == theirs.data.evs.shape
    assert len(client.batch(job.job_id()).job_ids) == n_jobs


def test_precision_is_kept_and_told(client: Client) -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(1.0, 0)
    pubs = [(circuit, ["Z", "X"]), (circuit, "Z", None, 0.2), (circuit, "Z", None, 0.0)]
    estimator = EstimatorV2(client, target="aer", seed=3)
    first, second, third = estimator.run(pubs, precision=0.02).result()
    exact = np.array([np.cos(1.0), np.sin(1.0)])
    assert (first.metadata["shots"], second.metadata["shots"]) == (2500, 25)
    assert (np.abs(first.data.evs - exact) < 5 * first.data.stds).all()
    assert first.data.stds == pytest.approx(np.sqrt((1 - exact**2) / 2500), rel=0.2)
    assert second.metadata["target_precision"] == 0.2
    assert (third.data.stds, third.metadata["shots"]) == (0.0, 0)
    assert third.data.evs == pytest.approx(exact[0], abs=1e-12)


def test_the_same_seed_gives_the_same_values_and_points_differ(client: Client) -> None:
    circuit = QuantumCircuit(1)
    circuit.ry(ANGLES[0], 0)
    pub = (circuit, "Z", [[1.5]] * 4)
    runs = [
        EstimatorV2(client, target="aer", seed=8).run([pub, pub], precision=0.1).result()
        for _ in range(2)
    ]
    first, second = (np.stack([each.data.evs for each in run]) for run in runs)
    assert (first == second).all()
    assert len(set(first.ravel())) > 4


@pytest.mark.parametrize(
    "observable",
    ["0+Z", SparseObservable("r-1"), {"ZII": 1.0, "01I": -0.5}, "III"],
    ids=["projectors", "sparse", "mapping", "identity"],
)
def test_other_observables(client: Client, observable: object) -> None:
    from qiskit.quantum_info import Statevector

    circuit = ansatz().assign_parameters(VALUES[0, 0])
    mine = EstimatorV2(client, target="aer").run([(circuit, observable)]).result()[0].data
    full = SparseObservable.from_list(list(observable.items())) if isinstance(
        observable, dict
    ) else SparseObservable(observable)  # fmt: skip
    exact = Statevector(circuit).expectation_value(SparsePauliOp.from_sparse_observable(full))
    assert (mine.shape, mine.evs.shape) == ((), ())
    assert mine.evs == pytest.approx(exact.real, abs=1e-9)


def test_a_layout_is_followed(client: Client) -> None:
    passes = generate_preset_pass_manager(
        2, coupling_map=CouplingMap.from_line(5), basis_gates=["cx", "rz", "sx"],
        initial_layout=[4, 2, 0], seed_transpiler=1,
    )  # fmt: skip
    circuit = passes.run(ansatz())
    observable = SparsePauliOp(["XXI", "IIZ"], [0.5, 2])
    pub = (circuit, observable.apply_layout(circuit.layout), VALUES[0])
    mine = EstimatorV2(client, target="aer").run([pub]).result()[0].data.evs
    theirs = StatevectorEstimator().run([(ansatz(), observable, VALUES[0])]).result()[0].data.evs
    assert mine == pytest.approx(theirs, abs=1e-9)


def test_a_library_ansatz(client: Client) -> None:
    circuit = efficient_su2(4, reps=1, entanglement="linear")
    pub = (circuit, "ZXYZ", np.linspace(0, 2, 3 * circuit.num_parameters).reshape(3, -1))
    mine = EstimatorV2(client, target="aer").run([pub]).result()[0].data.evs
    assert mine == pytest.approx(StatevectorEstimator().run([pub]).result()[0].data.evs, abs=1e-9)


def test_every_expression_is_bound_by_the_service(client: Client) -> None:
    pubs = []
    for expression in EXPRESSIONS.values():
        circuit = QuantumCircuit(1)
        circuit.ry(expression, 0)
        n = circuit.num_parameters
        pubs.append((circuit, ["Z", "X"], np.linspace(0.3, 5, 2 * n).reshape(2, n)))
    mine = EstimatorV2(client, target="aer").run(pubs).result()
    theirs = StatevectorEstimator().run(pubs).result()
    for name, first, second in zip(EXPRESSIONS, mine, theirs, strict=True):
        assert first.data.evs == pytest.approx(second.data.evs, abs=1e-9), name


def test_it_is_made_as_other_estimators_are(client: Client, address: str) -> None:
    backend = Provider(address).get_backend("aer")
    circuit = QuantumCircuit(1)
    for estimator in (
        EstimatorV2(), EstimatorV2(mode=backend), EstimatorV2(backend=backend),
        EstimatorV2(client, options=EstimatorOptions(default_shots=100)),
        EstimatorV2(client, options={"default_shots": 100, "resilience_level": 1}),
        EstimatorV2(client, default_precision=0.1),
    ):  # fmt: skip
        job = estimator.run([(circuit, "Z")])
        assert job.result()[0].data.evs == 1.0
        assert job.result()[0].metadata["shots"] in (0, 100)


def test_what_is_wrong_is_said(client: Client) -> None:
    with pytest.raises(QDispatchError, match="no backend"):
        EstimatorV2(StatevectorEstimator())
    with pytest.raises(ValueError, match="broadcastable"):
        EstimatorV2(client).run([(ansatz(), ["ZII"] * 3, VALUES)])
    with pytest.raises(ValueError, match="number of qubits"):
        EstimatorV2(client).run([(ansatz(), "Z", VALUES)])


@pytest.mark.parametrize("precision", [1.0, 0.1, 0.05, 1 / 64, 4096**-0.5, 1000**-0.5])
def test_shots_of_a_precision(precision: float) -> None:
    shots = shots_for(precision)
    assert shots == round(1 / precision**2)
    assert shots_for(0) == 0


def test_nothing_much_is_evaluated_in_vain() -> None:
    outer = [(point, observable) for point in range(3) for observable in range(2)]
    points, observables = zip(*outer, strict=True)
    assert blocks(points, observables, [1, 1]) == [Block((0, 1, 2), (0, 1))]
    # A few more values are cheaper than more jobs.
    assert len(blocks(range(20), range(20), [1] * 20)) == 1
    many = blocks(range(500), range(500), [1] * 500)
    assert many == [Block((each,), (each,)) for each in range(500)]
    assert blocks([], [], []) == []
    alike = blocks([*range(400)] * 2, [each % 40 for each in range(800)], [100] * 40)
    assert len(alike) == 40
    assert sum(len(each.points) for each in alike) == 400
