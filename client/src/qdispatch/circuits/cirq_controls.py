"""Controlled gates whose angle is a symbol.

Cirq decomposes most of them by their matrix, which a symbol has not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import cirq
import sympy

from qdispatch.circuits.cirq_expressions import phase_of

_INTO_Z: Final = {
    cirq.XPowGate: (cirq.H,), cirq.Rx: (cirq.H,),
    cirq.YPowGate: (cirq.S**-1, cirq.H), cirq.Ry: (cirq.S**-1, cirq.H),
    cirq.ZPowGate: (), cirq.Rz: (), cirq.CZPowGate: (), cirq.CCZPowGate: (),
}  # fmt: skip
"""Power of a Pauli operator -> gates that come before a power of Z, and undone
after it, to make it."""


def controlled_parts(operation: Any) -> list[Any] | None:
    """A controlled power or phase in terms of powers of Z, CZ and CCZ.

    Args:
        operation: Of a ``ControlledGate``.

    Returns:
        Its parts, exact with their phase; None if it is controlled on
        something else.
    """
    gate = operation.gate
    controls = operation.qubits[: gate.num_controls()]
    targets = operation.qubits[gate.num_controls() :]
    sub = gate.sub_gate
    if isinstance(sub, cirq.GlobalPhaseGate):
        turn = phase_of(sub.coefficient)
        if turn is None:
            return None
        before: list[Any] = []
        powers = [(turn / sympy.pi, controls)]
    elif type(sub) in _INTO_Z:
        before = [each.on(targets[0]) for each in _INTO_Z[type(sub)]]
        powers = [(sub.exponent, operation.qubits)]
        if sub.global_shift:
            powers.append((sub.exponent * sub.global_shift, controls))
    else:
        return None
    parts = list(before)
    # Each combination of control values is a subspace of its own.
    for values in gate.control_values.expand():
        flips = [cirq.X(qubit) for qubit, value in zip(controls, values, strict=True) if not value]
        parts += flips
        for exponent, qubits in powers:
            parts += _power(exponent, qubits)
        parts += flips
    return [*parts, *cirq.inverse(before)]


def _power(exponent: Any, qubits: Sequence[Any]) -> Iterator[Any]:
    """Multiplies the state with all qubits at 1 by exp(i pi exponent).

    More than three: A. Barenco et al., Phys. Rev. A 52, 3457 (1995), lemma 7.5.
    """
    if len(qubits) <= 3:
        yield (cirq.Z, cirq.CZ, cirq.CCZ)[len(qubits) - 1].on(*qubits) ** exponent
        return
    *others, last, target = qubits
    flip = cirq.X(last).controlled_by(*others)
    yield cirq.CZ(last, target) ** (exponent / 2)
    yield flip
    yield cirq.CZ(last, target) ** (-exponent / 2)
    yield flip
    yield from _power(exponent / 2, [*others, target])
