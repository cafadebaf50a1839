"""The packing of single shots."""

from __future__ import annotations

import numpy as np
import pytest

from qdispatch.arrays import Memory
from tasks.simulators.outcomes import keys
from tasks.simulators.shots import from_columns, from_hex, rows, shuffled


@pytest.mark.parametrize("n_clbits", [3, 8, 70])
def test_rows_are_the_outcomes_packed(n_clbits: int) -> None:
    indices = np.array([0, 5, 2, 7, 7, 1])
    # A bit that was written before, one that is written again, a variable, and bits that are not.
    terminal, base = {2: 0, 0: 2, n_clbits - 1: 1, -1: 0}, {1: 1, 0: 1, -2: 1}
    packed = rows(indices, terminal, n_clbits, base)
    assert packed.dtype == np.uint8
    outcomes = keys(indices, terminal, n_clbits, base)
    assert list(Memory(packed.tobytes(), n_bits=n_clbits)) == outcomes
    found = from_hex([hex(int(each, 2)) for each in outcomes], n_clbits)
    np.testing.assert_array_equal(found, packed)


def test_a_shuffle_keeps_the_rows() -> None:
    packed = rows(np.arange(256), {place: place for place in range(8)}, 8, {})
    mixed = shuffled(packed, np.random.default_rng(1))
    assert mixed.tolist() != packed.tolist()
    assert sorted(mixed.tolist()) == packed.tolist()


@pytest.mark.parametrize("n_clbits", [1, 8, 19])
@pytest.mark.parametrize("shots", [1, 16, 21])
def test_columns_are_turned_into_rows(n_clbits: int, shots: int) -> None:
    rng = np.random.default_rng(shots)
    bits = rng.integers(0, 2, (n_clbits, shots), dtype=np.uint8)
    found = from_columns(np.packbits(bits, axis=1, bitorder="little"), shots)
    outcomes = ["".join(map(str, shot[::-1])) for shot in bits.T]
    np.testing.assert_array_equal(found, np.asarray(Memory.of(outcomes, n_clbits)))
