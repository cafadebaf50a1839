"""Rows 4 and 5: many points of a variational circuit, as one job and as many."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median
from time import perf_counter
from typing import Any, Final

from app.settings import load_settings
from benchmarks.lines import Line, at_most
from benchmarks.measure import in_turns, ratio
from benchmarks.plan import Plan
from benchmarks.process import Helper, helper
from benchmarks.table import seconds
from benchmarks.variational import angles, ansatz
from qdispatch import Client

_TIMEOUT_S: Final = 600.0
# Sums of a thousand energies in double precision agree far better than this.
_TOLERANCE: Final = 1e-6

_numbers = count(1)


def one_job(plan: Plan) -> Iterator[Line]:
    """Row 4: one sweep job, from its submission to its results in hand."""
    points = plan.choose(250, 1000)
    threads = load_settings().targets["aer"].threads
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    log = plan.shop.log("direct")
    with (
        Client(plan.shop.full_stack().address) as client,
        helper(["benchmarks.baselines.direct_sweep"], log, environment) as direct,
    ):
        ways = direct.ask(threads=threads)
        fastest = min(ways, key=lambda way: _direct(direct, way, points)[0])
        _, expected = _direct(direct, fastest, points)
        run = sweep_job(client, points)
        if not math.isclose(run()[1], expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE):
            raise ValueError("the sweep job's values are not those of Aer")
        samples = in_turns(
            {
                "direct": lambda: _direct(direct, fastest, points)[0],
                "ours": lambda: run()[0],
            },
            plan.runs,
        )
    yield Line(
        row=4,
        what=f"{points} points, one job",
        baseline="Aer, one run",
        ratio=ratio(samples["ours"], samples["direct"]),
        goal=at_most(1.2),
        absolute=f"sweep job {seconds(median(samples['ours']))}, Aer"
        f" {seconds(median(samples['direct']))} ({fastest}), {threads} thread",
    )


def many_jobs(plan: Plan) -> Iterator[Line]:
    """Row 5: the same points as jobs of their own, in a batch, against the sweep job."""
    points = plan.choose(50, 1000)
    with Client(plan.shop.full_stack().address) as client:
        run = sweep_job(client, points)
        every = _jobs(client, points)
        samples = in_turns({"sweep": lambda: run()[0], "jobs": every}, plan.runs)
    yield Line(
        row=5,
        what=f"{points} points, a job each",
        baseline="the sweep job",
        ratio=ratio(samples["jobs"], samples["sweep"]),
        absolute=f"{points} jobs {seconds(median(samples['jobs']))}, sweep job"
        f" {seconds(median(samples['sweep']))}",
    )


def sweep_job(client: Client, points: int) -> Callable[[], tuple[float, float]]:
    """Submits the sweep; returns how long until the values were there, and their sum."""
    known = ansatz()
    table = angles(points)
    parameters = {
        parameter: table[:, place].tolist() for place, parameter in enumerate(known.parameters)
    }

    def run() -> tuple[float, float]:
        circuit = _fresh(known.circuit)
        started = perf_counter()
        result = client.submit(
            circuit,
            target="aer",
            shots=0,
            observables=[list(known.labels)],
            parameters=parameters,
        ).result(_TIMEOUT_S)
        values = [point.expval[0] for point in result]
        return perf_counter() - started, sum(values)

    return run


def _jobs(client: Client, points: int) -> Callable[[], float]:
    known = ansatz()
    bound = [
        known.circuit.assign_parameters(dict(zip(known.parameters, values, strict=True)))
        for values in angles(points).tolist()
    ]

    def run() -> float:
        circuits = [_fresh(each) for each in bound]
        started = perf_counter()
        batch = client.submit_batch(
            circuits, target="aer", shots=0, observables=[list(known.labels)]
        )
        batch.results(_TIMEOUT_S)
        return perf_counter() - started

    return run


def _fresh(circuit: Any) -> Any:
    """The same circuit, of which nobody has seen the text before: its global phase is new."""
    copied = circuit.copy()
    copied.global_phase = 1e-6 * next(_numbers)
    return copied


def _direct(direct: Helper, way: str, points: int) -> tuple[float, float]:
    took, total = direct.ask(way=way, points=points)
    return float(took), float(total)
