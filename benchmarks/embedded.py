"""Row 13: the embedded default against the full stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median
from typing import TypeVar

from benchmarks.installation import ALL, Installation
from benchmarks.lines import Line, at_least, at_most
from benchmarks.measure import in_turns, ratio, timed
from benchmarks.plan import Plan
from benchmarks.round_trip import our_trip
from benchmarks.table import number, seconds
from benchmarks.throughput import WARM_UP, our_rate, submitting
from qdispatch import Client

T = TypeVar("T")


def against_full_stack(plan: Plan) -> Iterator[Line]:
    """Row 13: round trip and throughput; the one that is not measured is stopped meanwhile."""
    full = plan.shop.full_stack()
    embedded = plan.shop.shared("embedded", lambda: plan.shop.installed(None, targets=ALL))
    try:
        yield _round_trip(plan, embedded, full)
        yield _throughput(plan, embedded, full)
    finally:
        # Other rows must not be disturbed by it.
        plan.shop.release()


def _round_trip(plan: Plan, embedded: Installation, full: Installation) -> Line:
    each = plan.choose(15, 200)
    with Client(embedded.address) as ours, Client(full.address) as other:
        samples = in_turns(
            {
                "full": _beside(embedded, lambda: _median_trip(other, each)),
                "embedded": lambda: _median_trip(ours, each),
            },
            plan.runs,
        )
    return Line(
        row=13,
        what="embedded: round trip",
        baseline="full stack",
        ratio=ratio(samples["embedded"], samples["full"]),
        goal=at_most(2.0),
        absolute=f"embedded {seconds(median(samples['embedded']))},"
        f" full stack {seconds(median(samples['full']))}",
    )


def _throughput(plan: Plan, embedded: Installation, full: Installation) -> Line:
    jobs = plan.choose(120, 2000)
    ours = submitting(plan, embedded, batch=False)
    other = submitting(plan, full, batch=False)
    our_rate(embedded, ours, WARM_UP, batch=False)
    our_rate(full, other, WARM_UP, batch=False)
    samples = in_turns(
        {
            "full": _beside(embedded, lambda: our_rate(full, other, jobs, batch=False)),
            "embedded": lambda: our_rate(embedded, ours, jobs, batch=False),
        },
        plan.runs,
        warm_up=0,
    )
    return Line(
        row=13,
        what=f"embedded: {jobs} jobs",
        baseline="full stack",
        ratio=ratio(samples["embedded"], samples["full"]),
        goal=at_least(0.5),
        absolute=f"embedded {number(median(samples['embedded']))} jobs/s,"
        f" full stack {number(median(samples['full']))} jobs/s",
    )


def _median_trip(client: Client, each: int) -> float:
    trip = our_trip(client)
    return median(timed(trip) for _ in range(each))


def _beside(embedded: Installation, measure: Callable[[], T]) -> Callable[[], T]:
    """Measures while the embedded installation stands still."""

    def act() -> T:
        with embedded.suspended():
            return measure()

    return act
