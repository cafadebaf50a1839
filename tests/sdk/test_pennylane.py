"""The device gives what default.qubit gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
import pytest

from qdispatch.client import Client
from qdispatch.errors import JobFailedError, UnknownTargetError
from qdispatch.pennylane import QDispatchDevice
from tests.sdk.pennylane_circuits import CIRCUITS

SHOTS = 4000
HERMITIAN = np.array([[1.0, 0.5 - 0.2j], [0.5 + 0.2j, -1.5]])


def states(wires: list[Any]) -> list[Any]:
    a, b, c = wires[:3]
    return [
        qml.state(),
        qml.density_matrix([b]),
        qml.purity([c]),
        qml.vn_entropy([a]),
        qml.mutual_info([a], [b]),
        qml.expval(qml.Hermitian(HERMITIAN, c)),
        qml.expval(qml.Hadamard(a) @ qml.Projector([1], b)),
        qml.probs(op=qml.Y(b)),
    ]


def figures(wires: list[Any]) -> list[Any]:
    a, b, c = wires[:3]
    energy = qml.Hamiltonian([0.5, -0.3, 0.7], [qml.Z(a) @ qml.X(b), qml.Y(c), qml.I(a)])
    return [
        qml.expval(energy),
        qml.var(qml.Z(a) @ qml.X(c)),
        qml.probs(wires=[c, a]),
        qml.expval(0.2 * qml.X(a) + qml.prod(qml.Y(b), qml.Z(c))),
        qml.var(qml.X(b) + qml.Z(c)),
        qml.probs(wires=[b]),
    ]


def sampled(wires: list[Any]) -> list[Any]:
    a, b, c = wires[:3]
    return [
        qml.expval(qml.Z(a) @ qml.X(b)),
        qml.expval(qml.Hermitian(HERMITIAN, c)),
        qml.expval(0.5 * qml.X(a) - 0.3 * qml.Y(b)),
        qml.probs(wires=[c, a]),
        qml.expval(qml.Projector([0, 1], [b, c])),
    ]


def run(
    device: Any, name: str, measure: Callable[[list[Any]], list[Any]], shots: Any = None
) -> Any:
    wires, operations = CIRCUITS[name]

    def circuit() -> Any:
        operations()
        return tuple(measure(list(wires)))

    return qml.set_shots(qml.QNode(circuit, device), shots)()


@pytest.mark.parametrize("target", ["aer", "pennylane"])
@pytest.mark.parametrize("name", CIRCUITS)
def test_exact_results(client: Client, name: str, target: str) -> None:
    # A mid-circuit measurement that is deferred takes a wire of its own.
    wires = CIRCUITS[name][0]
    device = qml.device("default.qubit", wires=wires)
    ours = QDispatchDevice(wires, client=client, target=target)
    kinds = [figures] if name == "deferred" else [figures, states]
    for measure in kinds:
        expected, found = run(device, name, measure), run(ours, name, measure)
        for one, other in zip(expected, found, strict=True):
            assert np.shape(one) == np.shape(other)
            np.testing.assert_allclose(other, one, atol=1e-9, rtol=0)


@pytest.mark.parametrize("name", CIRCUITS)
def test_sampled_results(client: Client, name: str) -> None:
    wires = CIRCUITS[name][0]
    exact = run(qml.device("default.qubit", wires=wires), name, sampled)
    device = QDispatchDevice(wires, client=client, target="aer", seed=7)
    found = run(device, name, sampled, SHOTS)
    # Five standard errors; the spread of each observable's values is at most so wide.
    for one, other, spread in zip(exact, found, (2, 3, 1.6, 1, 1), strict=True):
        assert np.shape(one) == np.shape(other)
        np.testing.assert_allclose(other, one, atol=5 * spread / 2 / math.sqrt(SHOTS))


def test_counts_and_samples_have_the_wires_in_order(client: Client) -> None:
    device = QDispatchDevice(["x", "y", "z"], client=client, target="aer", seed=1)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.X("y")
        qml.Hadamard("z")
        return (
            qml.counts(wires=["y", "x"]),
            qml.sample(wires=["z", "y"]),
            qml.counts(),
            qml.sample(qml.Z("z")),
            qml.counts(qml.X("x"), all_outcomes=True),
        )

    pairs, samples, everything, values, signs = qml.set_shots(circuit, 200)()
    assert pairs == {"10": 200}
    assert samples.shape == (200, 2)
    assert set(samples[:, 1]) == {1}
    assert set(everything) == {"010", "011"}
    # These are of one basis, so of the same shots.
    np.testing.assert_array_equal(values, 1 - 2 * samples[:, 0])
    assert set(signs) == {1.0, -1.0}
    assert sum(signs.values()) == 200


def test_vectors_of_shots(client: Client) -> None:
    device = QDispatchDevice(2, client=client, target="aer", seed=3)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.Hadamard(0)
        return qml.sample(wires=0), qml.expval(qml.X(0)), qml.var(qml.X(0) + qml.Z(0))

    parts = qml.set_shots(circuit, [10, (5, 2)])()
    assert [len(samples) for samples, _, _ in parts] == [10, 5, 5]
    assert [mean for _, mean, _ in parts] == [1, 1, 1]


def test_seeds_make_samples_come_again(client: Client) -> None:
    @qml.qnode(QDispatchDevice(1, client=client, target="aer"))
    def circuit() -> Any:
        qml.Hadamard(0)
        return qml.sample(wires=0)

    def twice(seed: int | None) -> list[list[int]]:
        device = QDispatchDevice(1, client=client, target="aer", seed=seed)
        node = qml.set_shots(qml.QNode(circuit.func, device), 64)
        return [node().ravel().tolist() for _ in range(2)]

    first, second = twice(5)
    assert first != second
    assert twice(5) == [first, second]
    assert twice(None) != [first, second]


def test_the_device_is_found_by_its_name(address: str) -> None:
    device = qml.device("qdispatch", wires=2, target="aer")
    assert isinstance(device, QDispatchDevice)
    assert device.client.address == address

    @qml.qnode(device)
    def circuit() -> Any:
        qml.X(1)
        return qml.expval(qml.Z(1))

    assert circuit() == pytest.approx(-1)


def test_any_wires(client: Client) -> None:
    device, expected = QDispatchDevice(client=client), qml.device("default.qubit")
    for node in (device, expected):
        assert node.wires is None

    def circuit() -> Any:
        qml.RY(0.3, "b")
        qml.CNOT(["b", 7])
        return qml.state(), qml.probs(wires=[7])

    for one, other in zip(
        qml.QNode(circuit, expected)(), qml.QNode(circuit, device)(), strict=True
    ):
        np.testing.assert_allclose(other, one, atol=1e-9)


def test_broadcast_parameters(client: Client) -> None:
    device = QDispatchDevice(1, client=client, target="aer")

    @qml.qnode(device)
    def circuit(angle: Any) -> Any:
        qml.RX(angle, 0)
        return qml.expval(qml.Z(0)), qml.probs(wires=0)

    angles = np.linspace(0, 3, 5)
    means, probs = circuit(angles)
    np.testing.assert_allclose(means, np.cos(angles), atol=1e-9)
    assert probs.shape == (5, 2)


def test_mid_circuit_measurements_with_shots(client: Client) -> None:
    device = QDispatchDevice(2, client=client, target="aer", seed=2)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.RX(1.0, 0)
        first = qml.measure(0, reset=True)
        qml.cond(first, qml.RY)(0.7, 1)
        second = qml.measure(1)
        return (
            qml.expval(first),
            qml.expval(qml.Z(0)),
            qml.counts([first, second]),
            qml.expval(qml.Z(1)),
        )

    mean, reset, counts, last = qml.set_shots(circuit, SHOTS)()
    one = math.sin(0.5) ** 2
    both = one * math.sin(0.35) ** 2
    assert reset == 1
    assert mean == pytest.approx(one, abs=5 * 0.5 / math.sqrt(SHOTS))
    assert last == pytest.approx(1 - 2 * both, abs=5 / math.sqrt(SHOTS))
    assert "01" not in counts
    assert counts["11"] / SHOTS == pytest.approx(both, abs=5 * 0.5 / math.sqrt(SHOTS))


def test_postselection_drops_shots(client: Client) -> None:
    device = QDispatchDevice(2, client=client, target="aer", seed=2)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.Hadamard(0)
        outcome = qml.measure(0, postselect=1)
        qml.CNOT([0, 1])
        return qml.sample(wires=1), qml.expval(outcome)

    samples, mean = qml.set_shots(circuit, 400)()
    assert len(samples) == pytest.approx(200, abs=5 * 10)
    assert set(np.ravel(samples)) == {1}
    assert mean == 1
    with pytest.raises(qml.exceptions.DeviceError, match="set shots, and mcm_method='one-shot'"):
        circuit()


def test_classical_shadows(client: Client) -> None:
    device = QDispatchDevice(2, client=client, target="aer", seed=2)

    @qml.qnode(device)
    def circuit() -> Any:
        qml.Hadamard(0)
        qml.CNOT([0, 1])
        return (
            qml.shadow_expval(qml.X(0) @ qml.X(1)),
            qml.expval(qml.Z(0) @ qml.Z(1)),
            qml.classical_shadow(wires=[0, 1]),
        )

    mean, other, shadow = qml.set_shots(circuit, SHOTS)()
    # A word of two letters has nine times the variance.
    assert mean == pytest.approx(1, abs=5 * 3 / math.sqrt(SHOTS))
    assert other == 1
    assert np.shape(shadow) == (2, SHOTS, 2)


def test_snapshots(client: Client) -> None:
    @qml.qnode(QDispatchDevice(1, client=client, target="aer"))
    def circuit() -> Any:
        qml.Hadamard(0)
        qml.Snapshot("here", qml.expval(qml.X(0)))
        qml.Z(0)
        return qml.expval(qml.X(0))

    with pytest.warns(UserWarning, match="Snapshots are not supported"):
        shots = qml.snapshots(circuit)()
    assert shots["here"] == pytest.approx(1)
    assert shots["execution_results"] == pytest.approx(-1)


def test_the_deprecated_shots_of_a_device_work(client: Client) -> None:
    with pytest.warns(qml.exceptions.PennyLaneDeprecationWarning, match="set_shots"):
        device = QDispatchDevice(1, shots=30, client=client)

    @qml.qnode(device)
    def circuit() -> Any:
        return qml.counts()

    assert Counter(circuit()) == {"0": 30}


@pytest.mark.parametrize(
    ("operations", "measurement", "message"),
    [
        ([], lambda: qml.counts(wires=0), "not accepted for analytic simulation on qdispatch"),
        ([qml.DepolarizingChannel(0.1, 0)], lambda: qml.expval(qml.Z(0)), "not supported"),
        ([qml.TRX(0.3, 0)], lambda: qml.expval(qml.Z(0)), "none of qubits"),
        ([qml.X(7)], lambda: qml.expval(qml.Z(0)), "wires not found"),
    ],
    ids=["counts", "channel", "qutrit", "wires"],
)
def test_what_cannot_be_carried_is_refused(
    client: Client, operations: list[Any], measurement: Callable[[], Any], message: str
) -> None:
    @qml.qnode(QDispatchDevice(1, client=client))
    def circuit() -> Any:
        for each in operations:
            qml.apply(each)
        return measurement()

    with pytest.raises((qml.exceptions.DeviceError, qml.exceptions.WireError), match=message):
        circuit()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mcm_method": "tree-traversal"}, "use one of"),
        ({"postselect_mode": "fill-shots"}, "hw-like"),
        ({"diff_method": "backprop"}, "does not support backprop"),
    ],
    ids=["method", "mode", "backprop"],
)
def test_options_that_are_not_known_are_refused(
    client: Client, options: dict[str, Any], message: str
) -> None:
    def circuit() -> Any:
        return qml.expval(qml.Z(0))

    errors = (qml.exceptions.DeviceError, qml.exceptions.QuantumFunctionError)
    with pytest.raises(errors, match=message):
        qml.set_shots(qml.QNode(circuit, QDispatchDevice(1, client=client), **options), 10)()


def test_device_options_are_refused(client: Client) -> None:
    config = qml.devices.ExecutionConfig(device_options={"max_workers": 2})
    with pytest.raises(qml.exceptions.DeviceError, match=r"give options to qml\.device"):
        QDispatchDevice(1, client=client).setup_execution_config(config)


def test_errors_of_the_service_come_through(client: Client) -> None:
    def circuit() -> Any:
        qml.T(0)
        return qml.expval(qml.Z(0))

    with pytest.raises(UnknownTargetError, match="nowhere"):
        qml.QNode(circuit, QDispatchDevice(1, client=client, target="nowhere"))()
    device = QDispatchDevice(1, client=client, target="aer", extra='{"method": "stabilizer"}')
    with pytest.raises(JobFailedError, match="stabilizer cannot run this"):
        qml.QNode(circuit, device)()
