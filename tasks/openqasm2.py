"""OpenQASM 2 to the neutral form.

Qiskit's parser gives a program's statements one by one, and its loader makes a
circuit of them, which takes three times as long as the parsing, and memory beyond
all limits where programs are made for it: a condition on a wide register keeps a list
of its bits for each qubit. So statements are read here as they come.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import takewhile
from typing import Any, Final

from tasks.circuit import Bits, Branch, Circuit, Constant, Gate, Measure, Op, Operation, Reset
from tasks.formula import Param
from tasks.lowering import (
    MAX_OPERATIONS,
    Expander,
    invalid,
    lower_circuit,
    neutral,
    too_many_operations,
    unsupported,
)

_DEFINED: Final = re.compile(r"gate(?<!\wgate)\s+(\w+)")
#: PennyLane exports `gphase(angle) q[0];`, which OpenQASM 2 does not have. It
#: is read as in OpenQASM 3; which qubits it names, if any, does not matter.
#: The length is bounded so that no program makes this slow.
_PHASED_QUBITS: Final = re.compile(r"(\bgphase[ \t]*\([^;{}]{0,200}\))[ \t]*\w[^;{}()\n]*;")
#: The most gates that a program may define.
MAX_DEFINITIONS: Final = 100_000

_LINE: Final = re.compile(r"<input>:(\d+)(?:,\d+)?:\s*")

#: What a gate is made with to learn whether it keeps its parameters; some take whole ones only.
_PROBES: Final = (1.0, 2.0, 3.0, 4.0)


def read(text: str) -> Circuit:
    """Reads a program without comments.

    Args:
        text: The program. No file is opened for it.

    Raises:
        SimulationError: It breaks a rule, or has a gate that cannot be expanded, or
            the whole grows too large.
    """
    from qiskit import qasm2
    from qiskit.circuit.library import GlobalPhaseGate

    # Qiskit ignores a program's own definition of a gate that it knows under
    # that name, whatever it says; so those are taken off its list.
    defined = set(_DEFINED.findall(text))
    known = [each for each in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if each.name not in defined]
    if "gphase" not in defined:
        if "gphase" in text:
            text = _PHASED_QUBITS.sub(r"\1;", text)
        known.append(qasm2.CustomInstruction("gphase", 1, 0, GlobalPhaseGate, builtin=True))
    try:
        circuit = _read_statements(text, known)
        if circuit is not None:
            return circuit
        return lower_circuit(qasm2.loads(text, include_path=(), custom_instructions=known))
    except qasm2.QASM2ParseError as error:
        message = _LINE.sub(r"line \1: ", error.message)
        raise invalid(message) from error


def _read_statements(text: str, known: Sequence[Any]) -> Circuit | None:
    """The circuit; None where Qiskit has its parser elsewhere."""
    try:
        # What Qiskit's loader is made of, and no part of its interface.
        from qiskit._accelerate.qasm2 import CustomInstruction, OpCode, bytecode_from_string
    except ImportError:
        return None
    named = [
        CustomInstruction(each.name, each.num_params, each.num_qubits, each.builtin)
        for each in known
    ]
    reader = _Reader(OpCode, [each.constructor for each in known], {each.name for each in known})
    return reader.read(bytecode_from_string(text, [], named, (), False))


class _Reader:
    """Makes operations of the statements of one program.

    Args:
        codes: What statements there are.
        constructors: Of the gates that the parser was told of, in their order.
        names: Of these gates.
    """

    def __init__(self, codes: Any, constructors: list[Any], names: set[str]) -> None:
        from qiskit.circuit import library

        self._codes = codes
        self._gates = constructors
        # The parser numbers these two after those that it was told of.
        builtin = {"U": library.UGate, "CX": library.CXGate}
        self._gates += [gate for name, gate in builtin.items() if name not in names]
        self._plain: dict[int, str | None] = {}
        self._expander = Expander()
        self._ops: list[Any] = []
        self._phase: Param = 0.0
        self._registers: list[Bits] = []
        self._n_qubits = self._n_clbits = self._n_definitions = self._n_in_branches = 0

    def read(self, statements: Iterator[Any]) -> Circuit:
        """The circuit.

        Args:
            statements: Of the parser, one by one; also those inside of a gate's definition.
        """
        codes, ops, plain = self._codes, self._ops, self._plain
        gate, room = codes.Gate, MAX_OPERATIONS
        for statement in statements:
            code = statement.opcode
            # By how often they occur; the most of a long program is read in these lines.
            if code == gate:
                number, params, qubits = statement.operands
                if not params and (name := plain.get(number)):
                    ops.append(Gate(name, tuple(qubits)))
                else:
                    self._gate(number, params, tuple(qubits), ops)
            elif code == codes.Measure:
                ops.append(Measure(*statement.operands))
            elif code == codes.Reset:
                ops.append(Reset(*statement.operands))
            elif not self._declare(statement, statements):
                self._branch(statement)
                room = MAX_OPERATIONS - self._n_in_branches
            if len(ops) > room:
                raise too_many_operations()
        return Circuit(
            n_qubits=self._n_qubits,
            n_clbits=self._n_clbits,
            ops=tuple(ops),
            global_phase=self._phase,
        )

    def _declare(self, statement: Any, following: Iterator[Any]) -> bool:
        """Takes in what does nothing by itself; tells whether the statement is such a one."""
        codes, code = self._codes, statement.opcode
        if code == codes.DeclareQreg:
            self._n_qubits += statement.operands[1]
        elif code == codes.DeclareCreg:
            first, self._n_clbits = self._n_clbits, self._n_clbits + statement.operands[1]
            self._registers.append(Bits(tuple(range(first, self._n_clbits))))
        elif code == codes.SpecialInclude:
            self._include(statement.operands[0])
        elif code in (codes.DeclareGate, codes.DeclareOpaque):
            body = None
            if code == codes.DeclareGate:
                body = [*takewhile(lambda each: each.opcode != codes.EndDeclareGate, following)]
            name, n_qubits = statement.operands
            self._define(name, n_qubits, body)
        else:
            return bool(code == codes.Barrier)
        return True

    def _define(self, name: str, n_qubits: int, body: Sequence[Any] | None) -> None:
        from qiskit.qasm2 import parse

        self._n_definitions += 1
        if self._n_definitions > MAX_DEFINITIONS:
            raise unsupported(f"the program defines more than {MAX_DEFINITIONS:,} gates")
        if body is None:
            self._gates.append(parse._opaque_builder(name, n_qubits))
        else:
            # Qiskit's loader gives each definition a copy of this list.
            make = parse._gate_builder(name, n_qubits, self._gates, tuple(body))
            self._gates.append(make)

    def _branch(self, statement: Any) -> None:
        """Takes in a statement with a condition."""
        codes = self._codes
        *operands, register, value = statement.operands
        then: list[Op] = []
        if statement.opcode == codes.ConditionedGate:
            number, params, qubits = operands
            self._gate(number, params, tuple(qubits), then)
        elif statement.opcode == codes.ConditionedMeasure:
            then.append(Measure(*operands))
        elif statement.opcode == codes.ConditionedReset:
            then.append(Reset(*operands))
        else:
            raise invalid(f"this statement is not known: {statement}")
        self._n_in_branches += len(then)
        condition = Operation("==", (self._registers[register], Constant(int(value))))
        self._ops.append(Branch(condition, tuple(then)))

    def _include(self, numbers: Sequence[int]) -> None:
        from qiskit.qasm2.parse import QELIB1

        self._gates += [QELIB1[number] for number in numbers]

    def _gate(
        self, number: int, params: Sequence[float], qubits: tuple[int, ...], into: list[Any]
    ) -> None:
        constructor = self._gates[number]
        if number not in self._plain:
            standard = isinstance(constructor, type)
            self._plain[number] = (
                _plain_name(constructor, len(params), len(qubits)) if standard else None
            )
        name = self._plain[number]
        gate = None if name is None else neutral(name, params, qubits)
        if gate is None:
            self._expand(constructor(*params), qubits, into)
        else:
            into.append(gate)

    def _expand(self, gate: Any, qubits: tuple[int, ...], into: list[Any]) -> None:
        from qiskit.circuit import CircuitInstruction

        # The phase of a gate in a branch is global as well: branches do not interfere.
        self._phase += self._expander.lower(CircuitInstruction(gate), qubits, into)


@cache
def _plain_name(constructor: type[Any], n_params: int, n_qubits: int) -> str | None:
    """What `neutral` takes a gate by, with the parameters of the program; None if it does not."""
    from qiskit.circuit import CircuitInstruction
    from qiskit.circuit import Gate as QiskitGate

    if not issubclass(constructor, QiskitGate):
        return None
    probes = _PROBES[:n_params]
    sample = CircuitInstruction(constructor(*probes))
    if not sample.is_standard_gate() or tuple(map(float, sample.params)) != probes:
        return None
    found = neutral(sample.name, probes, tuple(range(n_qubits)))
    if found is None:
        return None
    # With parameters, the neutral form may have others in its place.
    return sample.name if probes else found.name
