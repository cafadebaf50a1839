"""Gates of Cirq that are gates of OpenQASM, but for the global phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import cirq

from qdispatch.circuits.cirq_expressions import pi_times

_AXES: Final[Mapping[type, tuple[str, str, float]]] = {
    cirq.XPowGate: ("x", "rx", 0.5), type(cirq.X): ("x", "rx", 0.5),
    cirq.YPowGate: ("y", "ry", 0.5), type(cirq.Y): ("y", "ry", 0.5),
    cirq.ZPowGate: ("z", "p", 0.0), type(cirq.Z): ("z", "p", 0.0),
    cirq.CZPowGate: ("cz", "cp", 0.0),
    cirq.XXPowGate: ("", "rxx", 0.5), cirq.ZZPowGate: ("", "rzz", 0.5),
    cirq.MSGate: ("", "rxx", 0.5),
}  # fmt: skip
"""Gate -> its name at exponents 1 and -1, and at any other; and the phase of
that other one at exponent 1, in units of pi."""

_ROTATIONS: Final[Mapping[type, str]] = {cirq.Rx: "rx", cirq.Ry: "ry", cirq.Rz: "rz"}

_WHOLE: Final[Mapping[type, str]] = {
    cirq.HPowGate: "h", cirq.CXPowGate: "cx", cirq.SwapPowGate: "swap", cirq.CCXPowGate: "ccx",
}  # fmt: skip
"""Gates with a name at exponents 1 and -1 only."""


@dataclass(frozen=True, kw_only=True)
class Named:
    """A gate of OpenQASM."""

    name: str
    angles: tuple[Any, ...] = ()
    """In radians; numbers or expressions of sympy."""
    phase: Any = 0.0
    """What Cirq's gate has beyond it: exp(i phase)."""


def named(gate: Any) -> Named | None:
    """The gate of OpenQASM that equals this one up to its global phase, if any.

    An exponent t multiplies the phase by exp(i pi t shift); see
    ``cirq.EigenGate``.
    """
    kind = type(gate)
    if kind in _ROTATIONS:
        # The exponent alone would cost a rounding.
        rads = getattr(gate, "_rads", None)
        return Named(
            name=_ROTATIONS[kind], angles=(pi_times(gate.exponent) if rads is None else rads,)
        )
    if kind is cirq.CSwapGate:
        return Named(name="cswap")
    whole = getattr(gate, "exponent", None) in (1, -1)
    if kind in _WHOLE and whole:
        return Named(name=_WHOLE[kind], phase=_shifted(gate, 0.0))
    if kind not in _AXES:
        return None
    name, turned, half = _AXES[kind]
    if whole and name:
        return Named(name=name, phase=_shifted(gate, 0.0))
    return Named(name=turned, angles=(pi_times(gate.exponent),), phase=_shifted(gate, half))


def _shifted(gate: Any, half: float) -> Any:
    shift = half + gate.global_shift
    return pi_times(gate.exponent, shift) if shift else 0.0
