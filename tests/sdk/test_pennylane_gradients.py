"""Gradients by parameter shifts, each in one job."""

from __future__ import annotations

from typing import Any

import numpy as np
import pennylane as qml
import pytest
from pennylane import numpy as pnp

from qdispatch.client import Client
from qdispatch.errors import InvalidJobError
from qdispatch.model import JobStatus
from qdispatch.pennylane import QDispatchDevice
from tests.sdk.inprocess import Installation

ENERGY = qml.Z(0) @ qml.Z(1) + 0.5 * qml.X(2) - 0.3 * qml.Y(3) @ qml.X(1)


def ansatz(angles: Any) -> Any:
    for wire in range(4):
        qml.RY(angles[wire], wire)
    for wire in range(4):
        qml.CNOT([wire, (wire + 1) % 4])
        qml.RZ(angles[4 + wire], wire)
        qml.RX(angles[8 + wire], wire)
    return qml.expval(ENERGY)


@pytest.fixture
def angles() -> Any:
    return pnp.array(np.random.default_rng(1).normal(size=12), requires_grad=True)


def jobs_of(client: Client, tag: str) -> list[int]:
    """How many points each job of this tag had, oldest first."""
    return [each.n_points for each in client.jobs(tag=tag)][::-1]


def test_a_gradient_is_one_job(client: Client, angles: Any) -> None:
    device = QDispatchDevice(4, client=client, target="aer", tags=["one-job"])
    gradient = qml.grad(qml.QNode(ansatz, device))(angles)
    expected = qml.grad(qml.QNode(ansatz, qml.device("default.qubit", wires=4)))(angles)
    np.testing.assert_allclose(gradient, expected, atol=1e-9)
    # The value itself, and two shifts of each of twelve angles.
    assert jobs_of(client, "one-job") == [0, 24]


def test_a_gradient_with_shots_is_one_job_a_basis(client: Client, angles: Any) -> None:
    device = QDispatchDevice(4, client=client, target="aer", seed=3, tags=["a-basis"])
    node = qml.set_shots(qml.QNode(ansatz, device), 4000)
    expected = qml.grad(qml.QNode(ansatz, qml.device("default.qubit", wires=4)))(angles)
    # Half the difference of two values; each of them a sum of spread 1.8 at the most.
    np.testing.assert_allclose(qml.grad(node)(angles), expected, atol=5 * 1.8 / 2**0.5 / 4000**0.5)
    assert jobs_of(client, "a-basis") == [0, 0, 24, 24]


def test_points_of_a_sweep_have_samples_of_their_own(client: Client) -> None:
    device = QDispatchDevice(1, client=client, target="aer", seed=3)

    @qml.qnode(device)
    def circuit(angle: Any) -> Any:
        qml.RX(angle, 0)
        return qml.sample(wires=0)

    first, second, _ = qml.set_shots(circuit, 64)(np.array([1.5, 1.5, 1.6]))
    assert first.ravel().tolist() != second.ravel().tolist()


def test_jacobians_of_probabilities_and_hessians(client: Client) -> None:
    def circuit(angles: Any) -> Any:
        qml.RX(angles[0], 0)
        qml.RY(angles[1], 1)
        qml.CNOT([0, 1])
        return qml.probs(wires=[1, 0])

    def mean(angles: Any) -> Any:
        qml.RX(angles[0], 0)
        qml.RY(angles[1], 0)
        return qml.expval(qml.Z(0))

    angles = pnp.array([0.3, 0.7], requires_grad=True)
    ours, theirs = QDispatchDevice(2, client=client), qml.device("default.qubit", wires=2)
    shift = {"diff_method": "parameter-shift", "max_diff": 2}
    for function, derivative in (
        (circuit, qml.jacobian),
        (mean, lambda node: qml.jacobian(qml.grad(node))),
    ):
        expected = derivative(qml.QNode(function, theirs, **shift))(angles)
        found = derivative(qml.QNode(function, ours, **shift))(angles)
        np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_model_is_trained(client: Client) -> None:
    device = QDispatchDevice(1, client=client, target="aer")

    @qml.qnode(device)
    def circuit(angle: Any) -> Any:
        qml.RX(angle, 0)
        return qml.expval(qml.Z(0))

    optimizer = qml.GradientDescentOptimizer(stepsize=0.8)
    angle = pnp.array(0.5, requires_grad=True)
    for _ in range(10):
        angle = optimizer.step(circuit, angle)
    assert circuit(angle) == pytest.approx(-1, abs=1e-3)


def test_tapes_that_differ_in_more_than_angles_are_one_batch(client: Client) -> None:
    device = QDispatchDevice(2, client=client, target="aer", tags=["batch"])
    z = [qml.expval(qml.Z(0))]
    tapes = [
        qml.tape.QuantumScript([qml.RX(0.1, 0)], z),
        qml.tape.QuantumScript([qml.RY(0.2, 0)], z),
        qml.tape.QuantumScript([qml.RX(0.3, 0)], z),
        qml.tape.QuantumScript([qml.RY(0.2, 0)], z),
        qml.tape.QuantumScript([qml.RX(0.3, 0)], [qml.probs(wires=0)]),
    ]
    with qml.Tracker(device) as tracker:
        found = device.execute(tapes)
    np.testing.assert_allclose(found[:4], np.cos([0.1, 0.2, 0.3, 0.2]), atol=1e-9)
    np.testing.assert_allclose(found[4], [np.cos(0.15) ** 2, np.sin(0.15) ** 2], atol=1e-9)
    assert tracker.totals["executions"] == 5
    # Equal tapes are run once.
    assert sorted(jobs_of(client, "batch")) == [0, 0, 2]
    assert len({each.batch_id for each in client.jobs(tag="batch")}) == 1


def test_sweeps_that_are_too_long_are_cut(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qdispatch.pennylane.submission._MAX_POINTS", 2)
    monkeypatch.setattr("qdispatch.pennylane.submission._MAX_JOBS", 2)
    device = QDispatchDevice(1, client=client, target="aer", tags=["cut"])

    @qml.qnode(device)
    def circuit(angle: Any) -> Any:
        qml.RX(angle, 0)
        return qml.expval(qml.Z(0))

    angles = np.arange(5) / 5
    np.testing.assert_allclose(circuit(angles), np.cos(angles), atol=1e-9)
    # The last point has nothing to be swept with, and a call of its own.
    assert sorted(jobs_of(client, "cut")) == [0, 2, 2]
    assert len({each.batch_id for each in client.jobs(tag="cut")}) == 2


def test_what_was_submitted_before_a_refusal_is_canceled(
    installation: Installation, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qdispatch.pennylane.submission._MAX_JOBS", 1)
    device = QDispatchDevice(1, client=client, target="aer", tags=["refused"])
    tapes = [
        qml.tape.QuantumScript([qml.RX(0.1, 0)], [qml.sample(wires=0)], shots=shots)
        for shots in (5, 2**60)
    ]
    installation.dispatcher.held.set()
    try:
        with pytest.raises(InvalidJobError, match=r"server\.max_shots"):
            device.execute(tapes)
    finally:
        installation.dispatcher.release()
    assert [each.status for each in client.jobs(tag="refused")] == [JobStatus.CANCELED]
