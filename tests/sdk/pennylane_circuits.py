"""Circuits of PennyLane: wires of a device, and operations on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pennylane as qml


def random_unitary(n_qubits: int) -> Any:
    generator = np.random.default_rng(n_qubits)
    shape = (2**n_qubits, 2**n_qubits)
    return np.linalg.qr(generator.normal(size=shape) + 1j * generator.normal(size=shape))[0]


def random_state(n_qubits: int) -> Any:
    return random_unitary(n_qubits)[0]


def bell() -> None:
    qml.Hadamard(0)
    qml.CNOT([0, 2])


def ghz_with_an_idle_wire() -> None:
    qml.Hadamard(3)
    qml.CNOT([3, 0])
    qml.CNOT([0, 1])


def rotations() -> None:
    for wire, angle in enumerate((0.3, -1.2, 2.5)):
        qml.RX(angle, wire)
        qml.RY(angle / 2, wire)
        qml.RZ(angle / 3, wire)
        qml.Rot(angle, 0.1, 0.7, wire)


def named_wires() -> None:
    qml.RY(0.4, "left")
    qml.CRX(1.1, ["left", "right"])
    qml.ISWAP(["right", "middle"])


def phases() -> None:
    qml.GlobalPhase(0.7)
    qml.Hadamard(0)
    qml.PhaseShift(0.3, 0)
    qml.ctrl(qml.GlobalPhase(0.4), 0)
    qml.ControlledPhaseShift(1.3, [0, 1])
    qml.SX(2)


def fourier() -> None:
    qml.BasisState([1, 0, 1], [0, 1, 2])
    qml.QFT([2, 0, 1])


def prepared() -> None:
    qml.StatePrep(random_state(3), [2, 0, 1])
    qml.CZ([0, 2])


def matrices() -> None:
    qml.QubitUnitary(random_unitary(2), [2, 0])
    qml.QubitUnitary(random_unitary(1), 1)
    qml.ControlledQubitUnitary(random_unitary(1), [1, 0])
    qml.DiagonalQubitUnitary(np.exp(1j * np.arange(4)), [0, 1])


def controlled() -> None:
    for wire in range(4):
        qml.RY(0.5 + wire, wire)
    qml.ctrl(qml.RX(0.3, 0), [1, 2], control_values=[0, 1])
    qml.MultiControlledX([0, 1, 2, 3])
    qml.Toffoli([3, 1, 0])
    qml.CSWAP([0, 2, 1])


def inverses() -> None:
    qml.Hadamard(0)
    qml.adjoint(qml.S(0))
    qml.adjoint(qml.SX(1))
    qml.pow(qml.RX(0.3, 1), 2.5)
    qml.adjoint(qml.QFT([0, 1, 2]))


def entangling_layers() -> None:
    weights = np.random.default_rng(1).normal(size=(2, 4, 3))
    qml.StronglyEntanglingLayers(weights, wires=range(4))


def excitations() -> None:
    qml.BasisState([1, 1, 0, 0], range(4))
    qml.SingleExcitation(0.3, [1, 2])
    qml.DoubleExcitation(0.8, range(4))


def ising() -> None:
    for wire in range(3):
        qml.Hadamard(wire)
    qml.IsingXX(0.3, [0, 1])
    qml.IsingYY(0.4, [1, 2])
    qml.IsingZZ(0.5, [2, 0])
    qml.IsingXY(0.6, [0, 1])
    qml.MultiRZ(0.7, [0, 1, 2])
    qml.PauliRot(0.8, "XYZ", [2, 1, 0])


def trotterized() -> None:
    qml.Hadamard(0)
    qml.TrotterProduct(qml.X(0) @ qml.Y(1) + 0.5 * qml.Z(2), 0.3, n=2)
    qml.exp(qml.X(1) @ qml.Z(2), 0.3j)


def grover() -> None:
    for wire in range(3):
        qml.Hadamard(wire)
    qml.FlipSign([1, 0, 1], wires=range(3))
    qml.GroverOperator(range(3))


def deferred() -> None:
    qml.RY(1.1, 0)
    outcome = qml.measure(0)
    qml.cond(outcome, qml.RX)(0.8, 1)
    qml.CNOT([1, 2])


#: Name -> wires of the device, in order, and the operations.
CIRCUITS: dict[str, tuple[Sequence[Any], Callable[[], None]]] = {
    "bell": ([2, 0, 1], bell),
    "idle": (range(5), ghz_with_an_idle_wire),
    "rotations": (range(3), rotations),
    "names": (["right", "left", "middle"], named_wires),
    "phases": (range(3), phases),
    "fourier": (range(3), fourier),
    "prepared": (range(3), prepared),
    "matrices": (range(3), matrices),
    "controlled": (range(4), controlled),
    "inverses": (range(3), inverses),
    "layers": (range(4), entangling_layers),
    "excitations": (range(4), excitations),
    "ising": (range(3), ising),
    "trotterized": (range(3), trotterized),
    "grover": ([1, 2, 0], grover),
    "deferred": (range(4), deferred),
}
