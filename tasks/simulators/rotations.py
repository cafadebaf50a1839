"""Rotations about y and z that follow each other on a qubit, as one gate.

Variational circuits are full of them: `ry` and `rz` on every qubit, layer by layer.
Where a state is small, what a gate costs is hardly its arithmetic, and one gate
takes little more than half of what two take. Their angles may still be open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.circuit import Gate
from tasks.formula import Param


@dataclass(frozen=True, slots=True)
class _Open:
    """The last gates on a qubit: first rz(before), then ry(theta), then rz(after)."""

    place: int
    before: Param | None = None
    theta: Param | None = None
    after: Param | None = None

    def joined(self, qubit: int) -> Gate:
        """U(theta, phi, lambda) is rz(phi) ry(theta) rz(lambda), but for a global phase."""
        angles = (self.theta, self.after, self.before)
        return Gate("u", (qubit,), tuple(0.0 if each is None else each for each in angles))


def joined(gates: Iterable[Gate]) -> tuple[Gate, ...]:
    """The gates, with as few as there can be for rotations about y and z.

    Args:
        gates: In their order; angles may be anything that stands for one.

    Returns:
        Gates that do the same, but for a global phase. One that is alone stays as it is.
    """
    found: list[Gate] = []
    last: dict[int, _Open] = {}
    for gate in gates:
        known = last.pop(gate.qubits[0], None) if gate.name in ("ry", "rz") else None
        following = None if known is None else _following(known, gate)
        if following is not None:
            # What came in between is on other qubits.
            found[following.place] = following.joined(gate.qubits[0])
            last[gate.qubits[0]] = following
            continue
        for qubit in gate.qubits:
            last.pop(qubit, None)
        if gate.name == "ry":
            last[gate.qubits[0]] = _Open(len(found), theta=gate.params[0])
        elif gate.name == "rz":
            last[gate.qubits[0]] = _Open(len(found), before=gate.params[0])
        found.append(gate)
    return tuple(found)


def _following(known: _Open, gate: Gate) -> _Open | None:
    """What is open with one more rotation; None if it has to be a gate of its own."""
    if gate.name == "ry" and known.theta is None:
        return replace(known, theta=gate.params[0])
    if gate.name == "rz" and known.theta is not None and known.after is None:
        return replace(known, after=gate.params[0])
    return None
