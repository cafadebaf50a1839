"""What operators of PennyLane are made of: their decompositions, mended where they round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pennylane as qml

from qdispatch.errors import CircuitError

_GOAL: Final = 1e-12
_LIMIT: Final = 1e-8
"""How far the decomposition of a matrix should, and may, be off in any of its entries."""

_ATTEMPTS: Final = 8

_PREPARATIONS: Final = (qml.StatePrep, qml.CosineWindow)
"""Those whose decompositions leave out the phase."""


def parts_of(operation: Any, *, keep_phase: bool = False) -> Sequence[Any]:
    """What an operator decomposes into.

    Args:
        operation: Of PennyLane.
        keep_phase: Whether the phase of a prepared state matters, which takes
            a simulation of its preparation to know.

    Raises:
        CircuitError: It has neither a decomposition nor a matrix; ``gate``
            names it.
    """
    if operation.has_decomposition:
        parts: Sequence[Any] = operation.decomposition()
        if isinstance(operation, qml.QubitUnitary) and len(operation.wires) == 2:
            return _exact(operation, parts)
        if keep_phase and isinstance(operation, _PREPARATIONS):
            return _prepared(operation, parts)
        return parts
    if operation.has_matrix and not isinstance(operation, qml.QubitUnitary):
        try:
            return [qml.QubitUnitary(operation.matrix(), wires=operation.wires)]
        except ValueError as error:
            # Such as of three levels.
            raise CircuitError(
                f"operator '{operation.name}' is none of qubits: {error}", gate=operation.name
            ) from error
    raise CircuitError(
        f"operator '{operation.name}' has no form in OpenQASM and no decomposition",
        gate=operation.name,
    )


def _exact(unitary: Any, parts: Sequence[Any]) -> Sequence[Any]:
    """A decomposition of a two-qubit unitary without the rounding of special cases.

    PennyLane takes what is near a product, or a gate with fewer CNOTs, for
    one, and loses digits around. Behind generic gates no case is special.
    """
    (first, second), matrix = unitary.wires, unitary.matrix()
    best, least = _mended(parts, unitary)
    for attempt in range(1, _ATTEMPTS):
        if least < _GOAL:
            break
        generic = [
            qml.RY(0.7 * attempt, first), qml.RX(1.1 * attempt, second), qml.CNOT([first, second]),
            qml.RX(0.4 * attempt, first), qml.RZ(0.9 * attempt, second), qml.CNOT([first, second]),
            qml.RY(0.3 * attempt, first), qml.RX(1.3 * attempt, second), qml.CNOT([second, first]),
            qml.RX(0.6 * attempt, first), qml.RZ(0.2 * attempt, second),
        ]  # fmt: skip
        rest = matrix @ qml.matrix(generic, wire_order=unitary.wires).conj().T
        tried: Sequence[Any] = [
            *generic,
            *qml.QubitUnitary(rest, wires=unitary.wires).decomposition(),
        ]
        tried, error = _mended(tried, unitary)
        if error < least:
            best, least = tried, error
    if least > _LIMIT:
        raise CircuitError(
            f"the matrix of '{unitary.name}' cannot be decomposed exactly", gate=unitary.name
        )
    return best


def _prepared(preparation: Any, parts: Sequence[Any]) -> Sequence[Any]:
    """A decomposition of a preparation from zeros, with the phase of its state."""
    wires = preparation.wires
    tape = qml.tape.QuantumScript([*map(qml.Identity, wires), *parts], [qml.state()])
    (made,) = qml.execute([tape], qml.device("default.qubit", wires=wires), diff_method=None)
    overlap = (made.conj() * preparation.state_vector().reshape(-1)).sum()
    return [*parts, qml.GlobalPhase(-float(qml.math.angle(overlap)))]


def _mended(parts: Sequence[Any], unitary: Any) -> tuple[Sequence[Any], float]:
    """The parts with the phase of the whole, and the largest deviation of an entry."""
    made, matrix = qml.matrix(parts, wire_order=unitary.wires), unitary.matrix()
    overlap = (made.conj() * matrix).sum()
    phase = overlap / abs(overlap)
    error = float(abs(made * phase - matrix).max())
    return [*parts, qml.GlobalPhase(-float(qml.math.angle(phase)))], error
