"""What operations of Cirq are made of: their decompositions, mended where they round."""

from __future__ import annotations

import cmath
import itertools
from typing import Any, Final

import cirq
import numpy as np

from qdispatch.circuits.cirq_controls import controlled_parts
from qdispatch.errors import CircuitError

_SYNTHESIS_ATOL: Final = 1e-14
"""Cirq's default of 1e-8 would round small rotations away."""

_SYNTHESIS_GOAL: Final = 1e-12
_SYNTHESIS_LIMIT: Final = 1e-8
"""How far a synthesised matrix should, and may, be off in any of its entries."""

_SYNTHESIS_ATTEMPTS: Final = 8

_MAX_CONTROLLED_MATRIX: Final = 5
"""Qubits up to which a controlled matrix is synthesised as one whole matrix."""

_MAX_PHASE_QUBITS: Final = 12
"""Qubits up to which the phase that a decomposition loses is looked for."""

_NO_PHASE: Final = 1e-14
"""A smaller phase than this is a rounding, in radians."""


def cannot(operation: Any, why: str) -> CircuitError:
    """The error that an operation cannot be carried; it names the operation."""
    # The name of a matrix gate, say, runs over several lines.
    name = " ".join(str(operation).split())
    return CircuitError(f"operation '{name}' cannot be carried: {why}", gate=name)


def parts_of(operation: Any) -> Any:
    """What an operation decomposes into.

    Raises:
        CircuitError: It is not unitary, or it is noise; ``gate`` names it.
    """
    gate = operation.gate
    if isinstance(gate, cirq.ControlledGate):
        operation = _counted(operation)
        if cirq.is_parameterized(operation):
            parts = controlled_parts(operation)
            if parts is not None:
                return parts
        # Cirq drops a controlled phase of less than 1e-8; small matrices are done here.
        gate = gate.sub_gate if len(operation.qubits) <= _MAX_CONTROLLED_MATRIX else None
    parts = None if isinstance(gate, cirq.MatrixGate) else cirq.decompose_once(operation, None)
    if parts is not None:
        return list(parts)
    matrix = cirq.unitary(operation, None)
    symbols = ", ".join(sorted(cirq.parameter_names(operation)))
    if matrix is None and symbols:
        raise cannot(
            operation,
            f"it has no decomposition while it has no value for {symbols}; give it one with "
            "cirq.resolve_parameters, or write it with powers of X, Y, Z, CZ and the like",
        )
    if matrix is None:
        raise cannot(operation, "it has no form in OpenQASM, no decomposition and no unitary")
    qubits = operation.qubits
    if len(qubits) == 1:
        gates = cirq.single_qubit_matrix_to_gates(matrix)
        return [gate.on(*qubits) for gate in gates]
    return _synthesised(operation, matrix)


def lost_phase(operation: Any, parts: Any) -> float:
    """The phase that an operation has beyond what it decomposes into, in radians.

    Both are applied to one state: there they differ by the phase only. Cirq's
    decompositions of symbolic gates lose none; those of matrices do.
    """
    if cirq.is_parameterized(operation) or not cirq.has_unitary(operation):
        return 0.0
    if len(operation.qubits) > _MAX_PHASE_QUBITS:
        return 0.0
    if isinstance(operation.gate, cirq.ControlledGate):
        operation = _counted(operation)
    made, wanted = cirq.Circuit(parts), cirq.Circuit(operation)
    order = sorted(made.all_qubits() | wanted.all_qubits())
    states = [
        each.final_state_vector(qubit_order=order, dtype=np.complex128) for each in (made, wanted)
    ]
    phase = cmath.phase(complex(np.vdot(*states)))
    return phase if abs(phase) > _NO_PHASE else 0.0


def _synthesised(operation: Any, matrix: Any) -> Any:
    """A matrix on two qubits or more as gates.

    Cirq's decomposition loses digits, or fails, where eigenvalues nearly
    coincide. Behind some generic gates they do not; the best attempt is taken.
    """
    qubits = operation.qubits
    best, least = None, _SYNTHESIS_LIMIT
    for attempt in range(_SYNTHESIS_ATTEMPTS):
        generic = _generic(qubits, attempt)
        before = generic.unitary(qubits, qubits)
        rest = matrix @ before.conj().T
        try:
            parts = [
                *generic.all_operations(),
                *_decomposed(qubits, rest),
            ]
        except ValueError:
            continue
        made = cirq.Circuit(parts).unitary(qubit_order=qubits)
        overlap = (made.conj() * matrix).sum()
        error = abs(made * overlap / abs(overlap) - matrix).max()
        if error < least:
            best, least = parts, error
        if error < _SYNTHESIS_GOAL:
            break
    if best is None:
        raise cannot(operation, "its matrix cannot be decomposed exactly")
    return best


def _decomposed(qubits: Any, matrix: Any) -> Any:
    if len(qubits) > 2:
        return cirq.quantum_shannon_decomposition(list(qubits), matrix)
    two_qubit = cirq.two_qubit_matrix_to_cz_operations
    return two_qubit(
        *qubits, matrix, allow_partial_czs=True, atol=_SYNTHESIS_ATOL, clean_operations=False
    )


def _generic(qubits: Any, attempt: int) -> Any:
    """Gates without any symmetry; none at the first attempt."""
    if attempt == 0:
        return cirq.Circuit()
    # One layer leaves two qubits in the special class of a single CZ.
    layers = 3 if len(qubits) == 2 else 1
    return cirq.Circuit(
        [
            [cirq.ry(0.3 * attempt + 0.4 * k + layer)(each) for k, each in enumerate(qubits)],
            [cirq.CZ(*pair) ** (1 - 0.3 * layer) for pair in itertools.pairwise(qubits)],
            [cirq.rx(0.5 * attempt + 0.3 * k + layer)(each) for k, each in enumerate(qubits)],
        ]
        for layer in range(layers)
    )


def _counted(operation: Any) -> Any:
    """The controlled operation with control values 0 and 1 for False and True.

    Cirq indexes an array by these values, which takes booleans for a mask.
    """
    gate = operation.gate
    values = gate.control_values
    if not isinstance(values, cirq.ProductOfSums):
        return operation
    numbers = [tuple(int(each) for each in some) for some in values]
    return cirq.ControlledGate(gate.sub_gate, control_values=numbers).on(*operation.qubits)
