"""Qiskit gates and OpenQASM 2 circuits, lowered to the neutral form."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from qdispatch.model import ErrorKind
from tasks.circuit import (
    GATES,
    Bits,
    Branch,
    Circuit,
    Constant,
    Expression,
    Gate,
    Measure,
    Op,
    Operation,
    Reset,
)
from tasks.formula import Formula, Param
from tasks.simulators import SimulationError

#: What one program may grow to when its gates are expanded and its loops
#: unrolled. A neutral gate takes about 200 bytes, so this is about 400 MB.
MAX_OPERATIONS: Final = 2_000_000

#: What the definitions of a program's gates may come to on the way, each counted once
#: for each set of parameters that it is used with. Twice the above, since of gates
#: that double, the largest is as large as all others.
MAX_EXPANDED: Final = 2 * MAX_OPERATIONS

#: Classical bits that a program may declare; each outcome is a string this long.
MAX_CLBITS: Final = 65_536

#: The longest message that a parser's complaint is cut to, in characters.
MAX_MESSAGE: Final = 500

#: Other names of gates that the neutral form has.
ALIASES: Final = {"u1": "p", "u3": "u", "U": "u", "cu1": "cp", "CX": "cx", "phase": "p"}

#: Do nothing to an ideal state.
_IDLE: Final = frozenset({"barrier", "delay", "u0", "id"})


@dataclass(frozen=True, slots=True)
class Expansion:
    """What a gate comes down to, on qubits 0 to n - 1 of its own."""

    gates: tuple[Gate, ...]
    phase: Param


def invalid(message: str) -> SimulationError:
    """An error in the program itself."""
    one_line = " ".join(message.split())
    return SimulationError(ErrorKind.PROGRAM_INVALID, one_line[:MAX_MESSAGE])


def unsupported(message: str) -> SimulationError:
    """A valid construct that no target runs."""
    return SimulationError(ErrorKind.UNSUPPORTED, message[:MAX_MESSAGE])


def too_many_operations() -> SimulationError:
    """An error of a program that grows beyond `MAX_OPERATIONS`."""
    return unsupported(f"the program has more than {MAX_OPERATIONS:,} operations")


def too_many_bits(number: int) -> SimulationError:
    """An error of a program that declares more than `MAX_CLBITS`."""
    return unsupported(
        f"the program declares {number} classical bits; at most {MAX_CLBITS} are kept"
    )


def too_large_gates(where: str = "") -> SimulationError:
    """An error of gates whose definitions grow beyond `MAX_EXPANDED`."""
    return unsupported(
        f"{where}the definitions of the program's gates come to more than"
        f" {MAX_EXPANDED:,} operations"
    )


def needs_number(what: str, formula: Formula) -> SimulationError:
    """An error where a formula cannot stand."""
    return unsupported(f"{what} needs a number, and {formula.names()[0]} is an input")


def neutral(name: str, params: Sequence[Param], qubits: tuple[int, ...]) -> Gate | None:
    """The neutral gate of that standard name, or None if it has to be expanded.

    Raises:
        SimulationError: A parameter is not a finite number.
    """
    name = ALIASES.get(name, name)
    if name == "u2":
        name, params = "u", (math.pi / 2, *params)
    elif name == "cu3":
        name, params = "cu", (*params, 0.0)
    if name not in GATES:
        return None
    if not params:
        return Gate(name, qubits)
    return Gate(name, qubits, checked(name, params))


def checked(name: str, params: Sequence[Any]) -> tuple[Param, ...]:
    """The parameters as finite numbers, or as formulas."""
    try:
        numbers = tuple(map(float, params))
    except TypeError as error:
        if any(isinstance(each, Formula) for each in params):
            return tuple(
                each if isinstance(each, Formula) else checked(name, [each])[0] for each in params
            )
        raise invalid(f"a parameter of gate {name} is not a number: {error}") from error
    if not all(map(math.isfinite, numbers)):
        raise invalid(f"a parameter of gate {name} is not a finite number")
    return numbers


class Expander:
    """Expands Qiskit's gates into neutral ones, each distinct gate once.

    Args:
        number: Makes a parameter of what Qiskit has as one.
    """

    def __init__(self, number: Callable[[Any], Param] = float) -> None:
        self._number = number
        self._expansions: dict[object, Expansion] = {}
        self._sizes: dict[object, int] = {}
        self._expanded = 0

    def expand(self, gate: Any) -> Expansion:
        """The expansion of a gate without a neutral form.

        Raises:
            SimulationError: It is opaque, or too large; its name is given.
        """
        if self.size(gate) > MAX_OPERATIONS:
            raise unsupported(
                f"gate {gate.name} expands to {self.size(gate):,} operations;"
                f" at most {MAX_OPERATIONS:,} are run"
            )
        key = _key(gate)
        if key is None:
            return self._expand(gate)
        found = self._expansions.get(key)
        if found is None:
            found = self._expansions[key] = self._expand(gate)
        return found

    def size(self, gate: Any) -> int:
        """How many neutral gates a gate comes down to, without expanding it."""
        kind = (type(gate), gate.name, gate.num_qubits)
        known = self._sizes.get(kind)
        if known is None:
            definition = _definition(gate)
            known = sum(map(self.instruction_size, definition.data))
            if type(gate).__name__ != "UnitaryGate":
                self._sizes[kind] = known
        return known

    def instruction_size(self, instruction: Any) -> int:
        """As `size`, of a gate in its place in a circuit."""
        return 1 if _is_neutral(instruction) else self.size(instruction.operation)

    def _expand(self, gate: Any) -> Expansion:
        definition = _definition(gate)
        index = {bit: place for place, bit in enumerate(definition.qubits)}
        gates: list[Gate] = []
        phase = self._number(definition.global_phase)
        for each in definition.data:
            phase += self.lower(each, tuple(index[bit] for bit in each.qubits), gates)
        self._expanded += len(gates)
        if self._expanded > MAX_EXPANDED:
            raise too_large_gates()
        return Expansion(tuple(gates), phase)

    def lower(self, instruction: Any, qubits: tuple[int, ...], into: list[Gate]) -> Param:
        """Appends what an instruction comes down to; returns its global phase."""
        if instruction.is_standard_gate():
            params = instruction.params
            if self._number is not float:
                params = [self._number(each) for each in params]
            gate = neutral(instruction.name, params, qubits)
            if gate is not None:
                into.append(gate)
                return 0.0
        elif instruction.name in _IDLE and not _is_defined(instruction.operation):
            return 0.0
        expansion = self.expand(instruction.operation)
        into.extend(
            Gate(gate.name, tuple(qubits[local] for local in gate.qubits), gate.params)
            for gate in expansion.gates
        )
        return expansion.phase


def _is_neutral(instruction: Any) -> bool:
    name = instruction.name
    if not instruction.is_standard_gate():
        return name in _IDLE and not _is_defined(instruction.operation)
    return ALIASES.get(name, name) in GATES or name in {"u2", "cu3"}


def _is_defined(operation: Any) -> bool:
    """Whether a program has given this gate its meaning."""
    return type(operation).__name__ == "_DefinedGate"


def _key(gate: Any) -> object:
    try:
        params = tuple(map(float, gate.params))
    except (TypeError, ValueError):
        return None
    return (type(gate), gate.name, gate.num_qubits, params)


def _definition(gate: Any) -> Any:
    definition = getattr(gate, "definition", None)
    if definition is None:
        raise unsupported(f"gate {gate.name} is opaque: it has no definition to run")
    return definition


def lower_circuit(source: Any) -> Circuit:
    """Lowers a Qiskit circuit that was read from OpenQASM 2.

    Args:
        source: Gates, measurements, resets, barriers and `if (creg == n)`.

    Raises:
        SimulationError: A gate cannot be expanded, or the whole grows too large.
    """
    return _CircuitLowering(source).lower()


class _CircuitLowering:
    def __init__(self, source: Any) -> None:
        self._source = source
        self._qubits = {bit: place for place, bit in enumerate(source.qubits)}
        self._clbits = {bit: place for place, bit in enumerate(source.clbits)}
        self._expander = Expander()
        self._phase: Param = float(source.global_phase)
        self._in_branches = 0

    def lower(self) -> Circuit:
        ops = self._block(self._source.data, self._qubits, self._clbits)
        return Circuit(
            n_qubits=self._source.num_qubits,
            n_clbits=self._source.num_clbits,
            ops=ops,
            global_phase=self._phase,
        )

    def _block(self, data: Any, qubits: dict[Any, int], clbits: dict[Any, int]) -> tuple[Op, ...]:
        ops: list[Any] = []
        lower = self._expander.lower
        for instruction in data:
            name = instruction.name
            where = tuple([qubits[bit] for bit in instruction.qubits])
            if name == "measure":
                ops.append(Measure(where[0], clbits[instruction.clbits[0]]))
            elif name == "reset":
                ops.append(Reset(where[0]))
            elif name == "if_else":
                ops.append(self._branch(instruction, where, clbits))
            else:
                # The phase of a gate in a branch is global as well: branches do not interfere.
                self._phase += lower(instruction, where, ops)
            if len(ops) + self._in_branches > MAX_OPERATIONS:
                raise too_many_operations()
        return tuple(ops)

    def _branch(self, instruction: Any, where: tuple[int, ...], clbits: dict[Any, int]) -> Branch:
        operation = instruction.operation
        bits, wanted = operation.condition
        places = tuple(clbits[bit] for bit in _bits(bits))
        condition: Expression = Operation("==", (Bits(places), Constant(int(wanted))))
        block = operation.blocks[0]
        inner_qubits = dict(zip(block.qubits, where, strict=True))
        outer = [clbits[bit] for bit in instruction.clbits]
        then = self._block(block.data, inner_qubits, dict(zip(block.clbits, outer, strict=True)))
        self._in_branches += len(then)
        return Branch(condition, then)


def _bits(register_or_bit: Any) -> list[Any]:
    # Qiskit's registers are sequences, its bits are not.
    return list(register_or_bit) if hasattr(register_or_bit, "size") else [register_or_bit]


def drop_idle_resets(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """Without resets of qubits that nothing has touched: they are in state 0 already.

    Programs often begin with a reset; without it they stay static.
    """
    # Qubits with a reset that nothing has touched yet; then the rest is as it is.
    idle = {op.qubit for op in ops if type(op) is Reset}
    kept: list[Op] = []
    for place, op in enumerate(ops):
        if not idle:
            return (*kept, *ops[place:])
        if isinstance(op, Gate):
            idle.difference_update(op.qubits)
        elif isinstance(op, Measure):
            idle.discard(op.qubit)
        elif not isinstance(op, Reset):
            return (*kept, *ops[place:])
        elif op.qubit in idle:
            continue
        kept.append(op)
    return tuple(kept)
