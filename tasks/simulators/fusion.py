"""Neighbouring gates made one matrix, where that is quicker to apply.

A state vector that does not fit into the cache is read and written once for
each gate, whatever the gate does; so several gates on one qubit, or on one
pair, are better multiplied first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from tasks.circuit import Gate
from tasks.simulators.matrices import Matrix, matrix


@dataclass(frozen=True, slots=True)
class Fused:
    """A matrix in place of gates."""

    qubits: tuple[int, ...]
    matrix: Matrix
    """complex128 of shape (2**k, 2**k), C-contiguous; the first of the qubits is the
    most significant bit."""


#: What is left of a list of gates: some of them, and matrices.
Step: TypeAlias = Gate | Fused

_IDENTITY: Final = np.eye(2, dtype=np.complex128)


def fuse(gates: Iterable[Gate], cost: Callable[[Step], float]) -> list[Step]:
    """Multiplies gates on one qubit, or on one pair of qubits, with each other.

    Args:
        gates: Applied from first to last.
        cost: What a step costs, in any unit. A matrix takes the place of gates that
            cost more.

    Returns:
        Steps with the same effect, from first to last.
    """
    return list(_Fuser(cost).steps(gates))


@dataclass(slots=True)
class _Pair:
    """Steps on two qubits that no other gate comes between."""

    qubits: tuple[int, int]
    steps: list[Step]


class _Fuser:
    def __init__(self, cost: Callable[[Step], float]) -> None:
        self._cost = cost
        self._runs: dict[int, list[Step]] = {}
        self._pairs: dict[int, _Pair] = {}

    def steps(self, gates: Iterable[Gate]) -> Iterator[Step]:
        for gate in gates:
            if len(gate.qubits) == 1:
                self._runs.setdefault(gate.qubits[0], []).append(gate)
            elif len(gate.qubits) == 2:
                yield from self._couple(gate)
            else:
                yield from self._close(gate.qubits)
                yield gate
        yield from self._close(tuple({*self._runs, *self._pairs}))

    def _couple(self, gate: Gate) -> Iterator[Step]:
        a, b = gate.qubits
        pair = self._pairs.get(a)
        if pair is None or pair is not self._pairs.get(b):
            # Whatever waits of single qubits is better off with the new pair.
            waiting = [*self._run(a), *self._run(b)]
            yield from self._close(gate.qubits)
            pair = self._pairs[a] = self._pairs[b] = _Pair((a, b), waiting)
        else:
            pair.steps += [*self._run(a), *self._run(b)]
        pair.steps.append(gate)

    def _close(self, qubits: tuple[int, ...]) -> Iterator[Step]:
        """Gives out all that waits on some qubits."""
        for qubit in qubits:
            pair = self._pairs.pop(qubit, None)
            if pair is not None:
                first, second = pair.qubits
                del self._pairs[second if qubit == first else first]
                yield from self._cheaper(pair.qubits, pair.steps)
        for qubit in qubits:
            yield from self._run(qubit)

    def _run(self, qubit: int) -> list[Step]:
        steps = self._runs.pop(qubit, [])
        return self._cheaper((qubit,), steps) if len(steps) > 1 else steps

    def _cheaper(self, qubits: tuple[int, ...], steps: list[Step]) -> list[Step]:
        """The steps, or one matrix in their place."""
        apart = sum(map(self._cost, steps))
        blank = Fused(qubits, _IDENTITY)
        return [Fused(qubits, product(qubits, steps))] if self._cost(blank) < apart else steps


def product(qubits: tuple[int, ...], steps: Iterable[Step]) -> Matrix:
    """The matrix of steps on one or two qubits, the first one in the most significant bit."""
    result: Any = np.eye(1 << len(qubits), dtype=np.complex128)
    for step in steps:
        one = step.matrix if isinstance(step, Fused) else matrix(step)
        result = _on(qubits, step.qubits, one) @ result
    return np.ascontiguousarray(result)


def _on(qubits: tuple[int, ...], own: tuple[int, ...], one: Matrix) -> Any:
    """A step's matrix, on these qubits."""
    if own == qubits:
        return one
    if len(own) == len(qubits):
        return one.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
    # A Kronecker product, in a third of NumPy's time for it.
    first, second = (one, _IDENTITY) if own[0] == qubits[0] else (_IDENTITY, one)
    return (first[:, None, :, None] * second[None, :, None, :]).reshape(4, 4)
