"""Row 16: Qunicorn's published design point."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from typing import Final

from benchmarks.lines import Line, at_least, at_most
from benchmarks.measure import summary
from benchmarks.plan import Plan
from benchmarks.round_trip import ROUND_TRIP, against_celery
from benchmarks.table import number, seconds
from benchmarks.throughput import RATE, one_by_one

# As published, for a Bell job on a like machine.
_SECONDS_PER_JOB: Final = 0.113
_JOBS_PER_SECOND: Final = 14.0


def against_qunicorn(plan: Plan) -> Iterator[Line]:
    """Row 16: from what rows 1 and 2 have measured, which are run if they were not."""
    if ROUND_TRIP not in plan.kept:
        for _ in against_celery(plan):
            pass
    if RATE not in plan.kept:
        for _ in one_by_one(plan):
            pass
    trips, rates = plan.kept[ROUND_TRIP], plan.kept[RATE]
    yield Line(
        row=16,
        what="time of one Bell job",
        baseline="Qunicorn, 113 ms",
        ratio=summary([trip / _SECONDS_PER_JOB for trip in trips]),
        goal=at_most(1.0),
        absolute=f"qdispatch {seconds(median(trips))}; Qunicorn as published",
    )
    yield Line(
        row=16,
        what="Bell jobs per second",
        baseline="Qunicorn, 14/s",
        ratio=summary([rate / _JOBS_PER_SECOND for rate in rates]),
        goal=at_least(1.0),
        absolute=f"qdispatch {number(median(rates))} jobs/s; Qunicorn as published",
    )
