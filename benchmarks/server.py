"""Row 10: calls per second of one server process, against an empty method of the same one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from statistics import median
from typing import Final

from benchmarks.baselines.server_with_empty import EMPTY
from benchmarks.history import fill
from benchmarks.installation import Installation
from benchmarks.lines import Line, at_least
from benchmarks.load import clients
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan
from benchmarks.process import Helper
from benchmarks.table import number
from qdispatch import Client
from qdispatch.channel import ADDRESS_VARIABLE
from tests.waiting import wait_until

_READY_S: Final = 60.0
#: Calls at once: processes, and threads of each.
_PROCESSES: Final = 4
_THREADS: Final = 8
#: Jobs that GetJob reads in turn.
_JOBS: Final = 1000

_KINDS: Final = (("GetJob", 0.5), ("CreateJob", 0.25))


def calls_per_second(plan: Plan) -> Iterator[Line]:
    """Row 10: GetJob and CreateJob; no worker runs, so that only the server works."""
    seconds = 3.0 if plan.full else 0.5
    with server_alone(plan) as (stack, load):
        ids = fill(stack.database, _JOBS)
        measure = partial(_rate, load, ids, seconds)
        rates = in_turns(
            {
                "GetJob": lambda: measure("GetJob"),
                "empty": lambda: measure(EMPTY),
                "CreateJob": lambda: measure("CreateJob"),
            },
            plan.runs,
        )
    for kind, goal in _KINDS:
        yield Line(
            row=10,
            what=f"{kind} per second",
            baseline="an empty method",
            ratio=ratio(rates[kind], rates["empty"]),
            goal=at_least(goal),
            absolute=f"{number(median(rates[kind]))}/s against"
            f" {number(median(rates['empty']))}/s, {_PROCESSES * _THREADS} calls at once",
        )


@contextmanager
def server_alone(plan: Plan) -> Iterator[tuple[Installation, Helper]]:
    """A server and a sweep on RabbitMQ and PostgreSQL, and processes to call it."""
    stack = Installation(plan.shop.folder("server"), plan.shop.services)
    environment = stack.stack.environment | {ADDRESS_VARIABLE: stack.address}
    try:
        stack.stack.run("app", "migrate")
        stack.stack.launch("server", "benchmarks.baselines.server_with_empty")
        stack.stack.launch("sweep", "tasks.sweep")
        with Client(stack.address, timeout_s=2.0) as client:

            def serves() -> bool:
                stack.stack.check()
                return client.is_serving()

            if not wait_until(serves, _READY_S):
                raise TimeoutError(f"the server does not start:\n{stack.stack.log('server')}")
        with clients("calls", _PROCESSES, plan.shop.log("calls"), environment) as load:
            yield stack, load
    finally:
        stack.stop()


def _rate(load: Helper, ids: Sequence[str], seconds: float, method: str) -> float:
    """Calls per second of one method, all processes together."""
    done = load.ask(method=method, threads=_THREADS, seconds=seconds, ids=ids)
    return float(sum(done)) / seconds
