"""Moments, durations, sizes and numbers, as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from qdispatch.model import JobInfo, JobSpec, PauliSum, PauliTerm
from qdispatch.updates import Estimate

_UNITS_S: Final = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))

# How many times as late as expected the upper figure may be, to be of use.
_VAGUE: Final = 30


def duration(seconds: float) -> str:
    """A duration with its two largest units: "2 min 5 s"."""
    if seconds < 0.9995:
        return f"{max(seconds, 0) * 1000:.3g} ms"
    if seconds < 59.95:
        return f"{seconds:.3g} s"
    left, parts = round(seconds), []
    for unit, size in _UNITS_S:
        number, left = divmod(left, size)
        if number:
            parts.append(f"{number} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def age(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in its largest unit: "5 min"."""
    seconds = max((now - moment).total_seconds(), 0)
    for unit, size in _UNITS_S:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now"


def has_owner(info: JobInfo) -> bool:
    """Whether there is somebody whose job it is, and not only everybody."""
    return info.owner not in ("", "anonymous")


def clock(moment: datetime) -> str:
    """A moment by the clock of this machine."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def size(n_bytes: int) -> str:
    """An amount of memory."""
    if n_bytes < 2**30:
        return f"{n_bytes / 2**20:.0f} MiB"
    return f"{n_bytes / 2**30:.1f} GiB"


def number(value: float) -> str:
    """A number with its sign, to six digits after the point."""
    if value and not 1e-4 <= abs(value) < 1e6:
        return f"{value:+.4e}"
    return f"{value:+.6f}"


def with_error(value: float, error: float) -> str:
    """A number with its standard error, to the error's second digit."""
    if not error or not math.isfinite(error):
        return number(value)
    digits = min(max(1 - math.floor(math.log10(error)), 0), 12)
    return f"{value:+.{digits}f} \u00b1 {error:.{digits}f}"


def plain(value: float) -> str:
    """The value of a parameter, to six significant digits."""
    return f"{value:.6g}"


def shortened(text: str, width: int) -> str:
    """A text without its middle if it is too wide."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}\u2026{text[-tail:]}"


def estimate(each: Estimate, now: datetime) -> str:
    """An estimate, seen from now: "in 12 s (8 s to 20 s)"."""
    lower, expected, upper = (
        max((moment - now).total_seconds(), 0.0)
        for moment in (each.lower, each.expected, each.upper)
    )
    if expected <= 0:
        # It takes longer than most; only the upper figure still says something.
        return f"any moment, within {_rough(upper)}" if upper > 0 else "any moment"
    if upper > _VAGUE * expected + 60:
        # Of a target that has run few jobs like it, nothing but the middle is worth saying.
        return f"in {_rough(expected)}, or much later"
    return f"in {_rough(expected)} ({_rough(lower)} to {_rough(upper)})"


def _rough(seconds: float) -> str:
    """A duration that is known roughly: no more than whole seconds, if there are some."""
    if seconds >= 1:
        return duration(round(seconds))
    return f"{seconds:.1f} s" if seconds >= 0.05 else "now"


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


def circuit(spec: JobSpec) -> str:
    """How large a circuit is, and what it was written in."""
    qubits = f"{spec.n_qubits:,} qubit{'s' if spec.n_qubits != 1 else ''}"
    depth = f", depth {spec.depth:,}" if spec.depth else ""
    return f"{qubits}{depth}, {spec.program_format} ({spec.framework})"


def method(info: JobInfo) -> str:
    """How a job was simulated, and why so."""
    return f"{info.method}: {info.method_reason}" if info.method_reason else info.method


def origin(info: JobInfo) -> str:
    """Where results come from that no run of this job has made."""
    return f"from the cache: those of the equal job {info.cached_from}"


def observable(pauli_sum: PauliSum) -> str:
    """An observable as a formula: "0.5 ZZ - XI"; sparse terms as "Z0 Z3"."""
    first, *others = (_term(each) for each in pauli_sum.terms)
    text = ("-" if first[0] < 0 else "") + first[1]
    return text + "".join(f" {'-' if sign < 0 else '+'} {body}" for sign, body in others)


def _term(term: PauliTerm) -> tuple[float, str]:
    factor = abs(term.coefficient)
    letters = " ".join(_letters(term)) or "1"
    body = letters if factor == 1 else f"{factor:.6g} {letters}"
    return math.copysign(1, term.coefficient), body


def _letters(term: PauliTerm) -> Iterator[str]:
    if term.qubits is None and len(term.paulis) <= 12:
        yield term.paulis
    else:
        yield from (f"{letter}{qubit}" for qubit, letter in sorted(term.letters().items()))
