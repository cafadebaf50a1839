"""Pictures of results, by matplotlib (the extra ``plot``).

A picture goes into the Axes that it is given. Without any it goes into a
figure of its own: one of pyplot's if the program uses pyplot, so that
``plt.show()`` and notebooks show it, else one that belongs to nobody.
Nothing is shown, and no setting of matplotlib is changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from qdispatch.display import tables, words
from qdispatch.errors import QDispatchError
from qdispatch.model import JobSpec, ResultType

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from qdispatch.result import JobResult, PointResult

MOST_OUTCOMES: Final = 32
"""Outcomes that one histogram shows; what the others come to is one more bar."""
MOST_CURVES: Final = 8
"""Outcomes that have a curve of their own over a sweep."""

_BLUE: Final = "#4269d0"
_GREY: Final = "#9aa0a6"
# Told apart by the colour-blind as well; they repeat after eight.
_CURVES: Final = (
    "#4269d0",
    "#efb118",
    "#e15759",
    "#3ca951",
    "#a463f2",
    "#38b2c8",
    "#9c6b4e",
    "#f28cb1",
)
_DISTRIBUTIONS: Final = (
    ResultType.COUNTS,
    ResultType.QUASI,
    ResultType.PROBABILITIES,
    ResultType.MEMORY,
    ResultType.STATEVECTOR,
)


def plot_result(
    result: JobResult, *, kind: ResultType | str | None = None, ax: Axes | None = None
) -> Axes:
    """Draws the results of a job.

    Args:
        result: Of one point, or of a sweep.
        kind: Which result type; the first one that the job was asked for if
            not given.
        ax: Where to draw.

    Returns:
        The Axes: bars for one point; for a sweep, curves over the parameter
        that varies, or over the points if several do.

    Raises:
        QDispatchError: matplotlib is not installed, or the job was not asked
            for this result type.
    """
    wanted = _kind(result.info.spec, kind)
    if len(result) == 1:
        return plot_point(result[0], kind=wanted, ax=ax)
    axes = _axes(ax)
    x, name = _abscissa(result)
    if wanted in _DISTRIBUTIONS:
        _probability_curves(axes, x, result, wanted)
    else:
        _value_curves(axes, x, result, wanted)
    axes.set_xlabel(name)
    axes.set_title(_title(result.info.spec), fontsize="medium")
    if wanted in _DISTRIBUTIONS or len(result.info.spec.observables) > 1:
        axes.legend(frameon=False, fontsize="small")
    return axes


def plot_point(
    point: PointResult,
    *,
    kind: ResultType | str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the results of one point, as bars; see `plot_result`."""
    wanted = _kind(point.spec, kind)
    axes = _axes(ax)
    if wanted in _DISTRIBUTIONS:
        weights = tables.distribution(point, wanted)
        label = "shots" if wanted in (ResultType.COUNTS, ResultType.MEMORY) else "probability"
        _histogram(axes, weights, label)
    else:
        values, errors = _values(point, wanted)
        _value_bars(axes, point.spec, values, errors, str(wanted))
    axes.set_title(_title(point.spec), fontsize="medium")
    return axes


def save(
    result: JobResult, path: str, *, kind: ResultType | str | None = None, dpi: int = 150
) -> None:
    """Draws the results of a job into a file; its ending says which format.

    Raises:
        QDispatchError: See `plot_result`; or there is no such format, or the
            file cannot be written.
    """
    figure: Any = plot_result(result, kind=kind).figure
    try:
        figure.savefig(path, dpi=dpi)
    except (OSError, ValueError) as error:
        raise QDispatchError(f"the picture cannot be written to {path}: {error}") from error


def _kind(spec: JobSpec, given: ResultType | str | None) -> ResultType:
    asked = spec.result_types
    if given is None:
        return asked[0]
    if given not in tuple(asked):
        raise QDispatchError(f"the job was not asked for {given}, only for {', '.join(asked)}")
    return ResultType(given)


def _axes(given: Axes | None) -> Axes:
    if given is not None:
        return given
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise QDispatchError(
            "pictures need matplotlib: pip install 'qdispatch[plot]' (or matplotlib itself)"
        ) from error
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    make: Callable[..., Any] = Figure if pyplot is None else pyplot.figure
    axes: Axes = make(figsize=(7.0, 4.2), layout="constrained").add_subplot()
    return axes


def _title(spec: JobSpec) -> str:
    shots = f"{spec.shots:,} shots" if spec.shots else "exact"
    return f"{spec.target}, {spec.n_qubits} qubit{'s' if spec.n_qubits != 1 else ''}, {shots}"


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.set_axisbelow(True)


def _histogram(axes: Axes, weights: Mapping[str, float], ylabel: str) -> None:
    shown, rest = tables.most_probable(weights, MOST_OUTCOMES)
    labels = [tables.label(each) for each, _ in shown]
    heights = [weight for _, weight in shown]
    colours = [_BLUE] * len(shown)
    if len(weights) > len(shown):
        labels.append(f"{len(weights) - len(shown):,} others")
        heights.append(rest)
        colours.append(_GREY)
    places = range(len(labels))
    bars = axes.bar(places, heights, color=colours, width=0.8)
    wide = max(map(len, labels), default=0) * len(labels) > 60
    axes.set_xticks(
        list(places),
        labels,
        rotation=90 if wide else 0,
        family="monospace",
        fontsize="small" if len(labels) > 16 else "medium",
    )
    axes.set_xlim(-0.6, max(len(labels), 2) - 0.4)
    form = "{:,.0f}" if ylabel == "shots" else "{:.4g}"
    top = max((weight for _, weight in shown), default=0.0)
    if len(labels) <= 8:
        axes.bar_label(bars, fmt=form, padding=2, fontsize="small")
        axes.margins(y=0.1)
    elif rest > 1.5 * top:
        # It would make all others look alike: it is cut off, and says how long it is.
        axes.set_ylim(0, 1.3 * top)
        axes.text(
            len(labels) - 1.6,
            1.28 * top,
            f"{form.format(rest)} \u2191",
            ha="right",
            va="top",
            color="#6b7177",
        )
    axes.set_ylabel(ylabel)
    axes.set_xlabel("outcome, highest bit on the left")
    _plain(axes)


def _values(point: PointResult, kind: ResultType) -> tuple[Sequence[float], Sequence[float]]:
    if kind is ResultType.EXPVAL:
        return point.expval, point.standard_errors
    return point.variance, (0.0,) * len(point.variance)


def _observables(spec: JobSpec) -> list[str]:
    return [words.shortened(words.observable(each), 24) for each in spec.observables]


def _value_bars(
    axes: Axes, spec: JobSpec, values: Sequence[float], errors: Sequence[float], ylabel: str
) -> None:
    places = range(len(values))
    axes.bar(places, values, color=_BLUE, width=0.6)
    sampled = [k for k in places if errors[k]]
    axes.errorbar(
        sampled,
        [values[k] for k in sampled],
        yerr=[errors[k] for k in sampled],
        fmt="none",
        capsize=4,
        ecolor="#555555",
    )
    labels = _observables(spec)
    wide = sum(map(len, labels)) > 60
    axes.set_xticks(list(places), labels, rotation=90 if wide else 0)
    axes.set_xlim(-0.6, max(len(values), 2) - 0.4)
    axes.axhline(0, color="#777777", linewidth=0.8)
    axes.set_ylabel("expectation value" if ylabel == "expval" else ylabel)
    axes.set_xlabel("observable")
    _plain(axes)


def _abscissa(result: JobResult) -> tuple[Sequence[float], str]:
    """The one parameter that varies, or the points."""
    varying = [name for name, values in result.parameters.items() if len(set(values)) > 1]
    if len(varying) == 1:
        return result.parameters[varying[0]], varying[0]
    return range(len(result)), "point"


def _value_curves(axes: Axes, x: Sequence[float], result: JobResult, kind: ResultType) -> None:
    points = [_values(point, kind) for point in result]
    for index, label in enumerate(_observables(result.info.spec)):
        values = [value[index] for value, _ in points]
        errors = [error[index] for _, error in points]
        _curve(axes, x, values, errors, label=label, index=index)
    axes.set_ylabel("expectation value" if kind is ResultType.EXPVAL else "variance")
    if len(result.info.spec.observables) == 1:
        axes.set_ylabel(f"{axes.get_ylabel()} of {_observables(result.info.spec)[0]}")
    _plain(axes)


def _probability_curves(
    axes: Axes, x: Sequence[float], result: JobResult, kind: ResultType
) -> None:
    points = [tables.distribution(point, kind) for point in result]
    totals = [sum(each.values()) or 1.0 for each in points]
    sampled = kind in (ResultType.COUNTS, ResultType.MEMORY)
    for index, outcome in enumerate(tables.leading_outcomes(result, kind, MOST_CURVES)):
        shares = [p.get(outcome, 0.0) / total for p, total in zip(points, totals, strict=True)]
        # The standard error of a share of independent shots.
        errors = [
            (max(share * (1 - share), 0.0) / total) ** 0.5 if sampled else 0.0
            for share, total in zip(shares, totals, strict=True)
        ]
        _curve(axes, x, shares, errors, label=tables.label(outcome), index=index)
    axes.set_ylabel("probability")
    _plain(axes)


def _curve(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    errors: Sequence[float],
    *,
    label: str,
    index: int,
) -> None:
    colour = _CURVES[index % len(_CURVES)]
    # So many that they touch are read as a line.
    few = len(x) <= 60
    axes.errorbar(
        list(x),
        list(y),
        yerr=list(errors) if any(errors) else None,
        label=label,
        color=colour,
        marker="o" if few else ".",
        markersize=4 if few else 3,
        linewidth=1.2,
        elinewidth=0.8,
        capsize=2 if few else 0,
        ecolor=colour,
    )
