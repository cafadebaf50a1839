"""The outcomes of single shots, packed.

They are rows of a uint8 array of shape (shots, ceil(n_clbits / 8)): an outcome
as a big-endian number, classical bit 0 in the lowest bit of the last byte.
Bits that were never written are 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tasks.simulators.amplitudes import Indices

Rows: TypeAlias = npt.NDArray[np.uint8]

#: Exchanges of bits in a word of eight by eight, which turn rows into columns.
_TURNS: Final = tuple(
    (np.uint64(step), np.uint64(mask))
    for step, mask in (
        (7, 0x00AA00AA00AA00AA),
        (14, 0x0000CCCC0000CCCC),
        (28, 0x00000000F0F0F0F0),
    )
)


def row_bytes(n_clbits: int) -> int:
    """What one shot takes, in bytes."""
    return (n_clbits + 7) // 8


def rows(
    indices: Indices, terminal: Mapping[int, int], n_clbits: int, base: Mapping[int, int]
) -> Rows:
    """The outcome of each basis state; arguments as in `tasks.simulators.outcomes.keys`."""
    width = row_bytes(n_clbits)
    packed = np.zeros((len(indices), width), dtype=np.uint8)
    for clbit, value in base.items():
        if value and 0 <= clbit < n_clbits and clbit not in terminal:
            packed[:, width - 1 - clbit // 8] |= np.uint8(1 << clbit % 8)
    for clbit, qubit in terminal.items():
        if 0 <= clbit < n_clbits:
            bits = ((indices >> qubit) & 1).astype(np.uint8)
            packed[:, width - 1 - clbit // 8] |= bits << np.uint8(clbit % 8)
    return packed


def from_columns(columns: Rows, shots: int) -> Rows:
    """The rows of a table that has a line for each classical bit.

    Eight by eight bits are turned at a time, within a word (H. S. Warren, Hacker's
    Delight, 2nd edition, section 7-3).

    Args:
        columns: uint8 of shape (n_clbits, ceil(shots / 8)); the first shot is in the
            lowest bit of the first byte.
        shots: How many there are.

    Returns:
        A new array.
    """
    n_clbits, n_bytes = columns.shape
    width = row_bytes(n_clbits)
    tiles = np.zeros((8 * width, n_bytes), dtype=np.uint8)
    tiles[:n_clbits] = columns
    # The last classical bits come first.
    tiles = tiles.reshape(width, 8, n_bytes)[::-1].transpose(2, 0, 1)
    words = np.ascontiguousarray(tiles).view("<u8").reshape(n_bytes, width)
    for step, mask in _TURNS:
        changed = ((words >> step) ^ words) & mask
        words ^= changed
        words ^= changed << step
    turned = words.view(np.uint8).reshape(n_bytes, width, 8).transpose(0, 2, 1)
    return np.ascontiguousarray(turned).reshape(-1, width)[:shots]


def shuffled(packed: Rows, rng: np.random.Generator) -> Rows:
    """The same rows in a random order; a new array."""
    return packed[rng.permutation(len(packed))]


def from_hex(outcomes: Sequence[str], n_clbits: int) -> Rows:
    """The rows of outcomes such as "0x1f", in their order."""
    width = row_bytes(n_clbits)
    distinct, places = np.unique(np.array(outcomes, dtype=bytes), return_inverse=True)
    packed = b"".join(int(each, 16).to_bytes(width, "big") for each in distinct.tolist())
    return np.frombuffer(packed, np.uint8).reshape(-1, width)[places]


def shot_bytes(n_clbits: int, shots: int) -> int:
    """Estimate of what shots take up to the encoded result, in bytes.

    An index and its place for each, and up to five copies of the rows: as
    sampled, in their new order, as bytes, in a message, and encoded.
    """
    return shots * (32 + 5 * row_bytes(n_clbits))
