"""The jobs that one pub of an estimator comes to, and its result out of theirs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from qiskit.primitives.containers import DataBin, PubResult
from qiskit.quantum_info import SparseObservable

from qdispatch.client import Client
from qdispatch.model import JobSpec, ResultType
from qdispatch.qiskit.pairs import blocks
from qdispatch.qiskit.points import by_parameter, split
from qdispatch.qiskit.preparing import prepare
from qdispatch.result import JobResult

# So that a precision of 1 / sqrt(shots) gives these shots, whatever its last digit.
_ROUNDING: Final = 1e-9


class Plan:
    """What is to be evaluated for one pub.

    Args:
        pub: An ``EstimatorPub`` with a precision.
        name: What it is called in errors.
    """

    def __init__(self, pub: Any, name: str) -> None:
        self._pub = pub
        self._name = name
        self._shots = shots_for(pub.precision)
        self._observables, which = _distinct(pub.observables)
        shape = pub.parameter_values.shape
        points = np.arange(pub.parameter_values.size).reshape(shape)
        pairs = np.broadcast_arrays(points, which.reshape(pub.observables.shape))
        self._points, self._which = (each.ravel().tolist() for each in pairs)
        n_terms = [len(each) for each in self._observables]
        self._blocks = blocks(self._points, self._which, n_terms)
        self._n_jobs: list[int] = []

    def specs(self, client: Client, options: dict[str, Any]) -> Iterator[JobSpec]:
        """The jobs, to be submitted in this order; without seeds.

        Args:
            client: Prepares them.
            options: Of `Client.prepare`.
        """
        if not self._blocks:
            return
        whole = prepare(
            client,
            self._pub.circuit,
            self._name,
            shots=self._shots,
            result_types=(ResultType.EXPVAL,),
            observables=[SparseObservable.from_list(list(each)) for each in self._observables],
            parameters=by_parameter(self._pub),
            **options,
        )
        for block in self._blocks:
            spec = replace(
                whole, observables=tuple(whole.observables[each] for each in block.observables)
            )
            if spec.parameters:
                values = tuple(whole.parameter_values[each] for each in block.points)
                jobs = split(replace(spec, parameter_values=values), len(values))
            else:
                jobs = [spec] * len(block.points)
            self._n_jobs.append(len(jobs))
            yield from jobs

    def result(self, results: Iterator[JobResult]) -> Any:
        """The ``PubResult``.

        Args:
            results: Of all jobs, from the first of this plan on.
        """
        values: dict[tuple[int, int], tuple[float, float]] = {}
        for block, n_jobs in zip(self._blocks, self._n_jobs, strict=True):
            rows = [row for _ in range(n_jobs) for row in next(results)]
            for point, row in zip(block.points, rows, strict=True):
                pairs = zip(row.expval, row.standard_errors, strict=True)
                values.update(
                    ((point, which), pair)
                    for which, pair in zip(block.observables, pairs, strict=True)
                )
        table = [values[pair] for pair in zip(self._points, self._which, strict=True)]
        array = np.array(table, dtype=np.float64).reshape(*self._pub.shape, 2)
        data = DataBin(evs=array[..., 0], stds=array[..., 1], shape=self._pub.shape)
        metadata = {
            "target_precision": self._pub.precision,
            "shots": self._shots,
            "circuit_metadata": self._pub.circuit.metadata,
        }
        return PubResult(data, metadata=metadata)


def shots_for(precision: float) -> int:
    """How many shots give a Pauli string's value this standard error, or less; 0 for exact."""
    return 0 if precision == 0 else math.ceil(precision**-2 * (1 - _ROUNDING))


def _distinct(observables: Any) -> tuple[list[Sequence[tuple[str, float]]], Any]:
    """The observables of an array, each once, and which of them stands at each place.

    An observable is its terms: a label and a coefficient each.
    """
    flat = observables.ravel()
    numbers: dict[tuple[tuple[str, float], ...], int] = {}
    which = []
    for place in range(flat.size):
        terms = tuple((label, float(factor)) for label, factor in flat[place].items())
        which.append(numbers.setdefault(terms, len(numbers)))
    return list(numbers), np.array(which, dtype=np.int64)
