"""Measures rows, one after the other; one that fails does not end the others."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from benchmarks.lines import Line, RowTimeoutError, problem
from benchmarks.plan import Plan
from benchmarks.rows import Row

_log = logging.getLogger(__name__)


def measure(
    rows: Sequence[Row], plan: Plan, tell: Callable[[Line], None], *, limit_s: int
) -> dict[int, float]:
    """Measures rows, those first that share an installation.

    Args:
        rows: Which.
        plan: How much of each.
        tell: Told of every line as soon as it is known.
        limit_s: The most that one row may take, in seconds.

    Returns:
        How long each row took, in seconds.
    """
    took: dict[int, float] = {}
    for row in sorted(rows, key=lambda each: each.alone):
        started = time.monotonic()
        try:
            if row.alone:
                plan.shop.release()
            with _limited(limit_s):
                for line in row.measure(plan):
                    tell(line)
        except Exception as error:  # noqa: BLE001 - the other rows are still to be measured
            _log.debug("row %d", row.number, exc_info=True)
            tell(failed(row, error))
            with suppress(Exception):
                plan.shop.release()
        took[row.number] = time.monotonic() - started
    return took


def failed(row: Row, error: Exception) -> Line:
    """What the table says of a row that could not be measured."""
    return Line(row=row.number, what=row.what, baseline=row.baseline, problem=problem(error))


@contextmanager
def _limited(limit_s: int) -> Iterator[None]:
    """Raises TimeoutError in the main thread when the time is over."""

    def give_up(_signum: int, _frame: FrameType | None) -> None:
        raise RowTimeoutError(f"the row takes more than {limit_s} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(limit_s)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
