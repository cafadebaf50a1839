"""How often each outcome occurs among packed shots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qdispatch.arrays import PackedOutcomes
from tasks.simulators.amplitudes import Indices
from tasks.simulators.outcomes import measured_qubits
from tasks.simulators.shots import Rows, row_bytes
from tasks.simulators.shots import rows as rows_of

#: Outcomes of so many bits and bytes are counted as numbers, wider ones as texts.
NUMBER_BITS: Final = 64
_WORD: Final = NUMBER_BITS // 8

#: Outcomes as numbers, classical bit 0 in the lowest bit, and how often each occurs.
Numbers: TypeAlias = npt.NDArray[np.uint64]
Times: TypeAlias = npt.NDArray[np.int64]


class Tally:
    """Counts shots as they come.

    Args:
        n_clbits: Classical bits of an outcome, at least 1.
    """

    def __init__(self, n_clbits: int) -> None:
        self._n_clbits = n_clbits
        self._width = row_bytes(n_clbits)
        self._texts: Counter[bytes] = Counter()
        self._only: Rows | None = None
        self._numbers: list[Numbers] = []
        self._times: list[Times] = []

    def add(self, rows: Rows) -> None:
        """Counts some shots, which are not to be changed; see `tasks.simulators.shots`."""
        if self._width > _WORD:
            self._add_wide(rows)
            return
        numbers, times = np.unique(_numbers(rows), return_counts=True)
        self._numbers.append(numbers)
        self._times.append(times)

    def outcomes(self) -> PackedOutcomes[int]:
        """Every outcome with its number."""
        if self._width > _WORD:
            return self._wide_outcomes()
        pieces = np.concatenate(self._numbers)
        numbers, places = np.unique(pieces, return_inverse=True)
        times = np.zeros(len(numbers), dtype=np.int64)
        np.add.at(times, places, np.concatenate(self._times))
        return _ascending(numbers, times, self._n_clbits)

    def _add_wide(self, rows: Rows) -> None:
        if not self._texts and self._only is None:
            # The only shots, most often; they may all be different.
            self._only = rows
            return
        self._count_only()
        self._count(rows)

    def _wide_outcomes(self) -> PackedOutcomes[int]:
        if self._only is not None and (different := _sorted(self._only)) is not None:
            return PackedOutcomes(different.tobytes(), [1] * len(different), self._n_clbits)
        self._count_only()
        texts = sorted(self._texts)
        found = [self._texts[each] for each in texts]
        return PackedOutcomes(b"".join(texts), found, self._n_clbits)

    def _count_only(self) -> None:
        if self._only is not None:
            self._count(self._only)
            self._only = None

    def _count(self, rows: Rows) -> None:
        self._texts.update(rows.view(f"V{self._width}").ravel().tolist())


def of_numbers(numbers: Numbers, times: Times, n_clbits: int) -> PackedOutcomes[int]:
    """Outcomes of at most 64 bits that are all different, each with its number."""
    order = np.argsort(numbers)
    return _ascending(numbers[order], times[order], n_clbits)


def of_states(samples: Indices, terminal: Mapping[int, int], n_clbits: int) -> PackedOutcomes[int]:
    """How often each outcome was drawn; arguments as in `tasks.simulators.outcomes.keys`."""
    mask = sum(1 << qubit for qubit in measured_qubits(terminal, n_clbits))
    values, times = np.unique(samples & mask, return_counts=True)
    return of_rows(rows_of(values, terminal, n_clbits, {}), times, n_clbits)


def of_rows(rows: Rows, times: Times, n_clbits: int) -> PackedOutcomes[int]:
    """Outcomes of any width that are all different, each with its number."""
    if rows.shape[1] <= _WORD:
        return of_numbers(_numbers(rows), times, n_clbits)
    texts = rows.view(f"V{rows.shape[1]}").ravel().tolist()
    found = sorted(zip(texts, times.tolist(), strict=True))
    packed = b"".join(text for text, _ in found)
    return PackedOutcomes(packed, [number for _, number in found], n_clbits)


def _ascending(numbers: Numbers, times: Times, n_clbits: int) -> PackedOutcomes[int]:
    rows = numbers.astype(">u8").view(np.uint8).reshape(-1, _WORD)[:, _WORD - row_bytes(n_clbits) :]
    return PackedOutcomes(rows.tobytes(), times.tolist(), n_clbits)


def _numbers(rows: Rows) -> Numbers:
    words = np.zeros((len(rows), _WORD), dtype=np.uint8)
    words[:, _WORD - rows.shape[1] :] = rows
    return words.view(">u8").ravel().astype(np.uint64)


def _sorted(rows: Rows) -> Rows | None:
    """The rows in ascending order, if their first bytes tell all of them apart."""
    words = np.ascontiguousarray(rows[:, :_WORD]).view(">u8").ravel().astype(np.uint64)
    order = np.argsort(words)
    words = words[order]
    return None if (words[1:] == words[:-1]).any() else rows[order]
