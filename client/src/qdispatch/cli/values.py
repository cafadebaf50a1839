"""Values of options: parameters, observables and moments, from text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from qdispatch.cli.exits import InputError
from qdispatch.model import PauliSum, PauliTerm

#: The most points that one start:stop:count may stand for; the server has its own limit.
_MOST_POINTS: Final = 1_000_000
_NUMBER: Final = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_ANGLE: Final = re.compile(
    rf"(?P<sign>[+-]?)(?:(?P<factor>{_NUMBER})\s*\*?\s*)?(?P<pi>pi|\u03c0)?(?:/(?P<under>{_NUMBER}))?"
)
_TERM: Final = re.compile(
    rf"\s*(?P<sign>[+-]?)\s*(?:(?P<factor>{_NUMBER})\s*\*?\s*)?"
    r"(?P<paulis>(?:[IXYZ]\d+[\s*]*)+|[IXYZ]+)\s*"
)
_AGO: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)")
_AGO_S: Final = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}


def parameters_of(options: Iterable[str]) -> dict[str, float | list[float]]:
    """What all ``--param NAME=VALUES`` say.

    A single value stays a number; ``a,b,c`` and ``start:stop:count`` are a
    list. With start:stop:count both ends are among the values.

    Raises:
        InputError: One is none of these, or a name comes twice.
    """
    found: dict[str, float | list[float]] = {}
    for option in options:
        name, equals, text = option.partition("=")
        name = name.strip()
        if not equals or not name:
            raise InputError(f"--param {option}: write NAME=VALUES, such as theta=0:2pi:50")
        if name in found:
            raise InputError(f"--param {name} is given twice; put all its values into one")
        found[name] = _values(option, text)
    return found


def _values(option: str, text: str) -> float | list[float]:
    if ":" in text:
        parts = text.split(":")
        if len(parts) != 3 or not parts[2].strip().isdecimal():
            raise InputError(f"--param {option}: write start:stop:count, such as 0:2pi:50")
        start, stop, count = _angle(option, parts[0]), _angle(option, parts[1]), int(parts[2])
        if not 2 <= count <= _MOST_POINTS:
            raise InputError(f"--param {option}: count must be from 2 to {_MOST_POINTS:,}")
        step = (stop - start) / (count - 1)
        return [*(start + k * step for k in range(count - 1)), stop]
    if "," in text:
        return [_angle(option, each) for each in text.split(",")]
    return _angle(option, text)


def _angle(option: str, text: str) -> float:
    """A number, a multiple of pi, or one of these divided by a number."""
    match = _ANGLE.fullmatch(text.strip())
    if match is None or not (match["factor"] or match["pi"]):
        raise InputError(
            f"--param {option}: {text.strip()!r} is not a number, such as 0.5 or 2pi/3"
        )
    value = float(match["factor"] or 1) * (math.pi if match["pi"] else 1.0)
    under = float(match["under"] or 1)
    value = value / under if under else math.inf
    if not math.isfinite(value):
        raise InputError(f"--param {option}: {text.strip()!r} is not finite")
    return -value if match["sign"] == "-" else value


def observable_of(text: str) -> PauliSum:
    """An observable: "XIZ" (the highest qubit on the left), "0.5 ZZ - 0.25 XI", "Z0 Z3".

    Raises:
        InputError: It is none of these.
    """
    terms: list[PauliTerm] = []
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None or (terms and not match["sign"]):
            raise InputError(
                f'--observable {text!r}: cannot read {text[at:]!r}; write a label such as "XIZ" '
                '(highest qubit on the left), letters with qubits ("Z0 Z3"), or a sum of them '
                'with factors ("0.5 ZZ - 0.25 XI")'
            )
        terms.append(_term(match))
        at = match.end()
    if not terms:
        raise InputError('--observable is empty; write a label such as "XIZ"')
    return PauliSum(terms=tuple(terms))


def _term(match: re.Match[str]) -> PauliTerm:
    factor = float(match["factor"] or 1) * (-1 if match["sign"] == "-" else 1)
    pairs = re.findall(r"([IXYZ])(\d+)", match["paulis"])
    if not pairs:
        return PauliTerm(paulis=match["paulis"], coefficient=factor)
    return PauliTerm(
        paulis="".join(letter for letter, _ in pairs),
        qubits=tuple(int(qubit) for _, qubit in pairs),
        coefficient=factor,
    )


def moment_of(option: str, text: str, now: datetime) -> datetime:
    """A moment: "2h" ago (s, min, h, d, w), or ISO 8601; without a zone it is local.

    Raises:
        InputError: It is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    try:
        if ago is not None:
            return now - timedelta(seconds=float(ago[1]) * _AGO_S[ago[2]])
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InputError(
            f"{option} {text!r}: write how long ago, such as 30min, 2h or 7d, or a moment such as "
            "2026-05-01 or 2026-05-01T14:30"
        ) from error
