"""Clifford gates, whatever they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from tasks.circuit import Gate
from tasks.simulators.matrices import matrix

#: Neutral name -> name in stim, of the gates that every stabilizer simulator takes.
NAMES: Final[Mapping[str, str]] = {
    "id": "I", "x": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "sdg": "S_DAG",
    "sx": "SQRT_X", "sxdg": "SQRT_X_DAG", "cx": "CX", "cy": "CY", "cz": "CZ", "swap": "SWAP",
}  # fmt: skip
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


def _is_eighth(angle: Any) -> bool:
    turns = float(angle) / (math.pi / 4)
    return abs(turns - round(turns)) < _TOLERANCE


def _synthesize(gate: Gate) -> tuple[Gate, ...] | None:
    import stim

    try:
        tableau = stim.Tableau.from_unitary_matrix(matrix(gate), endian="big")
    except ValueError:
        return None
    places = tuple(range(len(gate.qubits)))
    for name, known in NAMES.items():
        if stim.Tableau.from_named_gate(known) == tableau:
            return () if name == "id" else (Gate(name, places),)
    names = {known: name for name, known in NAMES.items()}
    return tuple(
        Gate(names[each.name], tuple(target.value for target in targets))
        for each in tableau.to_circuit("elimination")
        for targets in each.target_groups()
    )
