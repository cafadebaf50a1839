"""Jobs, batches, results and targets in a notebook.

Everything is in the style attributes, so that no style sheet is needed, and
in shades that are read on a light and on a dark background.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Final

from qdispatch.display import tables, words
from qdispatch.model import JobInfo, JobStatus, TargetInfo, TargetState
from qdispatch.updates import BatchInfo

if TYPE_CHECKING:
    from qdispatch.result import JobResult

_COLOUR: Final = {
    JobStatus.PENDING: "#b58900",
    JobStatus.RUNNING: "#2b8cbe",
    JobStatus.FINISHED: "#3a9d4a",
    JobStatus.CANCELED: "#9b59b6",
    JobStatus.FAILED: "#d9483b",
}
_STATE_COLOUR: Final = {
    TargetState.ACTIVE: "#3a9d4a",
    TargetState.PAUSED: "#b58900",
    TargetState.DRAINED: "#9b59b6",
}
# What is pending is the part of the bar that is still empty.
_IN_BAR: Final = (
    JobStatus.FINISHED,
    JobStatus.FAILED,
    JobStatus.CANCELED,
    JobStatus.RUNNING,
)
# Tables do not inherit everywhere.
_TABLE: Final = "border:0;margin:0;color:inherit;font-size:inherit;border-collapse:collapse"
_BAR: Final = "#4c8dcb"
_CELL: Final = "padding:2px 14px 2px 0;text-align:left;vertical-align:top;border:0"
_FAINT: Final = "opacity:.65"
_MONO: Final = "font-family:ui-monospace,Menlo,Consolas,monospace"


def job_html(info: JobInfo) -> str:
    """A job as a small table."""
    spec = info.spec
    shots = f"{spec.shots:,} shots" if spec.shots else "exact"
    rows = [
        ("job", _mono(info.id)),
        ("status", _badge(info.status.value, _COLOUR[info.status])),
        ("target", escape(_joined(spec.target, info.simulator_version))),
        ("circuit", escape(words.circuit(spec))),
        ("asked for", escape(_joined(", ".join(spec.result_types), shots))),
        ("submitted", escape(words.clock(info.created_at))),
    ]
    if words.has_owner(info):
        rows.append(("owner", escape(info.owner)))
    if info.method:
        rows.append(("method", escape(words.method(info))))
    if info.batch_id:
        rows.insert(1, ("batch", _mono(info.batch_id)))
    if info.cached_from:
        rows.append(("results", escape(words.origin(info))))
    if info.n_points:
        rows.append(("sweep", f"{info.points_done:,} of {info.n_points:,} points done"))
    if info.timings.simulating_s is not None:
        rows.append(("simulating", escape(words.duration(info.timings.simulating_s))))
    if info.cpu_s:
        rows.append(("processor", escape(words.duration(info.cpu_s))))
    if info.error is not None:
        rows.append(("error", escape(f"{info.error.kind}: {info.error.message}")))
    return _framed(_facts(rows))


def batch_html(batch: BatchInfo) -> str:
    """A batch with a bar of its statuses."""
    whole = max(batch.size, 1)
    pieces = "".join(
        f'<div title="{number} {status.value}" style="width:{100 * number / whole:.4g}%;'
        f'background:{_COLOUR[status]}"></div>'
        for status in _IN_BAR
        if (number := getattr(batch, status.value))
    )
    bar = (
        '<div style="display:flex;width:320px;height:10px;border-radius:5px;overflow:hidden;'
        f'background:rgba(128,128,128,.25)">{pieces}</div>'
    )
    tally = " ".join(
        _badge(f"{number:,} {status.value}", _COLOUR[status])
        for status in JobStatus
        if (number := getattr(batch, status.value))
    )
    rows = [
        ("batch", _mono(batch.id)),
        ("jobs", f"{batch.done:,} of {batch.size:,} done"),
        ("", bar),
        ("status", tally or "no jobs left"),
        ("submitted", escape(words.clock(batch.created_at))),
    ]
    return _framed(_facts(rows))


def result_html(result: JobResult) -> str:
    """All results, as histograms and tables."""
    return _framed("".join(_part(each) for each in tables.parts_of(result)))


def targets_html(targets: Sequence[TargetInfo]) -> str:
    """A row per target."""
    heads = ("target", "state", "simulator", "qubits", "workers", "waiting", "running", "results")
    rows = (
        (
            f"<b>{escape(each.name)}</b>",
            _badge(each.state.value, _STATE_COLOUR[each.state]),
            escape(each.simulator),
            f"{each.max_qubits:,}",
            f"{each.workers_online:,}",
            f"{each.queue_length:,}",
            f"{each.running:,}",
            escape(", ".join(each.result_types)),
        )
        for each in targets
    )
    return _framed(_table(heads, rows))


def _framed(body: str) -> str:
    return (
        '<div style="display:inline-block;padding:8px 12px;margin:2px 0;border-radius:6px;'
        f'border:1px solid rgba(128,128,128,.35);line-height:1.45">{body}</div>'
    )


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    lines = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;{_FAINT}">{name}</th>'
        f'<td style="{_CELL}">{value}</td></tr>'
        for name, value in rows
    )
    return f'<table style="{_TABLE}">{lines}</table>'


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th style="{_CELL};{_FAINT}">{escape(each)}</th>' for each in heads)
    lines = "".join(
        '<tr style="background:none">'
        + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row)
        + "</tr>"
        for row in rows
    )
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>'


def _part(part: tables.Part) -> str:
    title = f'<div style="font-weight:600;margin:4px 0">{escape(part.title)}</div>'
    if isinstance(part, tables.Line):
        return f'{title}<div style="{_MONO};max-width:640px">{escape(part.text)}</div>'
    rest = f'<div style="{_FAINT}">{escape(part.rest)}</div>' if part.rest else ""
    if isinstance(part, tables.Grid):
        rows = ([_mono(cell) for cell in row] for row in part.rows)
        return title + _table(part.heads, rows) + rest
    lines = ((_mono(each.label), _mono(each.value), _bar(each.share)) for each in part.bars)
    body = "".join(
        '<tr style="background:none">'
        + "".join(f'<td style="{_CELL};vertical-align:middle">{cell}</td>' for cell in line)
        + "</tr>"
        for line in lines
    )
    return f'{title}<table style="{_TABLE}">{body}</table>{rest}'


def _bar(share: float) -> str:
    width = 240 * min(max(share, 0.0), 1.0)
    return (
        '<div style="width:240px"><div style="height:12px;border-radius:2px;'
        f'width:{width:.4g}px;background:{_BAR}"></div></div>'
    )


def _badge(text: str, colour: str) -> str:
    return f'<span style="color:{colour};font-weight:600">{escape(text)}</span>'


def _mono(text: str) -> str:
    return f'<span style="{_MONO}">{escape(text)}</span>'


def _joined(*parts: str) -> str:
    return ", ".join(each for each in parts if each)
