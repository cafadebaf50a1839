"""Counting packed shots, held against counting texts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qdispatch.arrays import Memory
from tasks.simulators.tally import Tally


@pytest.mark.parametrize("n_bits", [1, 8, 20, 64, 65, 200])
def test_a_tally_is_what_counting_gives(n_bits: int) -> None:
    rng = np.random.default_rng(n_bits)
    kinds = ["".join(map(str, rng.integers(0, 2, n_bits))) for _ in range(5)]
    shots = [kinds[place] for place in rng.integers(0, 5, 300)]
    rows = np.asarray(Memory.of(shots, n_bits))
    tally = Tally(n_bits)
    for piece in np.array_split(rows, 3):
        tally.add(piece)
    found = tally.outcomes()
    assert dict(found) == dict(sorted(Counter(shots).items()))
    assert list(found) == sorted(set(shots))
