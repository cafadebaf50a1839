"""Linear spaces over the field of two elements; a vector is an integer, bit by bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from tasks.simulators.shots import Rows


def directions(vectors: Iterable[int]) -> list[int]:
    """A basis of what some vectors span, in reduced echelon form.

    Returns:
        Ascending; the highest bit of each is in no other.
    """
    basis: dict[int, int] = {}
    for each in vectors:
        left = each
        while left:
            top = left.bit_length()
            if top not in basis:
                basis[top] = left
                break
            left ^= basis[top]
    tops = sorted(basis)
    for place, top in enumerate(tops):
        for higher in tops[place + 1 :]:
            if basis[higher] >> (top - 1) & 1:
                basis[higher] ^= basis[top]
    return [basis[top] for top in tops]


def span(first: int, basis: Sequence[int], width: int) -> Rows:
    """All sums of a vector and any of a basis, ascending.

    Args:
        first: The vector.
        basis: From `directions`.
        width: Bytes of a vector.

    Returns:
        uint8 of shape (2**len(basis), width), each row big-endian.
    """
    for each in basis:
        if first >> (each.bit_length() - 1) & 1:
            first ^= each
    rows = _row(first, width)
    for each in basis:
        rows = np.concatenate([rows, rows ^ _row(each, width)])
    return rows


def _row(vector: int, width: int) -> Rows:
    return np.frombuffer(vector.to_bytes(width, "big"), np.uint8).reshape(1, width)
