"""Row 9: a job that is submitted again, and answered with the results of the first run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from statistics import median
from time import perf_counter
from typing import Final

from app.settings import Settings
from benchmarks.large import brickwork
from benchmarks.lines import Line, at_least
from benchmarks.measure import ratio
from benchmarks.plan import Plan
from benchmarks.programs import BELL, SHOTS, custom
from benchmarks.table import seconds
from qdispatch import Client

_TIMEOUT_S: Final = 600.0
#: A simulation of a second or more.
_QUBITS: Final = (20, 22)
_CACHE: Final = {"QDISPATCH_CACHE__MAX_BYTES": "1GiB"}


class NotAvailableError(RuntimeError):
    """This version has no result cache."""


def second_submission(plan: Plan) -> Iterator[Line]:
    """Row 9: the first run against the second submission, of a seed that is new each time."""
    if "cache" not in Settings.model_fields:
        raise NotAvailableError("this version has no result cache")
    n_qubits = plan.choose(*_QUBITS)
    circuit = custom(brickwork(n_qubits), n_qubits)
    seeds = count()
    with (
        plan.shop.installed(plan.shop.services, targets=("aer",), environment=_CACHE) as stack,
        Client(stack.address) as client,
    ):
        client.submit(custom(BELL, 2), target="aer", shots=SHOTS).result(_TIMEOUT_S)
        first: list[float] = []
        second: list[float] = []
        for _ in range(plan.runs):
            seed = next(seeds)
            first.append(_run(client, circuit, seed, answered=False))
            second.append(_run(client, circuit, seed, answered=True))
    yield Line(
        row=9,
        what=f"again, {n_qubits} qubits: faster",
        baseline="its first run",
        ratio=ratio(first, second),
        goal=at_least(10.0),
        absolute=f"first run {seconds(median(first))}, second submission {seconds(median(second))}",
    )


def _run(client: Client, circuit: object, seed: int, *, answered: bool) -> float:
    """Submission to counts in hand, in seconds.

    Raises:
        ValueError: The job was answered from the cache and should not be, or
            the other way round.
    """
    started = perf_counter()
    job = client.submit(circuit, target="aer", shots=SHOTS, seed=seed)
    counts = job.result(_TIMEOUT_S).counts
    took = perf_counter() - started
    known = bool(getattr(job.info, "cached_from", ""))
    if known is not answered or sum(counts.values()) != SHOTS:
        raise ValueError(f"job {job.id} was {'' if known else 'not '}answered from the cache")
    return took
