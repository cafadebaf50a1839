"""How often each outcome occurs among packed shots."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from qdispatch.arrays import PackedOutcomes
from tasks.simulators.shots import Rows, row_bytes

#: Outcomes of so many bytes are counted as numbers, wider ones as texts.
_WORD: Final = 8


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
        self._numbers: list[npt.NDArray[np.uint64]] = []
        self._times: list[npt.NDArray[np.int64]] = []

    def add(self, rows: Rows) -> None:
        """Counts some shots, which are not to be changed; see `tasks.simulators.shots`."""
        if self._width > _WORD:
            self._add_wide(rows)
            return
        words = np.zeros((len(rows), _WORD), dtype=np.uint8)
        words[:, _WORD - self._width :] = rows
        numbers, times = np.unique(words.view(">u8").ravel().astype(np.uint64), return_counts=True)
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
        rows = numbers.astype(">u8").view(np.uint8).reshape(-1, _WORD)[:, _WORD - self._width :]
        return PackedOutcomes(rows.tobytes(), times.tolist(), self._n_clbits)

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


def _sorted(rows: Rows) -> Rows | None:
    """The rows in ascending order, if their first bytes tell all of them apart."""
    words = np.ascontiguousarray(rows[:, :_WORD]).view(">u8").ravel().astype(np.uint64)
    order = np.argsort(words)
    words = words[order]
    return None if (words[1:] == words[:-1]).any() else rows[order]
