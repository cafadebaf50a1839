"""Large circuits as OpenQASM 2: QFT, random, quantum volume."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

#: Layers of the random circuit.
LAYERS: Final = 20
_SEED: Final = 3


def program(n_qubits: int, lines: list[str]) -> str:
    """A program of OpenQASM 2 that ends with a measurement of all qubits.

    Args:
        n_qubits: How many qubits and bits it has.
        lines: Its gates.
    """
    head = [
        "OPENQASM 2.0;",
        'include "qelib1.inc";',
        f"qreg q[{n_qubits}];",
        f"creg c[{n_qubits}];",
    ]
    return "\n".join([*head, *lines, "measure q -> c;", ""])


def qft(n_qubits: int) -> str:
    """The quantum Fourier transform of a product state that is no basis state.

    Args:
        n_qubits: How many.
    """
    random = np.random.default_rng(_SEED)
    lines = [f"ry({angle!r}) q[{qubit}];" for qubit, angle in enumerate(_angles(random, n_qubits))]
    for high in reversed(range(n_qubits)):
        lines.append(f"h q[{high}];")
        lines += [
            f"cu1({math.pi / 2 ** (high - low)!r}) q[{low}],q[{high}];"
            for low in reversed(range(high))
        ]
    lines += [f"swap q[{low}],q[{n_qubits - 1 - low}];" for low in range(n_qubits // 2)]
    return program(n_qubits, lines)


def brickwork(n_qubits: int) -> str:
    """Random layers: a random gate on every qubit, then CX or CZ on neighbours, in turns.

    Args:
        n_qubits: How many.
    """
    random = np.random.default_rng(_SEED)
    lines = []
    for layer in range(LAYERS):
        for qubit in range(n_qubits):
            theta, phi, lam = _angles(random, 3)
            lines.append(f"u3({theta!r},{phi!r},{lam!r}) q[{qubit}];")
        lines += [
            f"{('cx', 'cz')[random.integers(2)]} q[{low}],q[{low + 1}];"
            for low in range(layer % 2, n_qubits - 1, 2)
        ]
    return program(n_qubits, lines)


def quantum_volume(n_qubits: int) -> str:
    """As many layers as qubits, of random two-qubit gates on random pairs (arXiv:1811.12926).

    Each gate of SU(4) is written as u3 and three CX.

    Args:
        n_qubits: How many.
    """
    from qiskit import transpile
    from qiskit.circuit.library import quantum_volume as made

    circuit = transpile(
        made(n_qubits, n_qubits, seed=_SEED),
        basis_gates=["u3", "cx"],
        optimization_level=1,
        seed_transpiler=_SEED,
    )
    lines = []
    for each in circuit.data:
        qubits = ",".join(f"q[{circuit.find_bit(qubit).index}]" for qubit in each.qubits)
        angles = ",".join(repr(float(value)) for value in each.operation.params)
        lines.append(f"{each.operation.name}{f'({angles})' if angles else ''} {qubits};")
    return program(n_qubits, lines)


def _angles(random: np.random.Generator, number: int) -> list[float]:
    values: list[float] = random.uniform(-math.pi, math.pi, number).tolist()
    return values


#: The families, by the names that the table has.
FAMILIES: Final[Mapping[str, Callable[[int], str]]] = {
    "QFT": qft,
    "random": brickwork,
    "QV": quantum_volume,
}
