"""An upper bound on what a matrix product state of a circuit takes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import numpy as np

from tasks.circuit import Gate

#: Gates whose operator Schmidt rank across any cut may be 4. All others with
#: more than one qubit are a sum of two products, so theirs is 2.
_RANK_4: Final = frozenset({"swap", "cswap"})

#: A site holds two matrices of complex128.
_SITE_BYTES: Final = 2 * 16

#: What a decomposition takes beside the tensors it works on.
_OVERHEAD: Final = 4

_MOST_BITS: Final = 64


def bits(n_qubits: int, gates: Iterable[Gate]) -> list[int]:
    """Upper bound of log2 of the bond dimension at each cut.

    A gate multiplies the bond of every cut that it reaches across by at most
    its operator Schmidt rank; a bond is never larger than the smaller side.

    Returns:
        n_qubits - 1 numbers; number k is of the cut between qubits k and k + 1.
        They end at 64, which no memory holds.
    """
    change = np.zeros(n_qubits + 1, dtype=np.int64)
    for gate in gates:
        if len(gate.qubits) > 1:
            rank_bits = 2 if gate.name in _RANK_4 else 1
            change[min(gate.qubits)] += rank_bits
            change[max(gate.qubits)] -= rank_bits
    grown = np.cumsum(change)[: n_qubits - 1].tolist()
    most = (min(grown[cut], cut + 1, n_qubits - 1 - cut, _MOST_BITS) for cut in range(n_qubits - 1))
    return list(most)


def memory_bytes(n_qubits: int, gates: Iterable[Gate]) -> int:
    """Upper bound of the memory of the state, in bytes."""
    edges = [0, *bits(n_qubits, gates), 0]
    sites = sum(1 << (left + right) for left, right in pairwise(edges))
    return _OVERHEAD * _SITE_BYTES * sites
