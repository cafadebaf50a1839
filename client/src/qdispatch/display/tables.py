"""What is shown of a result, before it is known where: rows of text and numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from qdispatch.display import words
from qdispatch.model import ResultType

if TYPE_CHECKING:
    from qdispatch.result import JobResult, PointResult

#: Outcomes that one histogram shows.
MOST_OUTCOMES: Final = 16
#: Points of a sweep that a table shows.
MOST_POINTS: Final = 20
_MOST_SHOTS: Final = 64
#: Outcomes that the table of a sweep has columns for.
_MOST_COLUMNS: Final = 4


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One line of a histogram."""

    label: str
    value: str
    share: float
    """From 0 to 1: the length of the bar."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """A result that is a distribution over outcomes."""

    title: str
    bars: tuple[Bar, ...]
    rest: str = ""
    """What is not shown."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A result that is a list of values."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rest: str = ""
    """What is not shown."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A result that is one long line."""

    title: str
    text: str


Part = Histogram | Grid | Line


def parts_of(result: JobResult) -> list[Part]:
    """All that is shown of a result, in the order it was asked for."""
    if len(result) > 1:
        return [_sweep(result)]
    return [_KINDS[kind](result[0]) for kind in result.info.spec.result_types]


def most_probable(weights: Mapping[str, float], most: int) -> tuple[list[tuple[str, float]], float]:
    """The heaviest outcomes, and what all others weigh together.

    Returns:
        At most ``most`` pairs in ascending order of the outcomes, and the
        weight of the others.
    """
    if len(weights) <= most:
        return sorted(weights.items()), 0.0
    kept = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:most]
    # Summed up by itself: a difference of large sums would not be exact.
    names = {outcome for outcome, _ in kept}
    rest = sum(weight for outcome, weight in weights.items() if outcome not in names)
    return sorted(kept), rest


def basis_states(values: Iterable[float], n_qubits: int) -> dict[str, float]:
    """The probability of each basis state that has one; the highest qubit on the left."""
    return {
        format(index, f"0{n_qubits}b") if n_qubits else "": value
        for index, value in enumerate(values)
        if value > 1e-12
    }


def distribution(point: PointResult, kind: ResultType) -> dict[str, float]:
    """Outcome -> weight, of any result type that is a distribution: counts stay numbers."""
    if kind is ResultType.COUNTS:
        return dict(point.counts)
    if kind is ResultType.QUASI:
        return dict(point.quasi)
    if kind is ResultType.MEMORY:
        tally: dict[str, float] = {}
        for outcome in point.memory:
            tally[outcome] = tally.get(outcome, 0) + 1
        return tally
    if kind is ResultType.PROBABILITIES:
        return basis_states(point.probabilities, point.probabilities.n_qubits)
    state = point.statevector
    return basis_states((abs(each) ** 2 for each in state), state.n_qubits)


def label(outcome: str) -> str:
    """An outcome, short enough for a line."""
    return words.shortened(outcome, 24) or "(no bits)"


def _histogram(title: str, weights: Mapping[str, float], form: Callable[[float], str]) -> Histogram:
    shown, rest = most_probable(weights, MOST_OUTCOMES)
    # The longest bar takes the whole width: of a thousand outcomes none is large.
    top = max((abs(weight) for _, weight in shown), default=0.0) or 1.0
    return Histogram(
        title=title,
        bars=tuple(
            Bar(label=label(each), value=form(weight), share=max(weight, 0.0) / top)
            for each, weight in shown
        ),
        rest=f"{len(weights) - len(shown):,} more outcomes: {form(rest)}"
        if len(weights) > len(shown)
        else "",
    )


def _counts(point: PointResult) -> Part:
    title = f"counts of {point.spec.shots:,} shots"
    return _histogram(title, point.counts, lambda value: f"{value:,.0f}")


def _quasi(point: PointResult) -> Part:
    title = (
        f"probabilities from {point.spec.shots:,} shots" if point.spec.shots else "probabilities"
    )
    return _histogram(title, point.quasi, lambda value: f"{value:.6f}")


def _probabilities(point: PointResult) -> Part:
    weights = distribution(point, ResultType.PROBABILITIES)
    return _histogram("basis states, before measurement", weights, lambda value: f"{value:.6f}")


def _expval(point: PointResult) -> Part:
    rows = zip(point.spec.observables, point.expval, point.standard_errors, strict=True)
    return Grid(
        title="expectation values",
        heads=("observable", "value"),
        rows=tuple((words.observable(each), words.with_error(v, e)) for each, v, e in rows),
    )


def _variance(point: PointResult) -> Part:
    rows = zip(point.spec.observables, point.variance, strict=True)
    return Grid(
        title="variances",
        heads=("observable", "variance"),
        rows=tuple((words.observable(each), words.number(value)) for each, value in rows),
    )


def _memory(point: PointResult) -> Part:
    shots = point.memory
    text = " ".join(shots[:_MOST_SHOTS])
    more = f" ... {len(shots) - _MOST_SHOTS:,} more" if len(shots) > _MOST_SHOTS else ""
    return Line(title=f"single shots, {len(shots):,} in order", text=text + more)


def _statevector(point: PointResult) -> Part:
    state = point.statevector
    weights = distribution(point, ResultType.STATEVECTOR)
    shown, rest = most_probable(weights, MOST_OUTCOMES)
    amplitudes = ((each, state[int(each or "0", 2)]) for each, _ in shown)
    more = len(weights) - len(shown)
    return Grid(
        title="state before measurement",
        heads=("basis state", "amplitude", "probability"),
        rows=tuple(
            (label(each), f"{a.real:+.6f} {a.imag:+.6f}i", f"{abs(a) ** 2:.6f}")
            for each, a in amplitudes
        ),
        rest=f"{more:,} more basis states: {rest:.6f}" if more else "",
    )


_KINDS: Final[Mapping[ResultType, Callable[[PointResult], Part]]] = {
    ResultType.COUNTS: _counts,
    ResultType.QUASI: _quasi,
    ResultType.EXPVAL: _expval,
    ResultType.VARIANCE: _variance,
    ResultType.MEMORY: _memory,
    ResultType.STATEVECTOR: _statevector,
    ResultType.PROBABILITIES: _probabilities,
}


# What is shown of a sweep if it is there; else a distribution.
_SWEPT: Final = {ResultType.EXPVAL: "expectation values", ResultType.VARIANCE: "variances"}


def _sweep(result: JobResult) -> Grid:
    """A row per point: its parameters, and what is most worth seeing."""
    names, kind = tuple(result.parameters), _swept(result)
    heads, row = _columns(result, kind)
    shown = range(min(len(result), MOST_POINTS))
    more = len(result) - MOST_POINTS
    return Grid(
        title=f"sweep of {len(result):,} points: {_SWEPT.get(kind, 'probabilities')}",
        heads=("point", *names, *heads),
        rows=tuple(
            (str(k), *(words.plain(result.parameters[each][k]) for each in names), *row(result[k]))
            for k in shown
        ),
        rest=f"{more:,} more points" if more > 0 else "",
    )


def _swept(result: JobResult) -> ResultType:
    """The result type that a sweep is shown by."""
    asked = result.info.spec.result_types
    return next((kind for kind in _SWEPT if kind in asked), asked[0])


def _columns(
    result: JobResult, kind: ResultType
) -> tuple[tuple[str, ...], Callable[[PointResult], Sequence[str]]]:
    labels = [words.shortened(words.observable(each), 18) for each in result.info.spec.observables][
        :_MOST_COLUMNS
    ]
    if kind is ResultType.EXPVAL:
        return tuple(labels), lambda point: [
            words.with_error(value, error)
            for _, value, error in zip(labels, point.expval, point.standard_errors, strict=False)
        ]
    if kind is ResultType.VARIANCE:
        return tuple(labels), lambda point: [
            words.number(value) for _, value in zip(labels, point.variance, strict=False)
        ]
    outcomes = leading_outcomes(result, kind, _MOST_COLUMNS)

    def shares(point: PointResult) -> list[str]:
        weights = distribution(point, kind)
        total = sum(weights.values()) or 1.0
        return [f"{weights.get(each, 0) / total:.4f}" for each in outcomes]

    return tuple(words.shortened(each, 12) for each in outcomes), shares


def leading_outcomes(result: JobResult, kind: ResultType, most: int) -> list[str]:
    """The outcomes that are the most probable over a whole sweep, in ascending order."""
    summed: dict[str, float] = {}
    for point in result:
        for outcome, weight in distribution(point, kind).items():
            summed[outcome] = summed.get(outcome, 0.0) + weight
    return [outcome for outcome, _ in most_probable(summed, most)[0]]


def summary(result: JobResult) -> str:
    """A result on one line."""
    if len(result) > 1:
        return f"sweep of {len(result):,} points"
    point, kind = result[0], result.info.spec.result_types[0]
    if kind in (ResultType.EXPVAL, ResultType.VARIANCE):
        values = point.expval if kind is ResultType.EXPVAL else point.variance
        errors = point.standard_errors if kind is ResultType.EXPVAL else (0.0,) * len(values)
        return ", ".join(map(words.with_error, values, errors))
    weights = distribution(point, kind)
    total = sum(weights.values()) or 1.0
    heaviest = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    more = f", {len(weights) - 3:,} more" if len(weights) > 3 else ""
    return ", ".join(f"{label(each)} {weight / total:.1%}" for each, weight in heaviest) + more
