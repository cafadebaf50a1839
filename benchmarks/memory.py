"""Row 12: memory of a worker that waits for jobs, and of one more simulation at once.

Pages that processes share are counted once: each process has its part of
them (PSS). What one more slot and its engine take is theirs alone (USS).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Final

import psutil

from benchmarks.installation import ALL, Installation
from benchmarks.lines import Line, at_most
from benchmarks.measure import ratio
from benchmarks.plan import Plan
from benchmarks.process import helper
from benchmarks.programs import SHOTS, bell
from qdispatch import Client
from tests.waiting import wait_until

_MIB: Final = 2**20
_READY_S: Final = 90.0
# So many that each slot has some.
_JOBS: Final = 12
# What a process does at its start goes on for a moment after it serves.
_SETTLE_S: Final = 0.5


def idle(plan: Plan) -> Iterator[Line]:
    """Row 12: each target's worker, alone, and then the bare process, alone."""
    for target in ALL:
        yield from _target(plan, target)
    if plan.full:
        yield _server(plan)


def _target(plan: Plan, target: str) -> Iterator[Line]:
    workers: list[float] = []
    fresh: list[float] = []
    extras: list[float] = []
    bares: list[float] = []
    # In the short form each is started once, and looked at again and again.
    starts, looks = (plan.runs, 1) if plan.full else (1, plan.runs)
    for _ in range(starts):
        with _worker(plan, target) as stack:
            fresh += [_pss(_family(stack.stack.process(target))) for _ in range(looks)]
            _use(stack, target)
            for _ in range(looks):
                workers.append(_pss(_family(stack.stack.process(target))))
                extras.append(_extra(stack, target))
        with _bare(plan, target) as process:
            bares += [_pss([process]) for _ in range(looks)]
    bare = f"a bare process with the same imports {median(bares):.0f} MiB"
    for when, some in (("fresh", fresh), ("used", workers)):
        yield Line(
            row=12,
            what=f"{target}: worker idle, {when}",
            baseline="the same imports",
            ratio=ratio(some, bares),
            goal=at_most(1.2),
            absolute=f"worker with 2 slots {median(some):.0f} MiB, {bare}",
        )
    yield Line(
        row=12,
        what=f"{target}: one more slot",
        baseline="the same imports",
        ratio=ratio(extras, bares),
        absolute=f"slot and engine {median(extras):.0f} MiB of their own, {bare}",
    )


def _use(stack: Installation, target: str) -> None:
    """Has jobs run, so that what is imported at the first one is in memory, too."""
    stack.stack.launch("server", "rpc")
    with Client(stack.address) as client:
        if not wait_until(client.is_serving, _READY_S):
            raise TimeoutError(f"the server does not start:\n{stack.stack.log('server')}")
        jobs = [client.submit(bell(), target=target, shots=SHOTS) for _ in range(_JOBS)]
        for job in jobs:
            job.result(_READY_S)
    # It would share pages with the worker, which is to be alone.
    stack.stack.stop_part("server")
    time.sleep(_SETTLE_S)


def _server(plan: Plan) -> Line:
    servers: list[float] = []
    bares: list[float] = []
    with plan.shop.installed(plan.shop.services, targets=("aer",)) as stack:
        time.sleep(_SETTLE_S)
        servers += [_pss([stack.stack.process("server")]) for _ in range(plan.runs)]
        sweep = _pss([stack.stack.process("sweep")])
    with _bare(plan, "server") as process:
        bares += [_pss([process]) for _ in range(plan.runs)]
    return Line(
        row=12,
        what="server idle",
        baseline="bare imports",
        ratio=ratio(servers, bares),
        absolute=f"server {median(servers):.0f} MiB, sweep {sweep:.0f} MiB,"
        f" a bare process with such imports {median(bares):.0f} MiB",
    )


@contextmanager
def _worker(plan: Plan, target: str) -> Iterator[Installation]:
    """One worker and nothing else of the project."""
    stack = Installation(plan.shop.folder("memory"), plan.shop.services, targets=(target,))
    try:
        stack.stack.run("app", "migrate")
        stack.stack.start_worker(target)

        def warm() -> bool:
            stack.stack.check()
            engines = len(stack.stack.engines(target))
            return 0 < engines == len(stack.stack.slots(target))

        if not wait_until(warm, _READY_S):
            raise TimeoutError(f"the worker has no engines:\n{stack.stack.log(target)}")
        time.sleep(_SETTLE_S)
        yield stack
    finally:
        stack.stop()


@contextmanager
def _bare(plan: Plan, target: str) -> Iterator[psutil.Process]:
    """The bare process."""
    module = ["benchmarks.baselines.bare_imports", target]
    with helper(module, plan.shop.log("bare")) as bare:
        bare.ask()
        time.sleep(_SETTLE_S)
        yield psutil.Process(bare.pid)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _pss(processes: Iterable[psutil.Process]) -> float:
    """Their memory in MiB; pages that they share count once."""
    return sum(float(each.memory_full_info().pss) for each in processes) / _MIB


def _extra(stack: Installation, target: str) -> float:
    """What one slot and one engine have for themselves, in MiB."""
    slots = [psutil.Process(pid) for pid in stack.stack.slots(target)]
    families = (slots, stack.stack.engines(target))
    return sum(median(float(each.memory_full_info().uss) for each in some) for some in families) / (
        _MIB
    )
