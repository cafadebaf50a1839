"""Which observables to evaluate at which points.

Broadcasting pairs points with observables. A sweep evaluates all of its
observables at each of its points, so pairs go into as few sweeps as possible
without evaluating much that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

#: Terms that may be evaluated in vain to save a job, however few are needed.
_SPARE: Final = 4096
#: How often more than needed may be evaluated.
_FACTOR: Final = 4


@dataclass(frozen=True)
class Block:
    """A sweep: each of these observables at each of these points; indices, in order."""

    points: tuple[int, ...]
    observables: tuple[int, ...]


def blocks(
    points: Sequence[int], observables: Sequence[int], n_terms: Sequence[int]
) -> list[Block]:
    """Groups pairs.

    Args:
        points: Of each pair, the point.
        observables: Of each pair, the observable.
        n_terms: Of each observable, how many terms it has.

    Returns:
        Blocks with no point in common, which have all pairs.
    """
    wanted: dict[int, dict[int, None]] = {}
    for point, observable in zip(points, observables, strict=True):
        wanted.setdefault(point, {})[observable] = None
    together = tuple(dict.fromkeys(observables))
    needed = sum(n_terms[each] for group in wanted.values() for each in group)
    whole = len(wanted) * sum(n_terms[each] for each in together)
    if whole <= max(_FACTOR * needed, needed + _SPARE):
        return [Block(tuple(wanted), together)] if wanted else []
    alike: dict[tuple[int, ...], list[int]] = {}
    for point, group in wanted.items():
        alike.setdefault(tuple(sorted(group)), []).append(point)
    return [Block(tuple(members), group) for group, members in alike.items()]
