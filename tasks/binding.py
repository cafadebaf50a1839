"""Circuits with inputs, bound to the values of one point after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tasks.circuit import Branch, Circuit, Gate, Loop, Op
from tasks.formula import Floats, Formula, Param, evaluate, parts
from tasks.lowering import invalid

#: How many numbers are computed at once, over all points and formulas.
_AT_ONCE: Final = 2**20


class Sweep:
    """A circuit at many points.

    Its formulas are found once. A point then takes as much work as there are
    gates with formulas, and a copy of the lists that they stand in.

    Args:
        circuit: With inputs, or without.
        names: All of its inputs, in the order of the columns of `points`.
        points: Of each point, the value of each input.

    Raises:
        SimulationError: PROGRAM_INVALID: a parameter of a gate is not a
            finite number at some point; the message names both.
    """

    def __init__(
        self, circuit: Circuit, names: Sequence[str], points: Sequence[Sequence[float]]
    ) -> None:
        self.circuit = circuit
        self._names = names
        self._points = np.asarray(points, dtype=np.float64).reshape(len(points), len(names))
        self._columns: dict[Formula, int] = {}
        self._gates: list[str] = []
        self._body = self._block(circuit.ops)
        self._phase = self._column(circuit.global_phase, "gphase")
        formulas = list(self._columns)
        n_parts = sum(1 for _ in parts(formulas))
        self._rows_at_once = max(1, _AT_ONCE // max(1, n_parts))
        self._check()

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Circuit]:
        """The bound circuit of each point."""
        return map(self.bound, self.rows())

    @property
    def n_columns(self) -> int:
        """How many different formulas the circuit holds."""
        return len(self._columns)

    def rows(self) -> Iterator[list[float]]:
        """Of each point, the value of each formula."""
        for table in self._tables():
            yield from table.tolist()

    def bound(self, row: Sequence[Any]) -> Circuit:
        """The circuit with values in place of its formulas.

        Args:
            row: One for each formula, such as `rows` gives them.
        """
        return self.circuit.bound(_fill(self._body, row), self.phase(row))

    def phase(self, row: Sequence[Any]) -> Any:
        """The circuit's global phase with values in place of its formulas; see `bound`."""
        return self.circuit.global_phase if self._phase is None else row[self._phase]

    def _block(self, ops: tuple[Op, ...]) -> _Block:
        open_gates: list[_OpenGate] = []
        inner: list[_Inner] = []
        for place, op in enumerate(ops):
            if isinstance(op, Gate):
                if any(isinstance(each, Formula) for each in op.params):
                    columns = tuple(self._column(each, op.name) for each in op.params)
                    open_gates.append(_OpenGate(place, op, columns))
            elif isinstance(op, Branch):
                inner.append(_Inner(place, op, self._block(op.then), self._block(op.otherwise)))
            elif isinstance(op, Loop):
                inner.append(_Inner(place, op, self._block(op.body)))
        return _Block(ops, tuple(open_gates), tuple(each for each in inner if each.is_open))

    def _column(self, param: Param, gate: str) -> int | None:
        if not isinstance(param, Formula):
            return None
        if param not in self._columns:
            self._columns[param] = len(self._columns)
            self._gates.append(gate)
        return self._columns[param]

    def _tables(self) -> Iterator[Floats]:
        """Some points' values at a time: float64 of shape (points, formulas)."""
        formulas = list(self._columns)
        for start in range(0, len(self._points), self._rows_at_once):
            some = self._points[start : start + self._rows_at_once]
            inputs = {name: some[:, place] for place, name in enumerate(self._names)}
            table = np.empty((len(some), len(formulas)))
            for place, column in enumerate(evaluate(formulas, inputs)):
                table[:, place] = column
            yield table

    def _check(self) -> None:
        for number, table in enumerate(self._tables()):
            wrong = np.argwhere(~np.isfinite(table))
            if len(wrong):
                row, column = wrong[0]
                raise invalid(
                    f"point {number * self._rows_at_once + row}: a parameter of gate"
                    f" {self._gates[column]} is not a finite number"
                )


@dataclass(frozen=True, slots=True)
class _OpenGate:
    """A gate with formulas."""

    place: int
    gate: Gate
    columns: tuple[int | None, ...]
    """Where to find the value of each parameter; None if it has one already."""


@dataclass(frozen=True, slots=True)
class _Inner:
    """A branch or a loop, with what is in it."""

    place: int
    op: Branch | Loop
    body: _Block
    otherwise: _Block | None = None

    @property
    def is_open(self) -> bool:
        """Whether there are gates with formulas in it."""
        return any(each.open_gates or each.inner for each in (self.body, self.otherwise) if each)


@dataclass(frozen=True, slots=True)
class _Block:
    """A list of operations, and which of them have to be replaced."""

    ops: tuple[Op, ...]
    open_gates: tuple[_OpenGate, ...]
    inner: tuple[_Inner, ...]


def _fill(block: _Block, row: Sequence[Any]) -> tuple[Op, ...]:
    if not block.open_gates and not block.inner:
        return block.ops
    ops = list(block.ops)
    for each in block.open_gates:
        gate = each.gate
        params = tuple(
            param if column is None else row[column]
            for param, column in zip(gate.params, each.columns, strict=True)
        )
        ops[each.place] = Gate(gate.name, gate.qubits, params)
    for inner in block.inner:
        op = inner.op
        if isinstance(op, Loop):
            ops[inner.place] = Loop(op.condition, _fill(inner.body, row))
        else:
            otherwise = op.otherwise if inner.otherwise is None else _fill(inner.otherwise, row)
            ops[inner.place] = Branch(op.condition, _fill(inner.body, row), otherwise)
    return tuple(ops)
