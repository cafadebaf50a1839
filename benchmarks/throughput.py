"""Rows 2, 3 and 16: many small jobs, from the first submission until the last has ended."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.baselines.bare_celery import BareCelery
from benchmarks.installation import Installation
from benchmarks.lines import Line, at_least
from benchmarks.load import clients
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan
from benchmarks.process import Helper
from benchmarks.round_trip import shared_celery
from benchmarks.table import number
from qdispatch.channel import ADDRESS_VARIABLE
from tests.waiting import wait_until

#: As many submit at once.
CLIENTS: Final = 8
#: Jobs before anything is measured: each client connects, each slot is warm.
WARM_UP: Final = 5 * CLIENTS
_TIMEOUT_S: Final = 300.0
# How often it is looked whether all have ended, in seconds.
_POLL_S: Final = 0.005
#: What row 16 wants to know: jobs per second, one by one.
RATE: Final = "rate"


def one_by_one(plan: Plan) -> Iterator[Line]:
    """Row 2: submitted one by one by 8 clients."""
    jobs = plan.choose(200, 2000)
    ours, bare = _measure(plan, jobs, batch=False)
    plan.kept[RATE] = ours
    yield Line(
        row=2,
        what=f"{jobs} jobs one by one",
        baseline="bare Celery",
        ratio=ratio(ours, bare),
        goal=at_least(0.7),
        absolute=_both(ours, bare),
    )


def as_batch(plan: Plan) -> Iterator[Line]:
    """Row 3: the same as one batch."""
    jobs = plan.choose(200, 2000)
    ours, bare = _measure(plan, jobs, batch=True)
    yield Line(
        row=3,
        what=f"{jobs} jobs as one batch",
        baseline="bare Celery",
        ratio=ratio(ours, bare),
        goal=at_least(1.5),
        absolute=_both(ours, bare),
    )


def _measure(plan: Plan, jobs: int, *, batch: bool) -> tuple[list[float], list[float]]:
    """Jobs per second: ours, and of bare Celery."""
    stack, bare = plan.shop.full_stack(), shared_celery(plan)
    senders = plan.shop.shared(
        "celery load",
        lambda: clients("celery", CLIENTS, plan.shop.log("celery-load"), bare.environment),
    )
    submitters = submitting(plan, stack, batch=batch)
    celery_rate(bare, senders, WARM_UP)
    our_rate(stack, submitters, WARM_UP, batch=batch)
    rates = in_turns(
        {
            "bare": lambda: celery_rate(bare, senders, jobs),
            "ours": lambda: our_rate(stack, submitters, jobs, batch=batch),
        },
        plan.runs,
        warm_up=0,
    )
    return rates["ours"], rates["bare"]


def submitting(plan: Plan, stack: Installation, *, batch: bool) -> Helper:
    """Clients of an installation, to be asked by `our_rate`."""
    kind, count = ("batch", 1) if batch else ("single", CLIENTS)
    environment = stack.stack.environment | {ADDRESS_VARIABLE: stack.address}
    return plan.shop.shared(
        f"{kind} load of {stack.address}",
        lambda: clients(kind, count, plan.shop.log("load"), environment),
    )


def our_rate(stack: Installation, load: Helper, jobs: int, *, batch: bool) -> float:
    """Submits jobs; returns how many ended per second, until the last had."""
    started = perf_counter()
    load.ask(each=jobs if batch else jobs // CLIENTS, target="aer")
    stack.wait_until_idle(_TIMEOUT_S, _POLL_S)
    return jobs / (perf_counter() - started)


def celery_rate(bare: BareCelery, load: Helper, jobs: int) -> float:
    """Sends tasks; returns how many ended per second, until the last had."""
    bare.forget()
    started = perf_counter()
    load.ask(each=jobs // CLIENTS)
    if not wait_until(lambda: bare.results() >= jobs, _TIMEOUT_S, _POLL_S):
        raise TimeoutError(f"{bare.results()} of {jobs} bare tasks have ended")
    return jobs / (perf_counter() - started)


def _both(ours: list[float], bare: list[float]) -> str:
    return f"qdispatch {number(median(ours))} jobs/s, bare Celery {number(median(bare))} tasks/s"
