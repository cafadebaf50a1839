"""Pictures of a report: ratios and stages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.lines import Bound, Line
from benchmarks.stages import STAGES, Breakdown

_GOOD: Final = "#2a7f62"
_BAD: Final = "#b5462f"
_PLAIN: Final = "#5b6b7a"
_TICKS: Final = tuple(digit * 10**power for power in range(-3, 4) for digit in (1, 2, 5))
_BAR_HEIGHT: Final = 0.28


def ratios(lines: Sequence[Line], file: Path) -> None:
    """Each ratio on a logarithmic axis, with its spread and its goal.

    Args:
        lines: Of the table; those without a ratio are left out.
        file: An SVG.
    """
    shown = [line for line in lines if line.ratio is not None]
    figure, axes = _axes(len(shown))
    for place, line in enumerate(shown):
        if line.ratio is None:
            continue
        color = {True: _GOOD, False: _BAD, None: _PLAIN}[line.met]
        axes.plot([line.ratio.low, line.ratio.high], [place, place], color=color, linewidth=1.5)
        axes.plot(line.ratio.median, place, "o", color=color, markersize=7)
        if line.goal is not None:
            # It points to the good side.
            marker = {Bound.AT_MOST: "<", Bound.AT_LEAST: ">"}[line.goal.bound]
            axes.plot(line.goal.value, place, marker, color="black", markersize=5)
    axes.axvline(1.0, color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    least, most = axes.get_xlim()
    ticks = [tick for tick in _TICKS if least <= tick <= most]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    names = [f"{line.row}  {line.what}" for line in shown]
    axes.set_yticks(range(len(shown)), names, fontsize=8)
    axes.grid(axis="y", color="#e6e6e6")
    axes.set_xlabel("ratio to the baseline: median, least to most; the arrow is the goal")
    _save(figure, axes, file)


def stages(known: Breakdown, file: Path) -> None:
    """A bar for each stage, from where it begins to where it ends.

    Args:
        known: What each stage took.
        file: An SVG.
    """
    figure, axes = _axes(len(STAGES))
    total = sum(known.seconds.values())
    at = 0.0
    for place, stage in enumerate(STAGES):
        took = known.seconds[stage.name]
        axes.barh(place, took * 1e3, left=at * 1e3, color=_GOOD, height=0.7)
        axes.text((at + took) * 1e3, place, f" {100 * took / total:.0f} %", va="center", fontsize=8)
        at += took
    axes.set_yticks(range(len(STAGES)), [stage.name for stage in STAGES], fontsize=8)
    axes.set_xlabel("ms since the submission; medians")
    axes.set_xlim(0, total * 1e3 * 1.08)
    _save(figure, axes, file)


def _axes(bars: int) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    # The same picture gives the same file.
    mpl.rcParams["svg.hashsalt"] = "qdispatch"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 1 + _BAR_HEIGHT * max(bars, 3)), layout="constrained")
    return figure, axes


def _save(figure: Any, axes: Any, file: Path) -> None:
    from matplotlib import pyplot as plt

    axes.invert_yaxis()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
