"""What ``result --csv`` writes: one value a line."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from qdispatch.display import words
from qdispatch.model import ResultType

if TYPE_CHECKING:
    from qdispatch.result import JobResult, PointResult

_Row = tuple[str, object, object, object]


def write_csv(result: JobResult, file: TextIO) -> None:
    """Writes all results.

    The columns are ``point``, one for each parameter of a sweep, ``result``,
    ``key``, ``value`` and ``standard_error``. The key is an outcome, an
    observable, the number of a shot from 0, or a basis state.
    """
    names = list(result.parameters)
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["point", *names, "result", "key", "value", "standard_error"])
    labels = [words.observable(each) for each in result.info.spec.observables]
    for point in result:
        values = [repr(point.parameters[name]) for name in names]
        for kind in result.info.spec.result_types:
            writer.writerows([point.index, *values, *row] for row in _rows(point, kind, labels))


def _rows(point: PointResult, kind: ResultType, labels: list[str]) -> Iterator[_Row]:
    if kind is ResultType.EXPVAL:
        for label, value, error in zip(labels, point.expval, point.standard_errors, strict=True):
            yield kind.value, label, value, error
    elif kind is ResultType.VARIANCE:
        yield from _plain(kind, zip(labels, point.variance, strict=True))
    elif kind is ResultType.MEMORY:
        yield from _plain(kind, enumerate(point.memory))
    elif kind is ResultType.COUNTS:
        yield from _plain(kind, point.counts.items())
    elif kind is ResultType.QUASI:
        yield from _plain(kind, point.quasi.items())
    elif kind is ResultType.PROBABILITIES:
        values = point.probabilities
        yield from _plain(kind, zip(_states(values.n_qubits), values, strict=True))
    else:
        state = point.statevector
        for label, amplitude in zip(_states(state.n_qubits), state, strict=True):
            yield "statevector.real", label, amplitude.real, ""
            yield "statevector.imag", label, amplitude.imag, ""


def _plain(kind: ResultType, pairs: Iterable[tuple[object, object]]) -> Iterator[_Row]:
    return ((kind.value, key, value, "") for key, value in pairs)


def _states(n_qubits: int) -> Iterator[str]:
    """All basis states, the highest qubit on the left."""
    return (format(index, f"0{n_qubits}b") for index in range(1 << n_qubits))
