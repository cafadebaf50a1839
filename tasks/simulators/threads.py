"""How many threads a simulation takes of those that it may take."""

from __future__ import annotations

from typing import Final

#: Below this many qubits a state vector fits into the cache of one core, a gate
#: takes less than 0.1 ms, and more threads wait longer than they work.
_WORTH: Final = 17


def threads_for(n_qubits: int, allowed: int) -> int:
    """The threads for a state vector: one for a small one, else all.

    Args:
        n_qubits: Of the state.
        allowed: What the target's settings let one simulation take.
    """
    return allowed if n_qubits >= _WORTH else 1
