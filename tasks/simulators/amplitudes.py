"""Numbers out of a state vector.

A state is a one-dimensional complex64 or complex128 array of 2**n
amplitudes; qubit 0 is the least significant bit of the index. It need not be
normalised to the last digit: single precision drifts, so every result is
divided by the squared norm. Work goes block by block, so that nothing else of
the size of the state is allocated unless it is returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

State: TypeAlias = npt.NDArray[np.complex64] | npt.NDArray[np.complex128]
Floats: TypeAlias = npt.NDArray[np.float64]
Indices: TypeAlias = npt.NDArray[np.int64]

#: Qubits of a block: 2**16 amplitudes are 1 MiB in double precision, which
#: stays in a core's cache.
_BLOCK_QUBITS: Final = 16

#: Amplitudes of a piece, which are summed at once where samples are drawn. Only
#: pieces that a sample falls into are looked at more closely.
_PIECE: Final = 1 << 10

#: Pieces that are looked at together: as many amplitudes as a block has.
_TOGETHER: Final = 64


def _blocks(state: State) -> Iterator[tuple[int, Any]]:
    size = min(len(state), 1 << _BLOCK_QUBITS)
    for number in range(len(state) // size):
        yield number, state[number * size : (number + 1) * size]


def _squares(block: Any) -> Floats:
    real = block.real.astype(np.float64)
    imag = block.imag.astype(np.float64)
    real *= real
    imag *= imag
    real += imag
    return real  # type: ignore[no-any-return]


def squared_norm(state: State) -> float:
    """The sum of all probabilities; 1 but for rounding."""
    return float(sum(_squares(block).sum() for _, block in _blocks(state)))


def marginal(state: State, qubits: Sequence[int]) -> Floats:
    """Probabilities of the outcomes of some qubits.

    Args:
        state: The state.
        qubits: Ascending, without repetition.

    Returns:
        float64 of shape (2**len(qubits),), summing to 1; qubits[0] is the
        least significant bit of the index.
    """
    low_width = min(_BLOCK_QUBITS, len(state).bit_length() - 1)
    low = [qubit for qubit in qubits if qubit < low_width]
    high = [qubit - low_width for qubit in qubits if qubit >= low_width]
    low_index = gather_bits(np.arange(1 << low_width, dtype=np.int64), low)
    result = np.zeros(1 << len(qubits))
    for number, block in _blocks(state):
        start = sum(((number >> qubit) & 1) << place for place, qubit in enumerate(high))
        part = result[start << len(low) : (start + 1) << len(low)]
        part += np.bincount(low_index, weights=_squares(block), minlength=len(part))
    result /= result.sum()
    return result


def gather_bits(indices: Indices, qubits: Sequence[int]) -> Indices:
    """Packs the given bits of each index: bit qubits[k] becomes bit k. int64, same shape."""
    packed = np.zeros_like(indices)
    for place, qubit in enumerate(qubits):
        packed |= ((indices >> qubit) & 1) << place
    return packed


def sample(state: State, shots: int, rng: np.random.Generator) -> Indices:
    """Draws basis states.

    The state is read once, at the speed of memory, for the weights of its
    pieces; then only the pieces that are drawn from.

    Args:
        state: The state.
        shots: How many to draw.
        rng: The source of randomness.

    Returns:
        int64 of shape (shots,), ascending indices of basis states.
    """
    pieces = state.view(state.real.dtype).reshape(-1, 2 * min(len(state), _PIECE))
    weights = np.vecdot(pieces, pieces).astype(np.float64)
    edges = np.cumsum(weights)
    points = np.sort(rng.random(shots)) * edges[-1]
    # Rounding must not push a point beyond the last piece that has weight.
    last = int(np.searchsorted(edges, edges[-1], side="left"))
    where = np.minimum(np.searchsorted(edges, points, side="right"), last)
    inside = (points - (edges - weights)[where]) / weights[where]
    # They ascend: a point begins another piece, or lies in that of the one before.
    begins = np.diff(where, prepend=-1) > 0
    hit, row = where[begins], np.cumsum(begins) - 1
    drawn = np.empty(shots, dtype=np.int64)
    for first in range(0, len(hit), _TOGETHER):
        some = hit[first : first + _TOGETHER]
        begin, end = np.searchsorted(row, [first, first + len(some)]).tolist()
        rows = row[begin:end] - first
        found = _states(pieces[some], rows, inside[begin:end])
        drawn[begin:end] = some[rows] * (pieces.shape[1] // 2) + found
    return drawn


def _states(pieces: Any, rows: Indices, inside: Floats) -> Indices:
    """The states that points fall on.

    Args:
        pieces: Real and imaginary parts in turn, of shape (m, 2 * size); none is all 0.
        rows: int64, ascending: the piece of each point.
        inside: float64, ascending within a piece: where in it, from 0 to 1.

    Returns:
        int64 of the shape of `rows`, from 0 to size - 1.
    """
    squares = np.square(pieces, dtype=np.float64)
    filled = np.cumsum(squares[:, 0::2] + squares[:, 1::2], axis=1)
    filled /= filled[:, -1:]
    # One ascending row: piece k goes from k to k + 1.
    filled += np.arange(len(filled))[:, None]
    line = filled.ravel()
    found = np.searchsorted(line, rows + np.clip(inside, 0, 1), side="right")
    # Rounding must not push a point beyond the last state of its piece that has weight.
    last = np.searchsorted(line, np.arange(1, len(filled) + 1), side="left")
    drawn: Indices = np.minimum(found, last[rows]) - rows * filled.shape[1]
    return drawn


def normalised(state: State, phase: float) -> npt.NDArray[np.complex128]:
    """The amplitudes with norm 1, turned by a global phase.

    Args:
        state: The state.
        phase: In radians.

    Returns:
        complex128 of the same shape; a new array.
    """
    factor = np.exp(1j * phase) / np.sqrt(squared_norm(state))
    result = state.astype(np.complex128)
    result *= factor
    return result


def probabilities(state: State) -> Floats:
    """The probability of each basis state; float64 of the same shape, summing to 1."""
    result = np.empty(len(state))
    for number, block in _blocks(state):
        result[number * len(block) : (number + 1) * len(block)] = _squares(block)
    result /= result.sum()
    return result


def expectation(state: State, paulis: Mapping[int, str]) -> float:
    """The expectation value of one Pauli string, from -1 to 1.

    A string maps basis state i to i**y (-1)**popcount(i & z) |i ^ x>, where x
    has the qubits under X and Y, z those under Y and Z, and y counts the Ys.

    Args:
        state: The state.
        paulis: Qubit -> "X", "Y" or "Z".
    """
    x, z = _masks(paulis)
    phase = 1j ** sum(letter == "Y" for letter in paulis.values())
    size = min(len(state), 1 << _BLOCK_QUBITS)
    low = np.arange(size, dtype=np.int64)
    signs = 1.0 - 2.0 * (np.bitwise_count(low & (z & (size - 1))) & 1)
    flipped = low ^ (x & (size - 1))
    total, norm = 0j, 0.0
    for number, block in _blocks(state):
        wide = block.astype(np.complex128)
        norm += float(np.vdot(wide, wide).real)
        partner = number ^ (x // size)
        other = state[partner * size : (partner + 1) * size]
        sign = -1 if (number & (z // size)).bit_count() % 2 else 1
        total += sign * np.vdot(other[flipped].astype(np.complex128) if x else wide, wide * signs)
    return min(1.0, max(-1.0, float((phase * total).real) / norm))


def _masks(paulis: Mapping[int, str]) -> tuple[int, int]:
    x = sum(1 << qubit for qubit, letter in paulis.items() if letter in "XY")
    z = sum(1 << qubit for qubit, letter in paulis.items() if letter in "YZ")
    return x, z


def deviation(
    state: State, terms: Iterable[tuple[Mapping[int, str], float]], centre: float
) -> float:
    """The expectation value of (O - centre)**2, as the squared norm of (O - centre) |state>.

    With the mean of O as its centre this is the variance of O. It is never
    negative, and needs no products of Pauli strings.

    Args:
        state: The state.
        terms: Of O: qubit -> "X", "Y" or "Z", and the coefficient.
        centre: A real number.
    """
    size = min(len(state), 1 << _BLOCK_QUBITS)
    low = np.arange(size, dtype=np.int64)
    strings = [(*_masks(paulis), paulis, coefficient) for paulis, coefficient in terms]
    total = norm = 0.0
    for number, block in _blocks(state):
        norm += float(_squares(block).sum())
        moved = -centre * block.astype(np.complex128)
        for x, z, paulis, coefficient in strings:
            partner = number ^ (x // size)
            other = state[partner * size : (partner + 1) * size]
            # Of <j|P: the other way round than `expectation`, hence the inverse phase.
            factor = coefficient * (-1j) ** sum(letter == "Y" for letter in paulis.values())
            factor *= -1 if (number & (z // size)).bit_count() % 2 else 1
            signs = 1.0 - 2.0 * (np.bitwise_count(low & (z & (size - 1))) & 1)
            moved += factor * signs * (other[low ^ (x & (size - 1))] if x else other)
        total += float(_squares(moved).sum())
    return total / norm


def probability_of_one(state: State, qubit: int) -> float:
    """The probability that a qubit is measured as 1."""
    pairs = state.reshape(-1, 2, 1 << qubit)
    one, zero = _weight(pairs[:, 1]), _weight(pairs[:, 0])
    return one / (one + zero)


def _weight(half: Any) -> float:
    # The halves are strided views; einsum sums them without a copy.
    total = 0.0
    for part in (half.real, half.imag):
        total += float(np.einsum("ij,ij->", part, part, dtype=np.float64, casting="unsafe"))
    return total


def project(state: State, qubit: int, outcome: int) -> State:
    """The normalised state after a measurement; a new array."""
    result = np.zeros_like(state)
    kept = state.reshape(-1, 2, 1 << qubit)[:, outcome]
    result.reshape(-1, 2, 1 << qubit)[:, outcome] = kept / np.sqrt(_weight(kept))
    return result


def flip(state: State, qubit: int) -> State:
    """The state after an X gate; a new array."""
    result = np.empty_like(state)
    result.reshape(-1, 2, 1 << qubit)[:] = state.reshape(-1, 2, 1 << qubit)[:, ::-1]
    return result
