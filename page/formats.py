"""How values are written on the page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from qdispatch.model import PauliSum, PauliTerm

_SIZES: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")
# Of an observable or an outcome: longer ones lose their middle.
_SHOWN: Final = 48


def moment(value: datetime | None, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A moment in UTC, to the second."""
    return "" if value is None else value.astimezone(UTC).strftime(form)


def seconds(value: float | None) -> str:
    """A duration, in the unit that suits it."""
    if value is None:
        return ""
    # Clocks of two machines differ a little.
    value = max(value, 0.0)
    if value < 0.9995:
        return f"{value * 1000:.3g} ms" if value < 0.0995 else f"{value * 1000:.0f} ms"
    if value < 59.95:
        return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"


def size(value: int) -> str:
    """A number of bytes."""
    amount, unit = float(value), 0
    while amount >= 1023.5 and unit + 1 < len(_SIZES):
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.3g} {_SIZES[unit]}" if unit else f"{value} bytes"


def real(value: float) -> str:
    """A real number, with six digits."""
    return f"{value:.6g}"


def whole(value: int) -> str:
    """A whole number, its digits in threes."""
    return f"{value:,}"


def shortened(text: str) -> str:
    """Without its middle, if it is long."""
    half = (_SHOWN - 1) // 2
    return text if len(text) <= _SHOWN else f"{text[:half]}…{text[-half:]}"


def short_id(value: object) -> str:
    """The end of an id: ids of the same hour begin alike."""
    return f"…{str(value)[-12:]}"


def amplitude(value: complex) -> str:
    """A complex number."""
    sign = "-" if value.imag < 0 else "+"
    return f"{value.real:.4f} {sign} {abs(value.imag):.4f}i"


def observable(value: PauliSum) -> str:
    """A Pauli sum: ``0.5 XZ + Z3``; letters without numbers read the highest qubit first."""
    text = ""
    for term in value.terms:
        sign = "-" if term.coefficient < 0 else "+"
        gap = f" {sign} " if text else "-" * (sign == "-")
        factor = abs(term.coefficient)
        text += gap + ("" if factor == 1 else f"{real(factor)} ") + _letters(term)
    return text


def _letters(term: PauliTerm) -> str:
    if term.qubits is None:
        return term.paulis or "1"
    pairs = zip(term.paulis, term.qubits, strict=True)
    return " ".join(f"{letter}{qubit}" for letter, qubit in pairs) or "1"
