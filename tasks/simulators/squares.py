"""Squares of observables, as Pauli sums."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from qdispatch.model import ErrorKind, PauliSum, PauliTerm
from tasks.simulators import SimulationError
from tasks.simulators.values import pauli

#: The most strings that all squares of a job may have together.
MAX_STRINGS: Final = 100_000

#: The most pairs of strings that are multiplied for it; about ten seconds.
MAX_PAIRS: Final = 10_000_000

#: X and Z part of a string, one bit a qubit. Y has both.
_Masks = tuple[int, int]


def squares(observables: Iterable[PauliSum]) -> tuple[PauliSum, ...]:
    """`square` of each observable.

    Raises:
        SimulationError: They have more than `MAX_STRINGS` terms together.
    """
    found: list[PauliSum] = []
    size = 0
    for each in observables:
        found.append(square(each, MAX_STRINGS - size))
        size += len(found[-1].terms)
    return tuple(found)


def square(observable: PauliSum, most: int = MAX_STRINGS) -> PauliSum:
    """The square of an observable without its part on the identity.

    Strings that anticommute cancel; of the others, each pair gives twice
    their product, which is a string with the sign

        P_a P_b = i**(y_a + y_b - y_ab) (-1)**popcount(z_a & x_b) P_ab,

    where y counts the Ys of a string.

    Args:
        observable: What to square.
        most: How many terms the square may have.

    Raises:
        SimulationError: It has more.
    """
    strings = [(masks, c) for masks, c in _collected(observable).items() if c and any(masks)]
    pairs = len(strings) * (len(strings) - 1) // 2
    if pairs > MAX_PAIRS:
        raise _too_long(len(strings))
    result: dict[_Masks, float] = defaultdict(float)
    result[0, 0] = sum(c * c for _, c in strings)
    for place, ((x_a, z_a), c_a) in enumerate(strings):
        y_a = (x_a & z_a).bit_count()
        for (x_b, z_b), c_b in strings[:place]:
            swaps = (z_a & x_b).bit_count()
            if (swaps + (x_a & z_b).bit_count()) % 2:
                continue
            x, z = x_a ^ x_b, z_a ^ z_b
            turns = y_a + (x_b & z_b).bit_count() - (x & z).bit_count() + 2 * swaps
            result[x, z] += 2 * c_a * c_b * (-1 if turns % 4 else 1)
        if len(result) > most:
            raise _too_long(len(strings))
    return PauliSum(terms=tuple(_term(masks, c) for masks, c in result.items()))


def _collected(observable: PauliSum) -> dict[_Masks, float]:
    found: dict[_Masks, float] = defaultdict(float)
    for term in observable.terms:
        string = pauli(term)
        x = sum(1 << qubit for qubit, letter in string if letter != "Z")
        z = sum(1 << qubit for qubit, letter in string if letter != "X")
        found[x, z] += term.coefficient
    return found


def _term(masks: _Masks, coefficient: float) -> PauliTerm:
    x, z = masks
    both = x | z
    qubits = [qubit for qubit in range(both.bit_length()) if (both >> qubit) & 1]
    letters = ("IXZY"[(x >> qubit & 1) + 2 * (z >> qubit & 1)] for qubit in qubits)
    return PauliTerm(paulis="".join(letters), qubits=tuple(qubits), coefficient=coefficient)


def _too_long(n_terms: int) -> SimulationError:
    return SimulationError(
        ErrorKind.UNSUPPORTED,
        f"the variance of an observable of {n_terms:,} Pauli strings needs their products, of which"
        f" at most {MAX_STRINGS:,} are measured. Split the observables over several jobs, use fewer"
        " terms, or take shots = 0 on a simulator that has a state vector, which needs no products",
    )
