"""Row 15: how the rate grows with the number of workers, if simulations only wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from typing import Final

from benchmarks.installation import Installation
from benchmarks.lines import Line, at_least
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan, cores
from benchmarks.programs import SHOTS, bell
from benchmarks.shares import Shares, shares
from benchmarks.table import number
from qdispatch import Client
from tests.chaos.installation import install_stub
from tests.waiting import wait_until

#: How long each simulation waits, in milliseconds.
_WAIT_MS: Final = 250
# Jobs that each worker runs one after the other in a sample; short, or in full.
_ROUNDS: Final = (3, 12)
_SUBMITTING: Final = 8
#: How many workers, in full and in short.
_ALL: Final = (2, 4, 8, 16, 32, 64)
_SOME: Final = (2, 8)
_READY_S: Final = 90.0
_TIMEOUT_S: Final = 120.0
# A part that keeps so much of a core busy cannot do much more: Python's threads
# share one.
_BUSY: Final = 0.85


def out(plan: Plan) -> Iterator[Line]:
    """Row 15: 1, 2, 4, ... workers; the rate of each against as many times that of 1."""
    sizes = _ALL if plan.full else _SOME
    with _installation(plan, [1, *sizes]) as stack, Client(stack.address) as client:
        stack.stack.start_worker(_target(1))
        _wait_for(stack, 1)
        for size in sizes:
            yield _line(plan, stack, client, size)


def _line(plan: Plan, stack: Installation, client: Client, size: int) -> Line:
    stack.stack.start_worker(_target(size))
    taken: list[Shares] = []
    rounds = plan.choose(*_ROUNDS)

    def many() -> float:
        with shares(stack) as found:
            rate = _rate(stack, client, size, rounds)
        taken.append(found)
        return rate

    try:
        _wait_for(stack, size)
        rates = in_turns(
            {"one": lambda: _rate(stack, client, 1, rounds) * size, "many": many}, plan.runs
        )
    finally:
        stack.stack.stop_part(_target(size))
    return Line(
        row=15,
        what=f"{size} workers",
        baseline=f"{size} x 1 worker",
        ratio=ratio(rates["many"], rates["one"]),
        goal=at_least(0.9),
        absolute=f"{number(median(rates['many']))} jobs/s of {_WAIT_MS} ms each;"
        f" {_saturated(taken[-1])}; CPU: {taken[-1]}",
    )


def _saturated(found: Shares) -> str:
    total = sum(found.of.values())
    if total > _BUSY * cores():
        return f"all {cores()} cores are busy, most with {found.busiest}"
    if found.of.get(found.busiest, 0.0) > _BUSY:
        return f"{found.busiest} is saturated"
    return "nothing is saturated"


@contextmanager
def _installation(plan: Plan, sizes: list[int]) -> Iterator[Installation]:
    """Server and sweep, and a target for each size, whose workers are not started yet."""
    site = install_stub(plan.shop.folder("site"))
    # Stack starts no worker: those come one after the other.
    stack = Installation(
        plan.shop.folder("scale"),
        plan.shop.services,
        targets=(),
        sections={_target(size): f'simulator = "stub"\nconcurrency = {size}' for size in sizes},
        environment={
            "PYTHONPATH": os.pathsep.join((str(site), os.environ.get("PYTHONPATH", ""))),
        },
    )
    try:
        stack.stack.run("app", "migrate")
        stack.stack.launch("server", "rpc")
        stack.stack.launch("sweep", "tasks.sweep")
        with Client(stack.address, timeout_s=2.0) as client:
            if not wait_until(client.is_serving, _READY_S):
                raise TimeoutError(f"the server does not start:\n{stack.stack.log('server')}")
        yield stack
    finally:
        stack.stop()


def _target(size: int) -> str:
    return f"wait-{size}"


def _wait_for(stack: Installation, size: int) -> None:
    """Waits until a worker has all its engines."""

    def warm() -> bool:
        stack.stack.check()
        return len(stack.stack.engines(_target(size))) == size

    if not wait_until(warm, _READY_S):
        raise TimeoutError(
            f"{_target(size)} has not all engines:\n{stack.stack.log(_target(size))}"
        )


def _rate(stack: Installation, client: Client, size: int, rounds: int) -> float:
    """Submits jobs to the worker with so many slots; returns how many ended per second."""
    circuit = bell()
    jobs = size * rounds

    def submit(_: int) -> None:
        client.submit(
            circuit,
            target=_target(size),
            shots=SHOTS,
            extra={"do": "nap", "size": _WAIT_MS},
        )

    started = perf_counter()
    with ThreadPoolExecutor(_SUBMITTING) as pool:
        list(pool.map(submit, range(jobs)))
    stack.wait_until_idle(_TIMEOUT_S, 0.005)
    return jobs / (perf_counter() - started)
