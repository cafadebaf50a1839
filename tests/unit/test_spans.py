"""Linear spaces over the field of two elements, held against every combination."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from tasks.simulators.spans import directions, span

VECTORS = st.integers(0, 2**10 - 1)


@given(st.lists(VECTORS, max_size=5), VECTORS)
def test_a_span_is_every_sum_in_ascending_order(vectors: list[int], first: int) -> None:
    expected = set()
    for size in range(len(vectors) + 1):
        for some in combinations(vectors, size):
            total = first
            for each in some:
                total ^= each
            expected.add(total)
    basis = directions(vectors)
    rows = span(first, basis, 2)
    assert [int.from_bytes(row.tobytes(), "big") for row in rows] == sorted(expected)
    assert len(expected) == 2 ** len(basis)
