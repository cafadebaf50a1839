"""The rows of the table: what is measured, against what, and which code does it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Final

from benchmarks.lines import Line
from benchmarks.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row."""

    number: int
    what: str
    """What is measured."""
    baseline: str
    """What it is held against, in the same run."""
    goal: str
    """In words."""
    code: str
    """MODULE:FUNCTION, imported when it is needed."""
    alone: bool = False
    """Whether nothing else may run: else it shares an installation with other rows."""

    def measure(self, plan: Plan) -> Iterator[Line]:
        """Measures it, line by line."""
        module, _, name = self.code.partition(":")
        function: Callable[[Plan], Iterator[Line]]
        function = getattr(import_module(f"benchmarks.{module}"), name)
        return function(plan)


ROWS: Final = (
    Row(
        number=1,
        what="round trip of one Bell job",
        baseline="bare Celery: apply_async().get() of the same circuit on Aer",
        goal="median at most 2.0x, p99 at most 3x",
        code="round_trip:against_celery",
    ),
    Row(
        number=2,
        what="throughput: Bell jobs one by one, from 8 clients, on 2 processes",
        baseline="bare Celery, the same task",
        goal="at least 0.7x",
        code="throughput:one_by_one",
    ),
    Row(
        number=3,
        what="throughput of the same jobs as one batch",
        baseline="bare Celery, the same task",
        goal="at least 1.5x",
        code="throughput:as_batch",
    ),
    Row(
        number=4,
        what="a sweep of a 10-qubit variational circuit with expval, one job",
        baseline="Aer, called once with as many bindings",
        goal="at most 1.2x",
        code="sweep:one_job",
    ),
    Row(
        number=5,
        what="the same points as jobs of their own",
        baseline="the sweep job",
        goal="reported",
        code="sweep:many_jobs",
    ),
    Row(
        number=6,
        what="one large circuit per target: QFT, random, quantum volume; counts",
        baseline="the fastest direct call of that SDK, same threads",
        goal="at most 1.05x from 1 s on; below, the overhead in ms",
        code="circuits:against_direct_calls",
    ),
    Row(
        number=7,
        what="large circuits on the Cirq and PennyLane targets",
        baseline="cirq.Simulator(), default.qubit",
        goal="at least 5x faster on random and quantum volume",
        code="circuits:against_first_tries",
    ),
    Row(
        number=8,
        what="Clifford circuits of 500 qubits; wide shallow ones of 60",
        baseline="stim; Aer's matrix_product_state",
        goal="at most 1.5x plus the round trip of row 1",
        code="clifford:against_stim",
    ),
    Row(
        number=9,
        what="a second submission of an identical job",
        baseline="its first run",
        goal="at least 10x faster",
        code="cached:second_submission",
    ),
    Row(
        number=10,
        what="calls per second of one server process",
        baseline="an empty method of the same server",
        goal="GetJob at least 0.5x, CreateJob at least 0.25x",
        code="server:calls_per_second",
        alone=True,
    ),
    Row(
        number=11,
        what="submit, get and list at a long history",
        baseline="at 1,000 jobs",
        goal="at most 1.2x",
        code="history:growth",
        alone=True,
    ),
    Row(
        number=12,
        what="memory of an idle worker, of each target",
        baseline="a bare process with the same imports",
        goal="at most 1.2x",
        code="memory:idle",
        alone=True,
    ),
    Row(
        number=13,
        what="the embedded default: round trip and throughput",
        baseline="the full stack",
        goal="round trip at most 2x, throughput at least 0.5x",
        code="embedded:against_full_stack",
    ),
    Row(
        number=14,
        what="start: `app up` until it is ready, embedded",
        baseline="importing the slowest SDK",
        goal="at most 1.5x",
        code="startup:until_ready",
        alone=True,
    ),
    Row(
        number=15,
        what="scale-out: 1, 2, 4, ... workers with a simulator that only waits",
        baseline="1 worker, times their number",
        goal="at least 0.9 of linear",
        code="scale:out",
        alone=True,
    ),
    Row(
        number=16,
        what="Qunicorn's published design point",
        baseline="113 ms per Bell job, 14 jobs/s, as published",
        goal="far beyond both",
        code="design_point:against_qunicorn",
        alone=True,
    ),
    Row(
        number=17,
        what="round trip of one Bell job with a token and TLS",
        baseline="the same with neither",
        goal="at most 1.15x",
        code="guarded:against_open_server",
    ),
    Row(
        number=18,
        what="one owner's job while 5,000 of another are queued: its wait for a slot",
        baseline="what the job then takes",
        goal="at most 2x, of jobs of 50 ms or more",
        code="guarded:one_behind_many",
    ),
)


def chosen(text: str) -> tuple[Row, ...]:
    """The rows that a list such as "1,2,10" names; all if it is empty.

    Raises:
        ValueError: It names one that there is not.
    """
    if not text.strip():
        return ROWS
    by_number = {str(row.number): row for row in ROWS}
    words = [word.strip() for word in text.split(",") if word.strip()]
    unknown = [word for word in words if word not in by_number]
    if unknown:
        raise ValueError(f"no row {', '.join(unknown)}: they are 1 to {len(ROWS)}")
    return tuple(row for row in ROWS if str(row.number) in words)
