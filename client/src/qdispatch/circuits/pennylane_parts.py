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


def parts_of(operation: Any) -> Sequence[Any]:
    """What an operator decomposes into.

    Raises:
        CircuitError: It has neither a decomposition nor a matrix; ``gate``
            names it.
    """
    if operation.has_decomposition:
        parts: Sequence[Any] = operation.decomposition()
        is_pair = isinstance(operation, qml.QubitUnitary) and len(operation.wires) == 2
        return _exact(operation, parts) if is_pair else parts
    if operation.has_matrix and not isinstance(operation, qml.QubitUnitary):
        return [qml.QubitUnitary(operation.matrix(), wires=operation.wires)]
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
    best, least = parts, _error(parts, unitary)
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
        parts = [*generic, *qml.QubitUnitary(rest, wires=unitary.wires).decomposition()]
        error = _error(parts, unitary)
        if error < least:
            best, least = parts, error
    if least > _LIMIT:
        raise CircuitError(
            f"the matrix of '{unitary.name}' cannot be decomposed exactly", gate=unitary.name
        )
    return best


def _error(parts: Sequence[Any], unitary: Any) -> float:
    """Largest deviation of an entry, whatever the phase."""
    made, matrix = qml.matrix(parts, wire_order=unitary.wires), unitary.matrix()
    overlap = (made.conj() * matrix).sum()
    return float(abs(made * overlap / abs(overlap) - matrix).max())
