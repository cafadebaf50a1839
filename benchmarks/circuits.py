"""Rows 6 and 7: one large circuit through the service, against the SDK itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final, TypeAlias

from app.settings import load_settings
from benchmarks.baselines.direct import FIRST_TRY
from benchmarks.baselines.ways import DIRECT, FIRST_TRIES
from benchmarks.large import FAMILIES
from benchmarks.lines import Goal, Line, at_least, at_most, attempt
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan
from benchmarks.process import Helper, helper
from benchmarks.programs import SHOTS, custom, fresh
from benchmarks.table import number, seconds
from qdispatch import Client
from qdispatch.model import Timings

_TIMEOUT_S: Final = 1500.0
#: From so long on the ratio has a goal, in seconds; below, the overhead is told.
_LONG_S: Final = 1.0

#: Calls an SDK directly: (target, way, file) -> seconds.
Call: TypeAlias = Callable[[str, str, Path], float]

_SMALL: Final = 4

_Cases: TypeAlias = Mapping[str, Sequence[tuple[str, int]]]
_SHORT: Final[_Cases] = {
    "aer": (("QFT", 20), ("random", 19)),
    "cirq": (("QFT", 20), ("random", 21), ("QV", 20)),
    "pennylane": (("QFT", 20), ("random", 20)),
}
_FULL: Final[_Cases] = {
    # 26 qubits would take Aer and lightning minutes.
    "aer": tuple((family, size) for family in FAMILIES for size in (20, 22, 24)),
    "cirq": tuple((family, size) for family in FAMILIES for size in (20, 22, 24, 26)),
    "pennylane": tuple((family, size) for family in FAMILIES for size in (20, 22, 24)),
}
_FIRST_SHORT: Final[_Cases] = {
    "cirq": (("random", 20), ("QV", 18)),
    "pennylane": (("random", 18),),
}
_FIRST_FULL: Final[_Cases] = {
    target: tuple((family, 22) for family in FAMILIES) for target in FIRST_TRIES
}


@dataclass(frozen=True, kw_only=True)
class _Case:
    target: str
    family: str
    size: int

    def __str__(self) -> str:
        return f"{self.target}: {self.family} {self.size}"


def against_direct_calls(plan: Plan) -> Iterator[Line]:
    """Row 6: against the fastest way to call the SDK that this benchmark knows."""
    for target, cases in (_FULL if plan.full else _SHORT).items():
        threads = load_settings().targets[target].threads
        with direct(plan, threads) as called, Client(plan.shop.full_stack().address) as client:
            for family, size in cases:
                case = _Case(target=target, family=family, size=size)
                act = partial(_direct_case, plan, client, called, case)
                yield attempt(6, str(case), "a direct call", act)


def _direct_case(plan: Plan, client: Client, called: Call, case: _Case) -> Line:
    target = case.target
    file = write(plan, case.family, case.size)
    _warm_up(plan, client, called, target, next(iter(DIRECT[target])))
    took = {name: called(target, name, file) for name in DIRECT[target]}
    fastest = min(took, key=lambda name: took[name])
    job = job_of(client, target, file.read_text(), case.size)
    samples = in_turns(
        {"direct": lambda: (called(target, fastest, file), Timings()), "ours": job},
        plan.runs,
        warm_up=0,
    )
    ours = [whole for whole, _ in samples["ours"]]
    baseline = [whole for whole, _ in samples["direct"]]
    engine = median(_of_engine(timings) for _, timings in samples["ours"])
    return _against_fastest(str(case), fastest, ours, baseline, engine)


def _against_fastest(
    what: str, fastest: str, ours: Sequence[float], baseline: Sequence[float], engine: float
) -> Line:
    more = median(each - other for each, other in zip(ours, baseline, strict=True))
    goal = at_most(1.05) if median(baseline) >= _LONG_S else None
    return Line(
        row=6,
        what=what,
        baseline=fastest,
        ratio=ratio(ours, baseline),
        goal=goal,
        absolute=f"service {seconds(median(ours))}, of it in the engine {seconds(engine)};"
        f" direct {seconds(median(baseline))}; {number(more * 1e3)} ms more",
    )


def against_first_tries(plan: Plan) -> Iterator[Line]:
    """Row 7: against what a user types first."""
    for target, cases in (_FIRST_FULL if plan.full else _FIRST_SHORT).items():
        # What a user types first takes what threads it likes.
        with direct(plan, None) as called, Client(plan.shop.full_stack().address) as client:
            for family, size in cases:
                case = _Case(target=target, family=family, size=size)
                act = partial(_first_case, plan, client, called, case)
                yield attempt(7, f"{case} faster", FIRST_TRIES[target][0], act)


def _first_case(plan: Plan, client: Client, called: Call, case: _Case) -> Line:
    target, family = case.target, case.family
    file = write(plan, family, case.size)
    job = job_of(client, target, file.read_text(), case.size)
    _warm_up(plan, client, called, target, FIRST_TRY)
    samples = in_turns(
        {"first": lambda: called(target, FIRST_TRY, file), "ours": lambda: job()[0]},
        plan.runs,
        warm_up=0,
    )
    goal: Goal | None = None if family == "QFT" else at_least(5.0)
    name = FIRST_TRIES[target][0]
    return Line(
        row=7,
        what=f"{case} faster",
        baseline=name,
        ratio=ratio(samples["first"], samples["ours"]),
        goal=goal,
        absolute=f"service {seconds(median(samples['ours']))},"
        f" {name} {seconds(median(samples['first']))}",
    )


def _warm_up(plan: Plan, client: Client, called: Call, target: str, name: str) -> None:
    """A small circuit, so that nobody pays for imports."""
    small = write(plan, "random", _SMALL)
    called(target, name, small)
    job_of(client, target, small.read_text(), _SMALL)()


def write(plan: Plan, family: str, size: int) -> Path:
    """The file of a large circuit."""
    file = plan.shop.log("program")
    file.write_text(FAMILIES[family](size))
    return file


@contextmanager
def direct(plan: Plan, threads: int | None, *, shots: int = SHOTS) -> Iterator[Call]:
    """A fresh process that calls SDKs.

    Args:
        plan: The run's.
        threads: Of OpenMP; None for as many as they take by themselves.
        shots: How many samples each call takes.
    """
    environment = dict(os.environ)
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[name] = str(threads)
    with ExitStack() as ends:
        asked: Helper = ends.enter_context(
            helper(["benchmarks.baselines.direct"], plan.shop.log("direct"), environment)
        )

        def call(target: str, name: str, file: Path) -> float:
            answer = asked.ask(
                timeout_s=_TIMEOUT_S,
                target=target,
                name=name,
                file=str(file),
                shots=shots,
                threads=threads or 0,
            )
            if answer["shots"] != shots:
                raise ValueError(f"{name} gave {answer['shots']} of {shots} shots")
            return float(answer["seconds"])

        yield call


def job_of(
    client: Client,
    target: str,
    text: str,
    n_qubits: int,
    *,
    shots: int = SHOTS,
    time_limit_s: float | None = None,
) -> Callable[[], tuple[float, Timings]]:
    """Runs a program as a job: how long until its counts were there, and its timings."""

    def run() -> tuple[float, Timings]:
        circuit = custom(fresh(text), n_qubits)
        started = perf_counter()
        result = client.submit(
            circuit, target=target, shots=shots, time_limit_s=time_limit_s
        ).result(_TIMEOUT_S)
        counts = result.counts
        took = perf_counter() - started
        if sum(counts.values()) != shots:
            raise ValueError(f"the job gave {sum(counts.values())} of {shots} shots")
        return took, result.info.timings

    return run


def _of_engine(timings: Timings) -> float:
    return (timings.parsing_s or 0.0) + (timings.simulating_s or 0.0)
