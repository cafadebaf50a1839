"""Clifford circuits: which gates are Clifford, and how many outcomes they can have."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tasks.circuit import Circuit, Gate
from tasks.simulators.matrices import matrix
from tasks.simulators.outcomes import measured_qubits

#: What every stabilizer simulator takes.
NAMES: Final = frozenset(
    {"id", "x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap"}
)
_NEVER: Final = frozenset({"t", "tdg", "ch", "csx", "ccx", "ccz", "cswap"})

#: How far an angle may be off a multiple of pi/4, in radians.
_TOLERANCE: Final = 1e-9


class Cliffords:
    """Rewrites gates such as rz(pi/2) and cp(pi) into the names of `NAMES`."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, tuple[object, ...]], tuple[Gate, ...] | None] = {}

    def rewrite(self, gate: Gate) -> tuple[Gate, ...] | None:
        """The same unitary up to a global phase, or None if it is not Clifford."""
        if gate.name in NAMES:
            return (gate,)
        if gate.name in _NEVER or not all(map(_is_eighth, gate.params)):
            return None
        key = (gate.name, gate.params)
        if key not in self._known:
            self._known[key] = _synthesize(gate)
        local = self._known[key]
        if local is None:
            return None
        return tuple(
            Gate(each.name, tuple(gate.qubits[place] for place in each.qubits)) for each in local
        )

    def takes(self, gates: Iterable[Gate]) -> bool:
        """Whether all gates are Clifford; looks no further than to the first that is not."""
        return all(self.rewrite(gate) is not None for gate in gates)


def _is_eighth(angle: Any) -> bool:
    turns = float(angle) / (math.pi / 4)
    return abs(turns - round(turns)) < _TOLERANCE


def _synthesize(gate: Gate) -> tuple[Gate, ...] | None:
    from qiskit.exceptions import QiskitError
    from qiskit.quantum_info import Clifford

    n_qubits = len(gate.qubits)
    try:
        circuit: Any = Clifford.from_matrix(matrix(gate)).to_circuit()
    except QiskitError:
        return None
    # Qiskit's qubit 0 is the least significant bit; in our matrices it is the last one.
    return tuple(
        Gate(
            each.name,
            tuple(n_qubits - 1 - circuit.find_bit(bit).index for bit in each.qubits),
        )
        for each in circuit.data
    )


def entropy(circuit: Circuit) -> int:
    """`free_bits` of the outcomes of a static circuit of Clifford gates."""
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import Clifford

    cliffords = Cliffords()
    plain = QuantumCircuit(circuit.n_qubits)
    for gate in circuit.gates():
        for each in cliffords.rewrite(gate) or ():
            getattr(plain, each.name)(*each.qubits)
    return free_bits(Clifford(plain), measured_qubits(circuit.terminal or {}, circuit.n_clbits))


def free_bits(clifford: Any, qubits: Iterable[int]) -> int:
    """How many bits of entropy a measurement of a stabilizer state has.

    The outcomes are equally likely and form an affine space. Its dimension is
    the number of measured qubits less that of the stabilizers that are
    products of Z on measured qubits alone (Aaronson and Gottesman,
    arXiv:quant-ph/0406196, section III).

    Args:
        clifford: A qiskit.quantum_info.Clifford that prepares the state from zeros.
        qubits: The measured qubits.
    """
    chosen = set(qubits)
    n_qubits = clifford.num_qubits
    others = [qubit for qubit in range(n_qubits) if qubit not in chosen]
    constraints = np.hstack([clifford.stab_x, clifford.stab_z[:, others]])
    return len(chosen) - int(n_qubits) + _rank(constraints)


def _rank(rows: npt.NDArray[np.bool_]) -> int:
    """Rank over the field of two elements."""
    work = np.array(rows, dtype=bool)
    rank = 0
    for column in range(work.shape[1]):
        pivots = np.flatnonzero(work[rank:, column])
        if not len(pivots):
            continue
        pivot = rank + pivots[0]
        work[[rank, pivot]] = work[[pivot, rank]]
        below = rank + 1 + np.flatnonzero(work[rank + 1 :, column])
        work[below] ^= work[rank]
        rank += 1
        if rank == len(work):
            break
    return rank
