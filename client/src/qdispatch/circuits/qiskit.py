"""Qiskit circuits.

Qubit and classical bit k of the program are ``circuit.qubits[k]`` and
``circuit.clbits[k]``, so that outcomes read as Qiskit prints them, without
the spaces between registers. A register whose bits already stand in another
one gets no declaration of its own; conditions on it are taken apart.

Qiskit's own exporters round angles near fractions of pi, so the program is
written here. Gates are told by their class, never by their name. Parameters
without a value become inputs of the program, in the order of
``circuit.parameters``.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import qiskit.circuit.library as lib
from qiskit.circuit import (
    AnnotatedOperation,
    Barrier,
    ControlModifier,
    Delay,
    InverseModifier,
    Measure,
    PowerModifier,
    QuantumCircuit,
    Reset,
)

from qdispatch.circuits import qiskit_control
from qdispatch.circuits.form import CircuitForm
from qdispatch.circuits.qiskit_angles import angle
from qdispatch.circuits.writer import Angle, ProgramWriter
from qdispatch.errors import CircuitError

_GATES: Final[Mapping[type, str]] = {
    lib.IGate: "id", lib.XGate: "x", lib.YGate: "y", lib.ZGate: "z", lib.HGate: "h",
    lib.SGate: "s", lib.SdgGate: "sdg", lib.TGate: "t", lib.TdgGate: "tdg",
    lib.SXGate: "sx", lib.SXdgGate: "sxdg",
    lib.RXGate: "rx", lib.RYGate: "ry", lib.RZGate: "rz", lib.PhaseGate: "p", lib.U1Gate: "p",
    lib.UGate: "U", lib.U3Gate: "U",
    lib.CXGate: "cx", lib.CYGate: "cy", lib.CZGate: "cz", lib.CHGate: "ch", lib.CSXGate: "csx",
    lib.CRXGate: "crx", lib.CRYGate: "cry", lib.CRZGate: "crz",
    lib.CPhaseGate: "cp", lib.CU1Gate: "cp", lib.CUGate: "cu",
    lib.SwapGate: "swap", lib.RXXGate: "rxx", lib.RZZGate: "rzz",
    lib.CCXGate: "ccx", lib.CSwapGate: "cswap",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scope:
    """Where the bits of a circuit, or of a block or definition in it, are in the program."""

    qubits: tuple[int, ...]
    clbits: tuple[int, ...]
    clbit_of: Mapping[Any, int]
    """Bit object -> index. Conditions name bits, not places."""


Emit: TypeAlias = Callable[[ProgramWriter, Any, Scope], None]


def describe(circuit: Any, *, parametric: bool = False, keep_phase: bool = False) -> CircuitForm:
    """The form of a ``QuantumCircuit``; see `qdispatch.circuits.describe`.

    Raises:
        CircuitError: A parameter has no value, or an instruction has neither
            a gate of OpenQASM nor a definition; ``gate`` names it.
    """
    if not parametric:
        _refuse_unbound(circuit)
    _refuse_variables(circuit)
    writer = ProgramWriter(
        circuit.num_qubits,
        registers(circuit),
        parameters=[each.name for each in circuit.parameters],
        keep_phase=keep_phase,
    )
    scope = Scope(
        qubits=tuple(range(circuit.num_qubits)),
        clbits=tuple(range(circuit.num_clbits)),
        clbit_of={bit: index for index, bit in enumerate(circuit.clbits)},
    )
    try:
        emit(writer, circuit, scope)
    except RecursionError as error:
        raise CircuitError("the definitions of the circuit's gates are nested too deep") from error
    parameter_of: dict[Hashable, str] = {}
    parameter_of.update(writer.inputs.items())
    parameter_of.update((each, writer.inputs[each.name]) for each in circuit.parameters)
    qubit_of: dict[Hashable, int] = {index: index for index in range(circuit.num_qubits)}
    qubit_of.update((bit, index) for index, bit in enumerate(circuit.qubits))
    return CircuitForm(
        program=writer.text(),
        program_format=writer.program_format,
        framework="qiskit",
        n_qubits=circuit.num_qubits,
        depth=circuit.depth(),
        qubit_of=qubit_of,
        clbits_of={
            register.name: tuple(scope.clbit_of[bit] for bit in register)
            for register in circuit.cregs
        },
        parameters=tuple(writer.inputs.values()),
        parameter_of=parameter_of,
    )


def _refuse_unbound(circuit: Any) -> None:
    names = sorted(each.name for each in circuit.parameters)
    if names:
        raise CircuitError(
            f"parameters without a value: {', '.join(names)};"
            " give them in `parameters`, or bind them with assign_parameters",
            gate=names[0],
        )


def _refuse_variables(circuit: Any) -> None:
    variables = sorted(each.name for each in circuit.iter_vars())
    if variables:
        raise CircuitError(
            f"classical variables cannot be carried: {', '.join(variables)}; "
            "use classical registers",
            gate=variables[0],
        )


def registers(circuit: Any) -> list[tuple[str, int]]:
    """Registers in the order of the bits, with loose bits gathered into more of them."""
    place = {bit: index for index, bit in enumerate(circuit.clbits)}
    starts: dict[int, Any] = {}
    for register in circuit.cregs:
        indices = [place[bit] for bit in register]
        if indices and indices == list(range(indices[0], indices[0] + len(indices))):
            starts.setdefault(indices[0], register)
    found: list[tuple[str, int]] = []
    at, loose = 0, 0
    while at < circuit.num_clbits:
        register = starts.get(at)
        if register is None:
            at, loose = at + 1, loose + 1
            continue
        if loose:
            found.append(("loose", loose))
        found.append((register.name, len(register)))
        at, loose = at + len(register), 0
    return [*found, ("loose", loose)] if loose else found


def emit(writer: ProgramWriter, circuit: Any, scope: Scope) -> None:
    """Adds all instructions of a circuit, a block or a definition, and its global phase."""
    writer.phase(angle(circuit.global_phase, writer.inputs, circuit.name))
    qubit_of = dict(zip(circuit.qubits, scope.qubits, strict=True))
    clbit_of = scope.clbit_of
    for instruction in circuit.data:
        operation = instruction.operation
        qubits = tuple([qubit_of[bit] for bit in instruction.qubits])
        kind = getattr(operation, "base_class", type(operation))
        name = _GATES.get(kind)
        # The most of a long circuit, so as little as possible for each.
        if name is not None and _all_controls_on(operation):
            writer.gate(name, qubits, _angles(writer, operation))
        else:
            clbits = tuple([clbit_of[bit] for bit in instruction.clbits])
            inner = Scope(qubits=qubits, clbits=clbits, clbit_of=clbit_of)
            _operation(writer, operation, kind, inner)


def _operation(writer: ProgramWriter, operation: Any, kind: type, scope: Scope) -> None:
    if kind is Measure:
        writer.measure(scope.qubits[0], scope.clbits[0])
    elif kind is Reset:
        writer.reset(scope.qubits[0])
    elif kind is Barrier:
        writer.barrier(scope.qubits)
    elif kind is lib.GlobalPhaseGate:
        writer.phase(*_angles(writer, operation))
    elif kind is Delay:
        # An ideal simulation does not see it.
        return
    elif not qiskit_control.emit(writer, operation, scope, _block):
        definition = _definition(operation)
        if definition.num_clbits == 0:
            # Most definitions are of gates: there is no need to look further.
            emit(writer, definition, replace(scope, clbits=(), clbit_of={}))
        else:
            _block(writer, definition, scope)


def _block(writer: ProgramWriter, block: Any, scope: Scope) -> None:
    """Adds a circuit whose bits are bound to those of the scope by their places."""
    clbit_of = dict(scope.clbit_of)
    clbit_of.update(zip(block.clbits, scope.clbits, strict=True))
    emit(writer, block, replace(scope, clbit_of=clbit_of))


def _all_controls_on(operation: Any) -> bool:
    controls = getattr(operation, "num_ctrl_qubits", 0)
    return not controls or bool(operation.ctrl_state == (1 << controls) - 1)


def _angles(writer: ProgramWriter, operation: Any) -> Sequence[Angle]:
    if not operation.params:
        return ()
    return [angle(value, writer.inputs, operation.name) for value in operation.params]


def _definition(operation: Any) -> Any:
    """What an operation is made of.

    Raises:
        CircuitError: Nobody says; ``gate`` names the operation.
    """
    if isinstance(operation, AnnotatedOperation):
        operation = _concrete(operation)
        return _on_its_own(operation)
    definition = getattr(operation, "definition", None)
    if definition is not None:
        return definition
    if hasattr(operation, "to_circuit"):
        return operation.to_circuit()
    if hasattr(operation, "__array__"):
        return lib.UnitaryGate(operation.__array__()).definition
    raise CircuitError(
        f"'{operation.name}' has no form in OpenQASM and no definition; "
        "decompose it into gates before",
        gate=operation.name,
    )


def _on_its_own(operation: Any) -> Any:
    circuit = QuantumCircuit(operation.num_qubits)
    circuit.append(operation, range(operation.num_qubits))
    return circuit


def _concrete(operation: Any) -> Any:
    gate = operation.base_op
    if isinstance(gate, AnnotatedOperation):
        gate = _concrete(gate)
    if not hasattr(gate, "control"):
        gate = gate.to_circuit().to_gate()
    for modifier in operation.modifiers:
        if isinstance(modifier, InverseModifier):
            gate = gate.inverse(annotated=False)
        elif isinstance(modifier, ControlModifier):
            gate = gate.control(
                modifier.num_ctrl_qubits, ctrl_state=modifier.ctrl_state, annotated=False
            )
        elif isinstance(modifier, PowerModifier):
            gate = gate.power(modifier.power, annotated=False)
    return gate


def pauli_terms(observable: Any) -> tuple[int, list[tuple[str, Sequence[int], complex]]]:
    """An observable of Qiskit as a number of qubits and sparse terms.

    Args:
        observable: A ``SparsePauliOp``, a ``Pauli`` or a ``SparseObservable``.

    Returns:
        Number of qubits, and terms as (letters, indices, coefficient).

    Raises:
        TypeError: It is none of these.
    """
    from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp

    if isinstance(observable, Pauli):
        observable = SparsePauliOp(observable)
    elif isinstance(observable, SparseObservable):
        observable = observable.as_paulis()
    elif not isinstance(observable, SparsePauliOp):
        raise TypeError
    return observable.num_qubits, list(observable.to_sparse_list())
