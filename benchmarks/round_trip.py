"""Rows 1 and 13: the round trip of one small job, nothing else running."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import median

from benchmarks.baselines.bare_celery import BareCelery, bare_celery
from benchmarks.baselines.bell import BELL_TASK
from benchmarks.lines import Line, at_most
from benchmarks.measure import in_turns, percentile, ratio, timed
from benchmarks.plan import Plan
from benchmarks.programs import BELL, SHOTS, bell
from benchmarks.table import seconds
from qdispatch import Client

_TIMEOUT_S = 60.0
#: What row 16 wants to know: the median round trip, in seconds.
ROUND_TRIP = "round trip"


def against_celery(plan: Plan) -> Iterator[Line]:
    """Row 1: submit to result in the client's hand, against `apply_async().get()`."""
    stack, bare = plan.shop.full_stack(), shared_celery(plan)
    with Client(stack.address) as client:
        sides = {"bare": celery_trip(bare), "ours": our_trip(client)}
        blocks = trips(sides, plan.runs, plan.choose(40, 200))
    ours, bare_s = blocks["ours"], blocks["bare"]
    plan.kept[ROUND_TRIP] = [median(each) for each in ours]
    yield Line(
        row=1,
        what="round trip, median",
        baseline="bare Celery",
        ratio=ratio([median(each) for each in ours], [median(each) for each in bare_s]),
        goal=at_most(2.0),
        absolute=_both("bare Celery", ours, bare_s, median),
    )
    yield Line(
        row=1,
        what="round trip, p99",
        baseline="bare Celery",
        ratio=ratio([_p99(each) for each in ours], [_p99(each) for each in bare_s]),
        goal=at_most(3.0),
        absolute=_both("bare Celery", ours, bare_s, _p99),
    )


def shared_celery(plan: Plan) -> BareCelery:
    """The bare application that rows share."""
    shop = plan.shop
    return shop.shared("celery", lambda: bare_celery(shop.services, shop.folder("celery")))


def trips(
    sides: Mapping[str, Callable[[], object]], runs: int, each: int
) -> dict[str, list[list[float]]]:
    """Blocks of round trips, in seconds; the sides take turns trip by trip.

    Args:
        sides: What to do for one trip of each.
        runs: How many blocks.
        each: How many trips in a block.
    """
    takers = {name: _taker(act) for name, act in sides.items()}
    in_turns(takers, each // 4, warm_up=0)
    blocks = [in_turns(takers, each, warm_up=0) for _ in range(runs)]
    return {name: [block[name] for block in blocks] for name in sides}


def _taker(act: Callable[[], object]) -> Callable[[], float]:
    return lambda: timed(act)


def our_trip(client: Client) -> Callable[[], object]:
    """Submits a Bell job and waits for its result, as a user does."""
    return lambda: client.submit(bell(), target="aer", shots=SHOTS).result(_TIMEOUT_S)


def celery_trip(bare: BareCelery) -> Callable[[], object]:
    """Sends a Bell task and waits for its result."""
    task = bare.app.tasks[BELL_TASK]
    return lambda: task.apply_async((BELL, SHOTS)).get(timeout=_TIMEOUT_S)


def _p99(samples: Sequence[float]) -> float:
    return percentile(samples, 99)


def _both(
    name: str,
    ours: Sequence[Sequence[float]],
    baseline: Sequence[Sequence[float]],
    figure: Callable[[Sequence[float]], float],
) -> str:
    first, second = (seconds(median(map(figure, each))) for each in (ours, baseline))
    return f"qdispatch {first}, {name} {second}; {len(ours)} blocks of {len(ours[0])} trips"
