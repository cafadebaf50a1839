"""Neutral operations to a circuit that stim takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from qdispatch.errors import QDispatchError
from tasks.circuit import (
    Branch,
    Circuit,
    Expression,
    Gate,
    Loop,
    Measure,
    Op,
    Operation,
    Reset,
    Store,
)
from tasks.simulators.clifford import NAMES, Cliffords
from tasks.simulators.outcomes import measured
from tasks.simulators.parities import ONE, ZERO, Parity, evaluate, of_record, parts, truth
from tasks.simulators.trajectories import clbits_of, split_terminal

_PAULIS: Final[Mapping[str, str]] = {"x": "CX", "y": "CY", "z": "CZ"}


class NotStabilizerError(QDispatchError):
    """A circuit that cannot run as a stabilizer state, and which part of it is why.

    Attributes:
        is_gate: Whether it is a gate that is not Clifford.
    """

    def __init__(self, message: str, *, is_gate: bool = False) -> None:
        super().__init__(message)
        self.is_gate = is_gate


@dataclass(frozen=True, kw_only=True)
class Correction:
    """Pauli gates under a condition that is no parity."""

    condition: Expression
    bits: Mapping[int, Parity]
    """The classical bits that the condition depends on, as they are then."""
    paulis: Sequence[tuple[int, str]]
    """Pairs of a qubit and X, Y or Z, from first to last."""


@dataclass(frozen=True, kw_only=True)
class StabilizerCircuit:
    """A circuit of Clifford gates in stim's language."""

    n_qubits: int
    n_clbits: int
    static: bool
    """Whether it is gates, then measurements."""
    segments: Sequence[str]
    """All but the measurements at the end, cut where the corrections are."""
    corrections: Sequence[Correction]
    """One less than there are segments; `tasks.simulators.feed_forward` makes them."""
    final: str
    """The measurements at the end."""
    n_records: int
    """Measurements of both."""
    bits: Mapping[int, Parity]
    """Classical bit -> its value at the end, for those that an outcome shows."""

    @property
    def body(self) -> str:
        """All but the measurements at the end, and the corrections."""
        return "\n".join(self.segments)

    @property
    def outcomes(self) -> str:
        """Body and measurements, and a detector for each classical bit, from bit 0 on."""
        detectors = (self._detector(self.bits.get(clbit, ZERO)) for clbit in range(self.n_clbits))
        return "\n".join((self.body, self.final, *detectors))

    @property
    def negated(self) -> list[int]:
        """The classical bits that are 1 where their detector says 0, and the reverse."""
        return [clbit for clbit, parity in self.bits.items() if parts(parity)[1]]

    def _detector(self, parity: Parity) -> str:
        records = (f" rec[{number - self.n_records}]" for number in parts(parity)[0])
        return "DETECTOR" + "".join(records)


def convert(circuit: Circuit, *, corrects: bool = False) -> StabilizerCircuit:
    """A circuit in stim's language.

    Args:
        circuit: What to convert.
        corrects: Whether Pauli gates may be under conditions that are no parity of
            measurements; only samples of outcomes are to be had then.

    Raises:
        NotStabilizerError: A gate is not Clifford, or not a Pauli gate but under
            a condition, or a condition is more than can be run.
    """
    static = circuit.terminal is not None
    body, terminal = (
        (tuple(circuit.gates()), circuit.terminal or {}) if static else split_terminal(circuit.ops)
    )
    writer = _Writer(corrects=corrects)
    writer.add(body)
    segments = (*writer.segments, writer.text())
    for clbit, qubit in sorted(measured(terminal, circuit.n_clbits).items()):
        writer.measure(Measure(qubit, clbit))
    return StabilizerCircuit(
        n_qubits=circuit.n_qubits,
        n_clbits=circuit.n_clbits,
        static=static,
        segments=segments,
        corrections=writer.corrections,
        final=writer.text(),
        n_records=writer.n_records,
        bits={clbit: parity for clbit, parity in writer.bits.items() if clbit >= 0},
    )


class _Writer:
    """Writes operations as text, which stim reads faster than it takes calls."""

    def __init__(self, *, corrects: bool) -> None:
        self.segments: list[str] = []
        self.corrections: list[Correction] = []
        self.n_records = 0
        self.bits: dict[int, Parity] = {}
        self._corrects = corrects
        self._cliffords = Cliffords()
        self._lines: list[str] = []

    def text(self) -> str:
        """What was written since the last call."""
        written = "\n".join(self._lines)
        self._lines.clear()
        return written

    def add(self, ops: Iterable[Op]) -> None:
        """Writes operations."""
        write = self._lines.append
        for op in ops:
            if isinstance(op, Gate):
                # The most of a long circuit, so as little as possible for each.
                name = NAMES.get(op.name)
                if name is not None:
                    write(f"{name} {' '.join(map(str, op.qubits))}")
                else:
                    for gate in self._rewritten(op):
                        write(f"{NAMES[gate.name]} {' '.join(map(str, gate.qubits))}")
            elif isinstance(op, Measure):
                self.measure(op)
            elif isinstance(op, Reset):
                self._reset(op)
            elif isinstance(op, Store):
                self._store(op, ONE)
            elif isinstance(op, Branch):
                self._branch(op)
            elif self._known(op) != ZERO:
                raise NotStabilizerError("a while loop is not run on stabilizer states")

    def measure(self, op: Measure) -> None:
        """Writes a measurement."""
        self._lines.append(f"M {op.qubit}")
        self.bits[op.clbit] = of_record(self.n_records)
        self.n_records += 1

    def _reset(self, op: Reset) -> None:
        if self._lines and self._lines[-1] == f"M {op.qubit}":
            # stim does a row of these at once, and turns its tableau once for all of them.
            self._lines[-1] = f"MR {op.qubit}"
        else:
            self._lines.append(f"R {op.qubit}")

    def _rewritten(self, gate: Gate) -> Sequence[Gate]:
        found = self._cliffords.rewrite(gate)
        if found is None:
            angles = f"({', '.join(f'{angle:g}' for angle in gate.params)})" if gate.params else ""
            raise NotStabilizerError(f"{gate.name}{angles} is not a Clifford gate", is_gate=True)
        return found

    def _holds(self, op: Branch | Loop) -> Parity | None:
        value = evaluate(op.condition, self.bits)
        return None if value is None else truth(value)

    def _known(self, op: Branch | Loop) -> Parity:
        found = self._holds(op)
        if found is None:
            raise NotStabilizerError("a condition is not one bit or a parity of bits")
        return found

    def _branch(self, op: Branch) -> None:
        condition = self._holds(op) if self._corrects else self._known(op)
        if condition is None:
            self._correct(op.then, op.condition)
            self._correct(op.otherwise, Operation("!", (op.condition,)))
            return
        if condition in (ZERO, ONE):
            self.add(op.then if condition == ONE else op.otherwise)
            return
        self._conditioned(op.then, condition)
        # What the first arm has written must not decide over the second.
        self._conditioned(op.otherwise, condition ^ ONE)

    def _conditioned(self, ops: Sequence[Op], condition: Parity) -> None:
        """Writes operations that happen where a condition holds."""
        for op in ops:
            if isinstance(op, Gate):
                for gate in self._rewritten(op):
                    self._feed_forward(gate, condition)
            elif isinstance(op, Store):
                self._store(op, condition)
            elif isinstance(op, Branch):
                inner = self._known(op)
                if inner not in (ZERO, ONE):
                    raise NotStabilizerError("a condition stands within another")
                self._conditioned(op.then if inner == ONE else op.otherwise, condition)
            else:
                raise NotStabilizerError("more than gates is under a condition")

    def _correct(self, ops: Sequence[Op], condition: Expression) -> None:
        """Leaves a gap for Pauli gates that happen where a condition holds."""
        paulis: list[tuple[int, str]] = []
        for op in ops:
            if not isinstance(op, Gate):
                raise NotStabilizerError("a condition is not one bit or a parity of bits")
            for gate in self._rewritten(op):
                if gate.name not in (*_PAULIS, "id"):
                    raise NotStabilizerError("a gate under a condition is not a Pauli gate")
                if gate.name != "id":
                    paulis.append((gate.qubits[0], NAMES[gate.name]))
        if paulis:
            read = {clbit: self.bits.get(clbit, ZERO) for clbit in clbits_of(condition)}
            self.segments.append(self.text())
            self.corrections.append(Correction(condition=condition, bits=read, paulis=paulis))

    def _feed_forward(self, gate: Gate, condition: Parity) -> None:
        if gate.name == "id":
            return
        if gate.name not in _PAULIS:
            raise NotStabilizerError("a gate under a condition is not a Pauli gate")
        (qubit,) = gate.qubits
        records, negated = parts(condition)
        if negated:
            self._lines.append(f"{NAMES[gate.name]} {qubit}")
        for number in records:
            self._lines.append(f"{_PAULIS[gate.name]} rec[{number - self.n_records}] {qubit}")

    def _store(self, op: Store, condition: Parity) -> None:
        value = evaluate(op.value, self.bits)
        if value is None:
            raise NotStabilizerError("a computed bit is not a parity of measurements")
        old = [self.bits.get(clbit, ZERO) for clbit in op.clbits]
        for place, clbit in enumerate(op.clbits):
            new = value[place] if place < len(value) else ZERO
            self.bits[clbit] = _chosen(condition, new, old[place])


def _chosen(condition: Parity, new: Parity, old: Parity) -> Parity:
    """The new value where a condition holds, else the old one."""
    if condition == ONE:
        return new
    if new == old:
        return old
    if new ^ old == ONE:
        return old ^ condition
    raise NotStabilizerError("a computed bit is not a parity of measurements")
