"""The sampler."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import cirq

from qdispatch.cirq.aside import aside
from qdispatch.cirq.observables import after_measurements, with_qubits_of, wrapped
from qdispatch.cirq.points import Points, points_of
from qdispatch.cirq.records import no_records, records_of
from qdispatch.cirq.submitter import Submitter
from qdispatch.client import Client
from qdispatch.model import ResultType


class Sampler(cirq.Sampler):  # type: ignore[misc]
    """Runs circuits of Cirq on a server.

    It stands wherever a ``cirq.Sampler`` does. Shots come in their order, with
    every measurement of a repeated key. A sweep over symbols is one job, and
    what cannot be one is a batch; a batch of circuits is one submission.

    Args:
        client: The connection; made to ``address`` if not given.
        address: Host and port of the server, as `Client` takes it.
        target: Name of a target; empty lets the server pick.
        seed: Makes the whole sequence of calls reproducible, on the same
            target and version; each job gets a seed of its own from it.
        extra: Options of the simulator: an object that JSON can carry, or its
            JSON text.
        time_limit_s: Wall time that one job may take, in seconds.
        tags: Free words to find the jobs by.
        cache: Whether results of an equal job of the past will do; such are only
            those of jobs with the same seed.
        priority: Orders one's own jobs on a target: higher first, from -10 to 10.

    Attributes:
        client: The connection.
    """

    def __init__(
        self,
        client: Client | None = None,
        *,
        address: str | None = None,
        target: str = "",
        seed: int | None = None,
        extra: Mapping[str, object] | str = "",
        time_limit_s: float | None = None,
        tags: Iterable[str] = (),
        cache: bool = True,
        priority: int = 0,
    ) -> None:
        if client is not None and address is not None:
            raise ValueError("give a client or an address, not both")
        self.client = Client(address) if client is None else client
        self._jobs = Submitter(
            self.client,
            target=target,
            seed=seed,
            extra=extra if isinstance(extra, str) else json.dumps(extra),
            time_limit_s=time_limit_s,
            tags=tuple(tags),
            cache=cache,
            priority=priority,
        )

    def run_sweep(self, program: Any, params: Any, repetitions: int = 1) -> list[Any]:
        """Samples a circuit at each point of a sweep; see ``cirq.Sampler``.

        Returns:
            A ``cirq.ResultDict`` for each point; its records are uint8 of
            shape (repetitions, times measured, qubits), the qubits in the
            order of the measurement.

        Raises:
            ValueError: There are no measurements, the repetitions are
                negative, or a symbol has no value.
            CircuitError: The circuit cannot be carried.
            QDispatchError: What `Client.submit` and `Job.result` raise.
        """
        return self.run_batch([program], [params], repetitions)[0]

    def run_batch(
        self,
        programs: Sequence[Any],
        params_list: Sequence[Any] | None = None,
        repetitions: int | Sequence[int] = 1,
    ) -> list[list[Any]]:
        """Samples many circuits in one submission; see ``cirq.Sampler``.

        Returns:
            For each circuit, what `run_sweep` gives.

        Raises:
            ValueError: As `run_sweep`, or the lists differ in length.
            CircuitError: As `run_sweep`.
            QDispatchError: As `run_sweep`.
        """
        params_list, shots = self._normalize_batch_args(programs, params_list, repetitions)
        asked = [
            _points_to_sample(*each) for each in zip(programs, params_list, shots, strict=True)
        ]
        outcomes = self._jobs.run(
            [
                spec
                for points, count in zip(asked, shots, strict=True)
                for spec in self._jobs.specs(points, ResultType.MEMORY, count)
            ]
        )
        return [
            [
                cirq.ResultDict(
                    params=resolver,
                    records=records_of(next(outcomes).memory, points.form(index))
                    if points.forms
                    else no_records(program),
                )
                for index, resolver in enumerate(points.resolvers)
            ]
            for program, points in zip(programs, asked, strict=True)
        ]

    def sample(self, program: Any, *, repetitions: int = 1, params: Any = None) -> Any:
        """Samples a circuit, by one submission, into a table; see ``cirq.Sampler``."""
        results = iter(self.run_sweep(program, params, repetitions))
        return _Played(results).sample(program, repetitions=repetitions, params=params)

    def sample_expectation_values(
        self,
        program: Any,
        observables: Any,
        *,
        num_samples: int,
        params: Any = None,
        permit_terminal_measurements: bool = False,
    ) -> list[list[float]]:
        """Estimates expectation values; see ``cirq.Sampler``.

        The server estimates them, each Pauli string with ``num_samples`` shots
        of its own.

        Returns:
            At each point of the sweep, the value of each observable.

        Raises:
            ValueError: As ``cirq.Sampler`` says, or a symbol has no value.
            CircuitError: The circuit cannot be carried.
            QDispatchError: As `run_sweep`; `InvalidJobError` if an observable
                is not real.
        """
        if num_samples <= 0:
            raise ValueError(
                f"Expectation values require at least one sample. Received: {num_samples}."
            )
        if isinstance(observables, list) and not observables:
            raise ValueError("At least one observable must be provided.")
        if not permit_terminal_measurements and program.are_any_measurements_terminal():
            raise ValueError(
                "Provided circuit has terminal measurements, which may skew expectation values. "
                "If this is intentional, set permit_terminal_measurements=True."
            )
        sums = after_measurements(program, wrapped(observables))
        points = points_of(with_qubits_of(program, wrapped(observables)), params)
        specs = self._jobs.specs(points, ResultType.EXPVAL, num_samples, sums)
        return [list(each.expval) for each in self._jobs.run(list(specs))]

    async def run_sweep_async(self, program: Any, params: Any, repetitions: int = 1) -> list[Any]:
        """As `run_sweep`; the event loop, of asyncio or of duet, goes on meanwhile."""
        return await aside(lambda: self.run_sweep(program, params, repetitions))

    async def run_batch_async(
        self,
        programs: Sequence[Any],
        params_list: Sequence[Any] | None = None,
        repetitions: int | Sequence[int] = 1,
    ) -> list[list[Any]]:
        """As `run_batch`; the event loop, of asyncio or of duet, goes on meanwhile."""
        return await aside(lambda: self.run_batch(programs, params_list, repetitions))


class _Played(cirq.Sampler):  # type: ignore[misc]
    """Gives results that are there already; Cirq makes tables of them."""

    def __init__(self, results: Iterator[Any]) -> None:
        self._results = results

    def run_sweep(self, _program: Any, params: Any, repetitions: int = 1) -> list[Any]:
        del repetitions
        return [next(self._results) for _ in cirq.to_resolvers(params)]


def _points_to_sample(program: Any, params: Any, shots: int) -> Points:
    if not program.has_measurements():
        raise ValueError("Circuit has no measurements to sample.")
    if shots < 0:
        raise ValueError(f"Number of repetitions cannot be negative. Was {shots}")
    if shots == 0:
        return Points(resolvers=tuple(cirq.to_resolvers(params)), forms=())
    return points_of(program, params)
