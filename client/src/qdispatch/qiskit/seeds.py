"""Seeds of many runs out of one."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

#: Aer gives each experiment of a run a seed that is higher by this, so the
#: same seed gives the same counts here and there.
STEP: Final = 2113

_END: Final = 2**63


def nth(seed: int | None, n: int) -> int | None:
    """The seed of the n-th run, from 0."""
    return None if seed is None else (seed + STEP * n) % _END


def of_run(seed: Any) -> int | None:
    """The seed of one call of ``run``.

    Args:
        seed: A number, None, or a ``numpy.random.Generator``, which gives
            another one each time.
    """
    if isinstance(seed, np.random.Generator):
        return int(seed.integers(_END))
    return None if seed is None else int(seed)
