"""OpenQASM 3 to the neutral form.

The text is parsed with the reference parser (openqasm3), and its tree is run
as far as it can be before the simulation: declarations, constants, `for`
loops and gate definitions are gone afterwards, conditions on measured bits
are left. OpenQASM 3 Live Specification, https://openqasm.com.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tasks.budget import Budget
from tasks.circuit import (
    Branch,
    Circuit,
    Constant,
    Gate,
    Loop,
    Measure,
    Op,
    Operation,
    Reset,
    Store,
)
from tasks.formula import Formula, Input, Param, total
from tasks.lowering import (
    MAX_CLBITS,
    MAX_OPERATIONS,
    Expansion,
    checked,
    needs_number,
    neutral,
    too_many_bits,
    unsupported,
)
from tasks.openqasm3_gates import Definition, Library, Modifiers
from tasks.openqasm3_tree import IDLE, UNSUPPORTED, tree
from tasks.openqasm3_values import (
    CONSTANTS,
    Clbits,
    Evaluator,
    Qubits,
    any_of,
    at,
    fail,
    method_name,
    type_name,
)
from tasks.simulators import SimulationError

#: Bits of an `int` or `uint` variable that says no size.
_INT_BITS: Final = 32

#: Bits of all variables that are not in the results.
_MAX_HIDDEN_BITS: Final = 65_536


def read(text: str, max_qubits: int) -> Circuit:
    """Reads an OpenQASM 3 program.

    Raises:
        SimulationError: The program is wrong, or has a construct that is not
            supported, which the message names.
    """
    return Reader(max_qubits).read(tree(text))


class Reader:
    """Runs one tree.

    Args:
        max_qubits: The most qubits that may be declared.
    """

    def __init__(self, max_qubits: int) -> None:
        self._max_qubits = max_qubits
        self._n_qubits = self._n_clbits = self._n_hidden = 0
        self._scopes: list[dict[str, Any]] = [{}]
        self._budget = Budget()
        self._values = Evaluator(self._lookup, self._budget.select)
        self._library = Library(self._run_body)
        self._ops: list[Op] = []
        self._phase = 0.0
        self._open_phases: list[Formula] = []
        self._inputs: list[str] = []
        self._operands: dict[int, tuple[Any, Qubits]] = {}
        self._ended = False

    def read(self, statements: Sequence[Any]) -> Circuit:
        """The circuit of a whole program."""
        self._block(statements)
        return Circuit(
            n_qubits=self._n_qubits,
            n_clbits=self._n_clbits,
            ops=tuple(self._ops),
            global_phase=total(self._phase, self._open_phases),
            parameters=tuple(self._inputs),
        )

    def _block(self, statements: Sequence[Any]) -> None:
        step = self._budget.step
        for statement in statements:
            if self._ended:
                return
            step(statement)
            name = type(statement).__name__
            if name in IDLE:
                continue
            method: Callable[[Any], None] | None = getattr(self, method_name(name), None)
            if method is None:
                construct = UNSUPPORTED.get(name, name)
                raise unsupported(f"{at(statement)}{construct} is not supported")
            try:
                method(statement)
            except SimulationError as error:
                if str(error).startswith("line "):
                    raise
                raise SimulationError(error.kind, at(statement) + str(error)) from error

    @contextmanager
    def _scope(self, names: dict[str, Any] | None = None) -> Iterator[None]:
        self._scopes.append(names or {})
        try:
            yield
        finally:
            self._scopes.pop()

    def _collect(self, statements: Sequence[Any]) -> tuple[Op, ...]:
        """The operations of a block that may or may not run."""
        outer, self._ops = self._ops, []
        with self._scope():
            self._block(statements)
        inner, self._ops = self._ops, outer
        if self._ended:
            raise unsupported("end inside of a block is not supported")
        return tuple(inner)

    def _lookup(self, name: str) -> Any:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name.startswith("$") and name[1:].isdigit():
            return self._hardware_qubit(int(name[1:]))
        return CONSTANTS.get(name)

    def _hardware_qubit(self, index: int) -> Qubits:
        if index >= self._max_qubits:
            raise unsupported(f"qubit ${index}: this target takes at most {self._max_qubits}")
        self._n_qubits = max(self._n_qubits, index + 1)
        return Qubits((index,), is_register=False)

    def _bind(self, node: Any, name: str, value: Any) -> None:
        if name in self._scopes[-1]:
            fail(node, f"{name!r} is already defined")
        self._scopes[-1][name] = value

    # Declarations

    def _include(self, node: Any) -> None:
        if node.filename not in ("stdgates.inc", "qelib1.inc"):
            fail(node, "only stdgates.inc can be included")

    def _qubit_declaration(self, node: Any) -> None:
        size = 1 if node.size is None else self._values.integer(node.size)
        if size < 1:
            fail(node, "a register needs a positive size")
        if self._n_qubits + size > self._max_qubits:
            raise unsupported(
                f"{at(node)}the program declares more than {self._max_qubits} qubits, which is"
                " the most that this target takes"
            )
        indices = tuple(range(self._n_qubits, self._n_qubits + size))
        self._n_qubits += size
        self._bind(node, node.qubit.name, Qubits(indices, node.size is not None))

    def _classical_declaration(self, node: Any) -> None:
        kind = type(node.type).__name__
        if kind not in {"BitType", "IntType", "UintType", "BoolType"}:
            raise unsupported(f"{at(node)}a variable of {kind} is not supported")
        declared = getattr(node.type, "size", None)
        size = 1 if kind in {"BitType", "BoolType"} else _INT_BITS
        if declared is not None:
            size = self._values.integer(declared)
        if not 1 <= size <= 65_536:
            fail(node, "a size from 1 to 65536 is needed")
        visible = kind == "BitType" and len(self._scopes) == 1
        is_register = declared is not None or kind in {"IntType", "UintType"}
        bits = Clbits(self._new_bits(size, visible=visible), is_register)
        if node.init_expression is not None:
            self._assign(node, bits, node.init_expression)
        elif not visible:
            self._ops.append(Store(bits.indices, Constant(0)))
        self._bind(node, node.identifier.name, bits)

    def _new_bits(self, size: int, *, visible: bool) -> tuple[int, ...]:
        if visible:
            self._n_clbits += size
            if self._n_clbits > MAX_CLBITS:
                raise too_many_bits(self._n_clbits)
            return tuple(range(self._n_clbits - size, self._n_clbits))
        self._n_hidden += size
        if self._n_hidden > _MAX_HIDDEN_BITS:
            raise unsupported(
                f"the variables of the program take more than {_MAX_HIDDEN_BITS} bits"
            )
        return tuple(range(-self._n_hidden, size - self._n_hidden))

    def _constant_declaration(self, node: Any) -> None:
        value = self._values.value(node.init_expression)
        if isinstance(value, Formula):
            raise needs_number(f"{at(node)}constant {node.identifier.name!r}", value)
        if not isinstance(value, int | float):
            fail(node, f"constant {node.identifier.name!r} is not a number")
        if type(node.type).__name__ in {"FloatType", "AngleType"}:
            value = float(value)
        self._bind(node, node.identifier.name, value)

    def _io_declaration(self, node: Any) -> None:
        if node.io_identifier.name == "output":
            node.init_expression = None
            self._classical_declaration(node)
            return
        name, kind = node.identifier.name, type_name(node.type)
        if kind not in {"float", "angle"}:
            raise unsupported(
                f"{at(node)}an input of type {kind} is not supported; float and angle are"
            )
        if len(self._scopes) > 1 or name in CONSTANTS:
            fail(node, f"input {name!r} is not at the top level, or has the name of a constant")
        self._bind(node, name, Input(name))
        self._inputs.append(name)

    def _alias_statement(self, node: Any) -> None:
        self._bind(node, node.target.name, self._values.value(node.value))

    # Gates

    def _quantum_gate_definition(self, node: Any) -> None:
        self._library.define(node)

    def _quantum_gate(self, node: Any) -> None:
        name = node.name.name
        params = checked(name, [self._values.param(each) for each in node.arguments])
        modifiers = self._modifiers(node)
        operands, times = self._operands_of(node)
        if not modifiers and self._library.is_direct(name, len(params), len(node.qubits)):
            self._budget.add(node, times)
            for qubits in _broadcast(node, operands, times):
                gate = neutral(name, params, qubits)
                if gate is not None:
                    self._ops.append(gate)
            return
        expansion = self._library.expansion(node, name, params, modifiers)
        self._apply(node, expansion, operands, times)

    def _quantum_phase(self, node: Any) -> None:
        angle = checked("gphase", [self._values.param(node.argument)])[0]
        expansion = self._library.phase(node, angle, self._modifiers(node))
        self._apply(node, expansion, *self._operands_of(node))

    def _modifiers(self, node: Any) -> Modifiers:
        found = []
        for each in node.modifiers:
            name, argument = each.modifier.name, each.argument
            value = 1.0 if argument is None else self._values.number(argument, name)
            found.append((name, value))
        return tuple(found)

    def _apply(
        self, node: Any, expansion: Expansion, operands: Sequence[Qubits], times: int
    ) -> None:
        self._budget.add(node, max(1, len(expansion.gates)) * times)
        for qubits in _broadcast(node, operands, times):
            if isinstance(expansion.phase, Formula):
                self._open_phases.append(expansion.phase)
            else:
                self._phase += expansion.phase
            self._ops.extend(
                Gate(gate.name, tuple(qubits[local] for local in gate.qubits), gate.params)
                for gate in expansion.gates
            )

    def _run_body(self, definition: Definition, params: tuple[Param, ...]) -> Expansion:
        """Runs the body of a gate on qubits 0 to n - 1."""
        names: dict[str, Any] = dict(zip(definition.params, params, strict=True))
        for place, qubit in enumerate(definition.qubits):
            names[qubit] = Qubits((place,), is_register=False)
        # Of what is around it, a gate sees constants and inputs only.
        numbers = {k: v for k, v in self._scopes[0].items() if isinstance(v, int | float | Formula)}
        outer = self._ops, self._phase, self._open_phases, self._scopes
        self._ops, self._phase, self._open_phases, self._scopes = [], 0.0, [], [numbers, names]
        try:
            with self._budget.body():
                self._block(definition.body)
            gates = tuple(each for each in self._ops if isinstance(each, Gate))
            return Expansion(gates, total(self._phase, self._open_phases))
        finally:
            self._ops, self._phase, self._open_phases, self._scopes = outer

    def _operands_of(self, node: Any) -> tuple[list[Qubits], int]:
        """The operands of a gate, and how often it is applied to them."""
        operands = [self._qubits(each) for each in node.qubits]
        sizes = {len(each.indices) for each in operands if each.is_register}
        if len(sizes) > 1:
            fail(node, "registers of different sizes cannot be combined")
        return operands, sizes.pop() if sizes else 1

    def _qubits(self, node: Any) -> Qubits:
        # Nodes of operands are shared by all lines that write them alike, and at the top
        # level no name ever changes its meaning.
        top = len(self._scopes) == 1
        if top and (known := self._operands.get(id(node))) is not None:
            return known[1]
        value = self._values.value(node)
        if not isinstance(value, Qubits):
            fail(node, "qubits are needed here")
        if top:
            self._operands[id(node)] = (node, value)
        return value

    # Measurements and classical values

    def _quantum_measurement_statement(self, node: Any) -> None:
        if node.target is None:
            measured = self._qubits(node.measure.qubit)
            bits = Clbits(self._new_bits(len(measured.indices), visible=False), True)
        else:
            bits = self._values.value(node.target)
        self._measure(node, bits, node.measure.qubit)

    def _measure(self, node: Any, bits: Any, qubit: Any) -> None:
        qubits = self._qubits(qubit)
        if not isinstance(bits, Clbits):
            fail(node, "a measurement needs bits to go into")
        if len(qubits.indices) != len(bits.indices):
            fail(node, f"{len(qubits.indices)} qubits do not fit into {len(bits.indices)} bits")
        self._budget.add(node, len(qubits.indices))
        self._ops.extend(map(Measure, qubits.indices, bits.indices))

    def _quantum_reset(self, node: Any) -> None:
        qubits = self._qubits(node.qubits)
        self._budget.add(node, len(qubits.indices))
        self._ops.extend(map(Reset, qubits.indices))

    def _classical_assignment(self, node: Any) -> None:
        bits = self._values.value(node.lvalue)
        if not isinstance(bits, Clbits):
            fail(node, "only variables can be assigned to")
        if node.op.name == "=":
            self._assign(node, bits, node.rvalue)
            return
        symbol = node.op.name[:-1]
        if symbol not in {"+", "*", "&", "|", "^", "<<", ">>"}:
            raise unsupported(f"{at(node)}{node.op.name} is not supported")
        value = Operation(symbol, (bits.expression, self._values.expression(node.rvalue)))
        self._ops.append(Store(bits.indices, value))

    def _assign(self, node: Any, bits: Clbits, value: Any) -> None:
        if type(value).__name__ == "QuantumMeasurement":
            self._measure(node, bits, value.qubit)
        else:
            self._ops.append(Store(bits.indices, self._values.expression(value)))

    # Control flow

    def _branching_statement(self, node: Any) -> None:
        condition = self._values.value(node.condition)
        if isinstance(condition, int | float):
            with self._scope():
                self._block(node.if_block if condition else node.else_block)
            return
        then = self._collect(node.if_block)
        otherwise = self._collect(node.else_block)
        self._ops.append(Branch(self._values.expression(node.condition), then, otherwise))

    def _while_loop(self, node: Any) -> None:
        value = self._values.value(node.while_condition)
        if isinstance(value, int | float):
            if value:
                fail(node, "the condition of this loop is always true, so it never ends")
            return
        condition = self._values.expression(node.while_condition)
        self._ops.append(Loop(condition, self._collect(node.block)))

    def _for_in_loop(self, node: Any) -> None:
        numbers = self._values.value(node.set_declaration)
        if not isinstance(numbers, range | list):
            raise unsupported(f"{at(node)}for over anything but whole numbers is not supported")
        # A range may be longer than what len() can say.
        times = numbers[-1] - numbers[0] if isinstance(numbers, range) and numbers else 0
        if abs(times) > MAX_OPERATIONS * abs(getattr(numbers, "step", 1)):
            self._budget.step(node, abs(times))
        self._budget.step(node, len(numbers))
        for number in numbers:
            with self._scope({node.identifier.name: number}):
                self._block(node.block)

    def _switch_statement(self, node: Any) -> None:
        target = self._values.value(node.target)
        cases = [
            ([self._values.integer(each) for each in labels], block) for labels, block in node.cases
        ]
        if isinstance(target, int | float):
            chosen = next((block for labels, block in cases if target in labels), node.default)
            if chosen is not None:
                with self._scope():
                    self._block(chosen.statements)
            return
        value = self._values.expression(node.target)
        rest = self._collect(node.default.statements) if node.default is not None else ()
        for labels, block in reversed(cases):
            rest = (Branch(any_of(value, labels), self._collect(block.statements), rest),)
        self._ops.extend(rest)

    def _compound_statement(self, node: Any) -> None:
        with self._scope():
            self._block(node.statements)

    def _box(self, node: Any) -> None:
        with self._scope():
            self._block(node.body)

    def _end_statement(self, _node: Any) -> None:
        self._ended = True


def _broadcast(node: Any, operands: Sequence[Qubits], times: int) -> Iterator[tuple[int, ...]]:
    """The qubits of each application of a gate; registers are gone through together."""
    for place in range(times):
        qubits = tuple(
            each.indices[place] if each.is_register else each.indices[0] for each in operands
        )
        if len(set(qubits)) != len(qubits):
            fail(node, "a gate acts twice on the same qubit")
        yield qubits
