"""The report of a whole run: Markdown and pictures under docs/performance."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from benchmarks import plots
from benchmarks.lines import Line
from benchmarks.plan import cores
from benchmarks.results import Results, days
from benchmarks.rows import ROWS
from benchmarks.stages import STAGES, Breakdown
from benchmarks.table import number, seconds, spread, verdict

_ANALYSIS: Final = "analysis.md"
_PACKAGES: Final = (
    "celery",
    "grpcio",
    "psycopg",
    "qiskit",
    "qiskit-aer",
    "cirq-core",
    "qsimcirq",
    "pennylane",
    "pennylane-lightning",
    "stim",
)


def write(results: Results, folder: Path) -> Path:
    """Writes README.md and its pictures; what analysis.md says is taken into it.

    Args:
        results: What to write.
        folder: Where to.

    Returns:
        The file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plots.ratios(results.lines, folder / "ratios.svg")
    if results.stages is not None:
        plots.stages(results.stages, folder / "stages.svg")
    text = "\n".join(
        [
            *_introduction(results),
            *_table(results.lines),
            *_analysis(folder),
            *_stages(results.stages),
            *_rows(),
            "",
        ]
    )
    file = folder / "README.md"
    file.write_text(text)
    return file


def _introduction(results: Results) -> list[str]:
    packages = ", ".join(_versions())
    when = days(results, {line.row for line in results.lines})
    return [
        "# Performance",
        "",
        "Written by `make bench FULL=1`; `make bench` is a short form, `ROWS=1,2` takes some rows.",
        "Every figure is a ratio of two things that were measured in turns, in the same run: the"
        " median of at least five, with the least and the most. Absolute values are of one"
        " machine, on one day, for orientation.",
        "",
        f"Measured {when}: {cores()} cores ({_processor()}), Python"
        f" {platform.python_version()}, {packages}.",
        "",
    ]


def _table(lines: Iterable[Line]) -> list[str]:
    rows = [
        "## The table",
        "",
        "| # | measured | against | ratio (least to most) | goal | met | for orientation |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        figure = "-" if line.ratio is None else spread(line.ratio)
        below = " ".join((line.problem or line.absolute).split()).replace("|", "/")
        cells = (str(line.row), line.what, line.baseline, figure)
        rows.append(
            f"| {' | '.join(cells)} | {line.goal or '-'} | {verdict(line)} | {below[:300]} |"
        )
    return [*rows, "", "![The ratios against their goals](ratios.svg)", ""]


def _analysis(folder: Path) -> list[str]:
    """What a person has to say of the figures, which is kept in a file of its own."""
    file = folder / _ANALYSIS
    return [file.read_text().strip(), ""] if file.exists() else []


def _stages(known: Breakdown | None) -> list[str]:
    head = ["## Where the time of one small job goes", ""]
    if known is None:
        return [*head, "Not measured.", ""]
    total = sum(known.seconds.values())
    rows = [
        *head,
        f"Medians of {known.jobs} Bell jobs that ran one at a time, with probes in all processes."
        f" With these a round trip took {seconds(known.trip_s)}. A stage ends where the next one"
        " begins.",
        "",
        "| stage | | median | share |",
        "|---|---|---|---|",
    ]
    for stage in STAGES:
        took = known.seconds[stage.name]
        share = f"{100 * took / total:.1f} %"
        rows.append(f"| {stage.name} | {stage.what} | {number(took * 1e3)} ms | {share} |")
    return [*rows, "", "![Where the time of one small job goes](stages.svg)", ""]


def _rows() -> list[str]:
    rows = ["## What the rows are", "", "| # | measured | against | goal |", "|---|---|---|---|"]
    rows += [f"| {row.number} | {row.what} | {row.baseline} | {row.goal} |" for row in ROWS]
    return rows


def _versions() -> Iterator[str]:
    for name in _PACKAGES:
        with suppress(PackageNotFoundError):
            yield f"{name} {version(name)}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine() or os.uname().machine
