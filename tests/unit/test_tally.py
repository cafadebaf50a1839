"""Counting packed shots, held against counting texts."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from qdispatch.arrays import Memory
from tasks.simulators.outcomes import count
from tasks.simulators.tally import Tally, of_numbers, of_states


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


@pytest.mark.parametrize("n_pieces", [1, 2], ids=["at once", "in pieces"])
@pytest.mark.parametrize("same", ["", "0" * 70], ids=["different", "different at the end"])
def test_wide_shots_that_are_all_different_are_in_order(same: str, n_pieces: int) -> None:
    rng = np.random.default_rng(5)
    shots = [same + "".join(map(str, rng.integers(0, 2, 90))) for _ in range(200)]
    n_bits = len(same) + 90
    tally = Tally(n_bits)
    for piece in np.array_split(np.asarray(Memory.of(shots, n_bits)), n_pieces):
        tally.add(piece)
    found = tally.outcomes()
    assert list(found) == sorted(shots)
    assert list(found.values()) == [1] * 200


def test_an_outcome_that_comes_again_in_another_piece_is_counted_once() -> None:
    tally = Tally(80)
    shots = np.asarray(Memory.of(["1" * 80, "01" * 40], 80))
    tally.add(shots)
    tally.add(shots[:1])
    assert dict(tally.outcomes()) == {"01" * 40: 1, "1" * 80: 2}


@pytest.mark.parametrize("n_clbits", [3, 64, 70])
def test_drawn_states_are_counted_as_outcomes(n_clbits: int) -> None:
    samples = np.random.default_rng(n_clbits).integers(0, 16, 500)
    # Qubit 2 is not measured, and two bits are never written.
    terminal = {0: 3, n_clbits - 1: 0, 1: 1}
    found = of_states(samples, terminal, n_clbits)
    assert dict(found) == count(samples, terminal, n_clbits)
    assert list(found) == sorted(found)


def test_numbers_are_outcomes_in_ascending_order() -> None:
    numbers = np.array([2**63 + 1, 5, 2**40], dtype=np.uint64)
    found = of_numbers(numbers, np.array([1, 2, 3]), 64)
    assert found.numbers == [2, 3, 1]
    assert [int(each, 2) for each in found] == [5, 2**40, 2**63 + 1]
