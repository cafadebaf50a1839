"""What is shown of a job's results: histograms, tables, and curves of a sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from page.charts import MOST_LINES, Chart, Histogram, chart, histogram
from page.formats import amplitude, observable, real, whole
from page.reading import Detail
from qdispatch.model import Result, ResultType

_MOST_ROWS: Final = 64


@dataclass(frozen=True, kw_only=True)
class Bars:
    """Outcomes with bars."""

    title: str
    note: str
    histogram: Histogram
    columns: tuple[str, ...]
    """Headings of what stands beside a bar."""
    rows: tuple[tuple[str, ...], ...]
    """What stands beside each bar."""
    left_out: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Numbers in rows."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: str


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A value over the points of a sweep."""

    title: str
    chart: Chart


def of_point(detail: Detail, point: int) -> list[Bars | Table]:
    """What one point of a sweep gave, or a job without one."""
    return [
        _SHOW[result.type](result, detail) for result in detail.results if result.point == point
    ]


def curves(detail: Detail) -> list[Curve]:
    """How the results of a sweep go from point to point."""
    if not detail.points:
        return []
    parameters = detail.job.spec.parameters
    if len(parameters) == 1:
        label, places = parameters[0], [values[0] for values in detail.points]
    else:
        label, places = "point", [float(at) for at in range(len(detail.points))]
    found: list[Curve] = []
    for kind in detail.job.spec.result_types:
        results = sorted((each for each in detail.results if each.type is kind), key=_point)
        names, lines = _lines(kind, results, detail)
        xs = [places[each.point] for each in results]
        drawn = chart(label, xs, lines, n_left_out=len(names) - len(lines))
        if drawn is not None:
            found.append(Curve(title=_CURVES[kind], chart=drawn))
    return found


def _point(result: Result) -> int:
    return result.point


# -- curves

_CURVES: Final[Mapping[ResultType, str]] = {
    ResultType.EXPVAL: "Expectation values",
    ResultType.VARIANCE: "Variances",
    ResultType.COUNTS: "Part of the shots with a bit at 1",
    ResultType.QUASI: "Probability of a bit at 1",
}


def _lines(
    kind: ResultType, results: Sequence[Result], detail: Detail
) -> tuple[Sequence[str], Sequence[tuple[str, Sequence[float]]]]:
    """The names of all lines, and those lines that are drawn."""
    if not results or kind not in _CURVES:
        return (), ()
    if kind in (ResultType.EXPVAL, ResultType.VARIANCE):
        names = [observable(each) for each in detail.job.spec.observables]
        values = [each.expval or each.variance or () for each in results]
        shown = range(min(len(names), MOST_LINES, *map(len, values)))
        return names, [(names[at], [each[at] for each in values]) for at in shown]
    names = [f"bit {bit}" for bit in range(results[0].n_bits)]
    shown = range(min(len(names), MOST_LINES))
    return names, [(names[bit], [_ones(each, bit) for each in results]) for bit in shown]


def _ones(result: Result, bit: int) -> float:
    outcomes: Mapping[str, float] = result.counts or result.quasi or {}
    # The bit with the highest index is on the left.
    ones = sum(value for outcome, value in outcomes.items() if outcome[-1 - bit] == "1")
    return ones / sum(result.counts.values()) if result.counts else ones


# -- one point


def _counts(result: Result, _: Detail) -> Bars:
    counts = result.counts or {}
    shots = sum(counts.values())
    bars = histogram(counts.items())
    return Bars(
        title="Counts",
        note=f"{whole(shots)} shots, {whole(len(counts))} outcomes; highest bit on the left",
        histogram=bars,
        columns=("Shots", "Part"),
        rows=tuple(
            (whole(int(bar.value)), f"{bar.value / shots:.2%}" if shots else "")
            for bar in bars.bars
        ),
        left_out=_left_out(bars, f"{whole(round(bars.sum_left_out))} shots"),
    )


def _quasi(result: Result, detail: Detail) -> Bars:
    quasi = result.quasi or {}
    bars = histogram(quasi.items())
    kind = "of the shots" if detail.job.spec.shots else "exact"
    return Bars(
        title="Quasi-probabilities",
        note=f"{kind}, {whole(len(quasi))} outcomes; highest bit on the left",
        histogram=bars,
        columns=("Probability",),
        rows=tuple((f"{bar.value:.6f}",) for bar in bars.bars),
        left_out=_left_out(bars, f"a probability of {real(bars.sum_left_out)}"),
    )


def _probabilities(result: Result, _: Detail) -> Bars:
    values = result.probabilities or ()
    n_qubits = max(len(values).bit_length() - 1, 0)
    bars = histogram(
        (_basis(at, n_qubits), value) for at, value in enumerate(values) if value > 1e-12
    )
    return Bars(
        title="Probabilities",
        note=f"before the final measurements, {n_qubits} qubits; qubit 0 on the right",
        histogram=bars,
        columns=("Probability",),
        rows=tuple((f"{bar.value:.6f}",) for bar in bars.bars),
        left_out=_left_out(bars, f"a probability of {real(bars.sum_left_out)}"),
    )


def _statevector(result: Result, _: Detail) -> Bars:
    state = result.statevector or ()
    n_qubits = max(len(state).bit_length() - 1, 0)
    weights = ((_basis(at, n_qubits), abs(each) ** 2) for at, each in enumerate(state))
    bars = histogram(pair for pair in weights if pair[1] > 1e-12)
    return Bars(
        title="State vector",
        note=f"before the final measurements, {n_qubits} qubits; qubit 0 on the right",
        histogram=bars,
        columns=("Probability", "Amplitude"),
        rows=tuple(
            (f"{bar.value:.6f}", amplitude(state[int(bar.label or "0", 2)])) for bar in bars.bars
        ),
        left_out=_left_out(bars, f"a probability of {real(bars.sum_left_out)}"),
    )


def _basis(at: int, n_qubits: int) -> str:
    return format(at, f"0{n_qubits}b") if n_qubits else ""


def _left_out(bars: Histogram, amount: str) -> str:
    if not bars.n_left_out:
        return ""
    return f"These are the largest. {whole(bars.n_left_out)} others have {amount} together."


def _expval(result: Result, detail: Detail) -> Table:
    values = result.expval or ()
    errors = result.standard_errors or (0.0,) * len(values)
    return _table(
        "Expectation values",
        "with their standard errors" if detail.job.spec.shots else "exact",
        ("Observable", "Value", "Standard error"),
        detail,
        [(real(value), real(error)) for value, error in zip(values, errors, strict=False)],
    )


def _variance(result: Result, detail: Detail) -> Table:
    values = result.variance or ()
    columns = ("Observable", "Variance")
    return _table("Variances", "", columns, detail, [(real(value),) for value in values])


def _table(
    title: str,
    note: str,
    columns: tuple[str, ...],
    detail: Detail,
    numbers: Sequence[tuple[str, ...]],
) -> Table:
    names = map(observable, detail.job.spec.observables)
    rows = [(name, *each) for name, each in islice(zip(names, numbers, strict=False), _MOST_ROWS)]
    more = len(numbers) - len(rows)
    return Table(
        title=title,
        note=note,
        columns=columns,
        rows=tuple(rows),
        left_out=f"{whole(more)} more are not shown." if more else "",
    )


def _memory(result: Result, _: Detail) -> Table:
    memory = result.memory if result.memory is not None else ()
    more = len(memory) - _MOST_ROWS
    return Table(
        title="Memory",
        note=f"{whole(len(memory))} shots in their order; highest bit on the left",
        columns=("Shot", "Outcome"),
        rows=tuple((str(at), each) for at, each in enumerate(islice(memory, _MOST_ROWS))),
        left_out=f"{whole(more)} more are not shown." if more > 0 else "",
    )


_SHOW: Final[Mapping[ResultType, Callable[[Result, Detail], Bars | Table]]] = {
    ResultType.COUNTS: _counts,
    ResultType.QUASI: _quasi,
    ResultType.EXPVAL: _expval,
    ResultType.MEMORY: _memory,
    ResultType.STATEVECTOR: _statevector,
    ResultType.PROBABILITIES: _probabilities,
    ResultType.VARIANCE: _variance,
}
