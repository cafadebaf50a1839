"""The sweep of rows 4 and 5: a 10-qubit variational circuit and an energy."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

N_QUBITS: Final = 10
LAYERS: Final = 4
_SEED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Ansatz:
    """A hardware-efficient circuit: RY and RZ on every qubit, then a chain of CX, layer by layer.

    Attributes:
        circuit: Of Qiskit, without measurements.
        parameters: Its angles, in an order.
        labels: The energy, as (Pauli label, coefficient): a transverse-field
            Ising chain, ZZ of neighbours and X of each.
    """

    circuit: Any
    parameters: tuple[Any, ...]
    labels: tuple[tuple[str, float], ...]


@cache
def ansatz() -> Ansatz:
    """The circuit, with its parameters free."""
    from qiskit import QuantumCircuit
    from qiskit.circuit import Parameter

    circuit = QuantumCircuit(N_QUBITS)
    parameters: list[Parameter] = []
    for layer in range(LAYERS):
        for qubit in range(N_QUBITS):
            for kind in ("y", "z"):
                parameter = Parameter(f"{kind}_{layer}_{qubit}")
                parameters.append(parameter)
                getattr(circuit, f"r{kind}")(parameter, qubit)
        for qubit in range(N_QUBITS - 1):
            circuit.cx(qubit, qubit + 1)
    return Ansatz(circuit=circuit, parameters=tuple(parameters), labels=_energy())


def angles(points: int) -> NDArray[np.float64]:
    """Values of the parameters, shape (points, parameters)."""
    shape = (points, len(ansatz().parameters))
    return np.random.default_rng(_SEED).uniform(-np.pi, np.pi, shape)


def _energy() -> tuple[tuple[str, float], ...]:
    neighbours = [
        ("I" * (N_QUBITS - 2 - qubit) + "ZZ" + "I" * qubit, -1.0) for qubit in range(N_QUBITS - 1)
    ]
    each = [("I" * (N_QUBITS - 1 - qubit) + "X" + "I" * qubit, -0.7) for qubit in range(N_QUBITS)]
    return (*neighbours, *each)
