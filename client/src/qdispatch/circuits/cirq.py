"""Cirq circuits.

Qubits are sorted; qubit k of the program is the k-th of them. Each
measurement is a classical register, in the order of appearance, and bit k of
it is the k-th qubit of the measurement: the first qubit of a key stands on the
right of an outcome, where Cirq's own integers have it on the left. Names that
OpenQASM does not take are replaced; `CircuitForm.clbits_of` tells the bits of
every key.

A key that is measured again gets bits of its own each time, which
`CircuitForm.repeated` tells; a condition on it looks at the latest measurement
before, as in Cirq. An inverted measurement becomes X, measurement, X.

Symbols become input variables, as far as decompositions keep them: those of
Cirq's own gates do.

The depth is the longest path in operations, whatever the moments;
sub-circuits count by their content.

Cirq's own exporter rounds angles, drops the global phase, and knows neither
symbols nor conditions on several bits, so the program is written here.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

import cirq
import sympy

from qdispatch.circuits.cirq_expressions import angle, phase_of
from qdispatch.circuits.cirq_gates import named
from qdispatch.circuits.cirq_keys import Keys
from qdispatch.circuits.cirq_parts import cannot, lost_phase, parts_of
from qdispatch.circuits.form import CircuitForm, longest_path
from qdispatch.circuits.writer import ProgramWriter
from qdispatch.errors import CircuitError


def describe(
    circuit: Any,
    *,
    parametric: bool = False,
    keep_phase: bool = False,
    leave_inverted: bool = False,
) -> CircuitForm:
    """The form of a ``Circuit`` or a ``FrozenCircuit``; see `qdispatch.circuits.describe`.

    Args:
        circuit: The circuit.
        parametric: Whether symbols become input variables.
        keep_phase: Whether the program has the global phase.
        leave_inverted: Whether inverted measurements may be left to whoever
            reads the outcomes, so that a static circuit stays one;
            ``inverted`` of the form tells their bits.

    Raises:
        CircuitError: A symbol has no value, or an operation cannot be
            carried; ``gate`` names it.
    """
    qubits = sorted(circuit.all_qubits())
    for qubit in qubits:
        if qubit.dimension != 2:
            raise CircuitError(f"'{qubit}' has {qubit.dimension} levels; only qubits can be sent")
    operations = list(flat_operations(circuit.all_operations()))
    symbols = sorted(cirq.parameter_names(circuit).union(*map(_forgotten, operations)))
    if symbols and not parametric:
        raise CircuitError(
            f"symbols without a value: {', '.join(symbols)};"
            " give them in `parameters`, or use cirq.resolve_parameters",
            gate=symbols[0],
        )
    keys = Keys(operations)
    writer = ProgramWriter(len(qubits), keys.registers, parameters=symbols, keep_phase=keep_phase)
    emitter = _Emitter(
        writer,
        keys,
        {qubit: index for index, qubit in enumerate(qubits)},
        keep_phase=keep_phase,
        leave_inverted=leave_inverted and not keys.is_read,
    )
    try:
        for operation in operations:
            emitter.add(operation)
            keys.move_past(operation)
    except RecursionError as error:
        raise CircuitError("an operation decomposes without end") from error
    qubit_of: dict[Hashable, int] = dict(emitter.qubit_of)
    return CircuitForm(
        program=writer.text(),
        program_format=writer.program_format,
        framework="cirq",
        n_qubits=len(qubits),
        depth=longest_path(map(_touched, operations)),
        qubit_of=qubit_of,
        clbits_of=keys.clbits_of(),
        repeated=keys.repeated(),
        inverted=frozenset(emitter.inverted),
        parameters=tuple(writer.inputs[symbol] for symbol in symbols),
        parameter_of={
            key: writer.inputs[name] for name in symbols for key in (name, sympy.Symbol(name))
        },
    )


def flat_operations(operations: Iterable[Any]) -> Iterator[Any]:
    """The operations, with those that hold measurements of their own taken apart."""
    for operation in operations:
        bare = operation.without_classical_controls().untagged
        if isinstance(bare, cirq.CircuitOperation):
            if bare.repeat_until is not None:
                raise cannot(operation, "repeat_until is not supported")
            if cirq.is_parameterized(bare.repetitions):
                raise cannot(operation, "its number of repetitions has no value")
            yield from flat_operations(cirq.decompose_once(operation))
        elif isinstance(bare.gate, cirq.PauliMeasurementGate):
            yield from flat_operations(cirq.decompose_once(operation))
        else:
            yield operation


def _forgotten(operation: Any) -> frozenset[str]:
    """The symbols of the one gate of which Cirq does not tell them."""
    gate = operation.without_classical_controls().gate
    while isinstance(gate, cirq.ControlledGate):
        gate = gate.sub_gate
    if not isinstance(gate, cirq.PhasedFSimGate):
        return frozenset()
    angles = (gate.theta, gate.zeta, gate.chi, gate.gamma, gate.phi)
    return frozenset().union(*map(cirq.parameter_names, angles))


def _touched(operation: Any) -> Iterator[Hashable]:
    yield from operation.qubits
    yield from cirq.measurement_key_objs(operation)
    yield from cirq.control_keys(operation)


class _Emitter:
    def __init__(
        self,
        writer: ProgramWriter,
        keys: Keys,
        qubit_of: dict[Any, int],
        *,
        keep_phase: bool,
        leave_inverted: bool,
    ) -> None:
        self.qubit_of = qubit_of
        self.inverted: set[int] = set()
        self._writer = writer
        self._keys = keys
        self._keep_phase = keep_phase
        self._leave_inverted = leave_inverted

    def add(self, operation: Any) -> None:
        """Adds one operation, decomposed as far as needed."""
        if operation.classical_controls:
            self._controlled(operation)
            return
        operation = operation.untagged
        gate = operation.gate
        if isinstance(gate, cirq.MeasurementGate):
            self._measure(operation)
        elif isinstance(gate, cirq.GlobalPhaseGate):
            self._global_phase(operation)
        elif isinstance(gate, cirq.WaitGate | cirq.IdentityGate):
            return
        elif isinstance(gate, cirq.ResetChannel):
            self._writer.reset(*self._places(operation))
        elif (found := named(gate)) is not None:
            angles = [angle(each, self._writer.inputs) for each in found.angles]
            self._writer.gate(found.name, self._places(operation), angles)
            self._phase(found.phase)
        else:
            parts = parts_of(operation)
            if self._keep_phase:
                self._phase(lost_phase(operation, parts))
            for part in parts:
                self.add(part)

    def _phase(self, value: Any) -> None:
        if self._keep_phase:
            self._writer.phase(angle(value, self._writer.inputs))

    def _global_phase(self, operation: Any) -> None:
        if not self._keep_phase:
            return
        value = phase_of(operation.gate.coefficient)
        if value is None:
            raise cannot(
                operation, "its phase has no value; bind the symbol, or write it as 1j**symbol"
            )
        self._phase(value)

    def _places(self, operation: Any) -> list[int]:
        try:
            return [self.qubit_of[qubit] for qubit in operation.qubits]
        except KeyError as error:
            raise cannot(operation, "it needs a qubit that the circuit has not") from error

    def _measure(self, operation: Any) -> None:
        if operation.gate.confusion_map:
            raise cannot(operation, "a confusion_map is noise; noise is not supported")
        clbits = self._keys.here(operation)
        inverted = operation.gate.full_invert_mask()
        if self._leave_inverted:
            self.inverted.update(itertools.compress(clbits, inverted))
            inverted = (False,) * len(clbits)
        for qubit, clbit, flip in zip(self._places(operation), clbits, inverted, strict=True):
            if flip:
                self._writer.gate("x", [qubit])
            self._writer.measure(qubit, clbit)
            if flip:
                self._writer.gate("x", [qubit])

    def _controlled(self, operation: Any) -> None:
        clbits, holds = self._keys.condition(operation)
        self._writer.choose(
            clbits,
            holds,
            lambda: self.add(operation.without_classical_controls()),
            gate=str(operation),
        )


def pauli_terms(observable: Any) -> list[tuple[list[tuple[Any, str]], complex]]:
    """An observable of Cirq as terms of (qubit, letter) pairs, each with its coefficient.

    Args:
        observable: A ``PauliString``, a ``PauliSum``, or a Pauli or identity
            operation on a qubit.

    Raises:
        TypeError: It is none of these.
    """
    if isinstance(observable, cirq.PauliString):
        strings = [observable]
    elif isinstance(observable, cirq.PauliSum):
        strings = list(observable)
    elif isinstance(getattr(observable, "gate", None), cirq.IdentityGate):
        strings = [cirq.PauliString()]
    else:
        raise TypeError
    return [
        ([(qubit, str(pauli)) for qubit, pauli in each.items()], each.coefficient)
        for each in strings
    ]
