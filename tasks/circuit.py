"""The neutral form of a circuit: what the parser makes and every simulator takes.

Qubits and classical bits are plain indices, in the order of their
declaration. Negative classical bits hold a program's integer variables: they
take part in conditions and in no outcome. A list of operations is run from
first to last.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from tasks.formula import Param

#: Name -> (number of parameters, number of qubits) of every gate that a
#: circuit may hold. All other gates are expanded by the parser. Matrices are
#: those of OpenQASM 3's stdgates.inc and OpenQASM 2's qelib1.inc; controls
#: come first. `u` is U(theta, phi, lambda) with the phase of `p(lambda)` at
#: theta = phi = 0, `cu` has the control's phase gamma as its fourth parameter.
GATES: Final[Mapping[str, tuple[int, int]]] = {
    "id": (0, 1), "x": (0, 1), "y": (0, 1), "z": (0, 1), "h": (0, 1),
    "s": (0, 1), "sdg": (0, 1), "t": (0, 1), "tdg": (0, 1), "sx": (0, 1), "sxdg": (0, 1),
    "rx": (1, 1), "ry": (1, 1), "rz": (1, 1), "p": (1, 1), "u": (3, 1),
    "cx": (0, 2), "cy": (0, 2), "cz": (0, 2), "ch": (0, 2), "csx": (0, 2), "swap": (0, 2),
    "crx": (1, 2), "cry": (1, 2), "crz": (1, 2), "cp": (1, 2), "cu": (4, 2),
    "rxx": (1, 2), "ryy": (1, 2), "rzz": (1, 2),
    "ccx": (0, 3), "ccz": (0, 3), "cswap": (0, 3),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gate:
    """A unitary out of `GATES`."""

    name: str
    qubits: tuple[int, ...]
    params: tuple[Param, ...] = ()
    """Numbers in what a simulator is given; formulas only before it is bound."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A measurement in the computational basis."""

    qubit: int
    clbit: int


@dataclass(frozen=True, slots=True)
class Reset:
    """Puts a qubit into state 0."""

    qubit: int


@dataclass(frozen=True, slots=True)
class Store:
    """Writes the lowest bits of a value into classical bits; the first takes the lowest."""

    clbits: tuple[int, ...]
    value: Expression


@dataclass(frozen=True, slots=True)
class Bits:
    """The unsigned value of some classical bits; the first is the lowest."""

    clbits: tuple[int, ...]

    def value(self, bits: Mapping[int, int]) -> int:
        """The value, with bits that were never written at 0."""
        return sum(bits.get(clbit, 0) << place for place, clbit in enumerate(self.clbits))


@dataclass(frozen=True, slots=True)
class Constant:
    """An unsigned number."""

    number: int

    def value(self, _bits: Mapping[int, int]) -> int:
        """The number."""
        return self.number


#: Numbers are unsigned and of this many bits; what is beyond is lost, so that
#: no program can make a number without end.
_BITS: Final = 4096


def _shift_left(number: int, places: int) -> int:
    return (number << places) % (1 << _BITS) if places < _BITS else 0


#: What an `Operation` may compute. Logical ones give 0 or 1.
OPERATORS: Final[Mapping[str, Callable[..., int]]] = {
    "==": lambda a, b: int(a == b), "!=": lambda a, b: int(a != b),
    "<": lambda a, b: int(a < b), "<=": lambda a, b: int(a <= b),
    ">": lambda a, b: int(a > b), ">=": lambda a, b: int(a >= b),
    "&&": lambda a, b: int(bool(a) and bool(b)), "||": lambda a, b: int(bool(a) or bool(b)),
    "!": lambda a: int(not a),
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "+": lambda a, b: (a + b) % (1 << _BITS), "*": lambda a, b: a * b % (1 << _BITS),
    "<<": _shift_left, ">>": operator.rshift,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator out of `OPERATORS` on one or two expressions."""

    operator: str
    operands: tuple[Expression, ...]

    def value(self, bits: Mapping[int, int]) -> int:
        """The value under these classical bits."""
        return OPERATORS[self.operator](*(each.value(bits) for each in self.operands))


Expression: TypeAlias = Bits | Constant | Operation


@dataclass(frozen=True, slots=True)
class Branch:
    """Runs one of two lists of operations, by a classical condition."""

    condition: Expression
    then: tuple[Op, ...]
    otherwise: tuple[Op, ...] = ()


@dataclass(frozen=True, slots=True)
class Loop:
    """Runs its body as long as a classical condition holds."""

    condition: Expression
    body: tuple[Op, ...]


Op: TypeAlias = Gate | Measure | Reset | Store | Branch | Loop


@dataclass(frozen=True, kw_only=True)
class Circuit:
    """A parsed program.

    Attributes:
        n_qubits: Declared qubits.
        n_clbits: Declared classical bits; an outcome has this many.
        ops: What happens, in order. Barriers are dropped.
        global_phase: In radians.
        parameters: The inputs that the program declares, in order. A
            simulator is given bound circuits only, which have none.
    """

    n_qubits: int
    n_clbits: int
    ops: tuple[Op, ...]
    global_phase: Param = 0.0
    parameters: tuple[str, ...] = ()
    terminal: Mapping[int, int] | None = field(init=False, default=None)
    """Classical bit -> qubit measured into it at the end, if the circuit is
    static: gates, then measurements that nothing comes after. None if it is
    dynamic: with a reset, a condition, or a measured qubit that is used again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terminal", _terminal_measurements(self.ops))

    def bound(self, ops: tuple[Op, ...], global_phase: Param) -> Circuit:
        """The same circuit with numbers in place of its formulas.

        Which measurements are terminal does not depend on them, so it is not
        worked out again.
        """
        made = copy(self)
        for name, value in (("ops", ops), ("global_phase", global_phase), ("parameters", ())):
            object.__setattr__(made, name, value)
        return made

    def gates(self) -> Iterator[Gate]:
        """All gates of a static circuit, in order."""
        return (op for op in self.ops if isinstance(op, Gate))


def _terminal_measurements(ops: tuple[Op, ...]) -> dict[int, int] | None:
    measured: dict[int, int] = {}
    done: set[int] = set()
    for op in ops:
        if isinstance(op, Gate):
            if not done.isdisjoint(op.qubits):
                return None
        elif isinstance(op, Measure):
            measured[op.clbit] = op.qubit
            done.add(op.qubit)
        else:
            return None
    return measured
