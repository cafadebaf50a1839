"""PennyLane tapes and QNodes.

Wires: those of a QNode's device in its order; else sorted if all are integers;
else in the order of appearance. Wire k of that list is qubit k.

Classical bits: register ``c`` holds the final measurement, register ``mcm``
(above it) the mid-circuit measurements in their order. The final measurement
is of the wires that counts, probs and sample name, in the order named; of all
wires if they name none. A tape without any of them has all wires measured,
unless it has mid-circuit measurements: there a final measurement could spoil
its expectation values. Bit k is the k-th wire measured: the first wire stands
on the right of an outcome, where PennyLane has it on the left.

Expectation values become observables. The depth is the longest path in
operations, without the final measurement. The program is written here, since
``qml.to_openqasm`` knows no condition on several bits and few gates.

Every gate written is equal to PennyLane's, phase included, and decompositions
are mended where they are not; so the program has the tape's global phase.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import pennylane as qml

from qdispatch.circuits.form import CircuitForm, longest_path
from qdispatch.circuits.pennylane_parts import parts_of
from qdispatch.circuits.writer import ProgramWriter
from qdispatch.errors import CircuitError
from qdispatch.model import PauliSum, ResultType
from qdispatch.observables import to_pauli_sum

_GATES: Final[Mapping[type, str]] = {
    qml.PauliX: "x", qml.PauliY: "y", qml.PauliZ: "z", qml.Hadamard: "h",
    qml.S: "s", qml.T: "t", qml.SX: "sx",
    qml.RX: "rx", qml.RY: "ry", qml.RZ: "rz", qml.PhaseShift: "p", qml.U1: "p", qml.U3: "U",
    qml.CNOT: "cx", qml.CY: "cy", qml.CZ: "cz", qml.CH: "ch", qml.SWAP: "swap",
    qml.CRX: "crx", qml.CRY: "cry", qml.CRZ: "crz", qml.ControlledPhaseShift: "cp",
    qml.IsingXX: "rxx", qml.IsingZZ: "rzz", qml.Toffoli: "ccx", qml.CSWAP: "cswap",
}  # fmt: skip

_ADJOINTS: Final[Mapping[type, str]] = {qml.S: "sdg", qml.T: "tdg", qml.SX: "sxdg"}

_NOTHING: Final = (qml.Identity, qml.Snapshot)
"""What no result can show."""

# Its home since PennyLane 0.43, and before.
_MidMeasure: Final[Any] = getattr(qml.ops, "MidMeasure", None) or qml.measurements.MidMeasureMP
_Conditional: Final[Any] = qml.ops.Conditional

_SAMPLED: Final[Mapping[type, ResultType]] = {
    qml.measurements.CountsMP: ResultType.COUNTS,
    qml.measurements.SampleMP: ResultType.COUNTS,
    qml.measurements.ProbabilityMP: ResultType.QUASI,
}


def describe(
    circuit: Any,
    args: Sequence[object],
    kwargs: Mapping[str, object],
    *,
    keep_phase: bool = False,
) -> CircuitForm:
    """The form of a tape, or of a QNode called with these arguments.

    See `qdispatch.circuits.describe`.

    Raises:
        CircuitError: An operator or a measurement cannot be carried; ``gate``
            names it.
    """
    tape, wires = _tape(circuit, args, kwargs)
    return form_of(tape, wires, keep_phase=keep_phase)


def form_of(
    tape: Any,
    wires: Sequence[Any],
    *,
    keep_phase: bool = False,
    ignore_postselect: bool = False,
) -> CircuitForm:
    """The form of a tape on given wires.

    Args:
        tape: A tape.
        wires: All of the tape's and more; wire k is qubit k.
        keep_phase: Whether the program has the tape's global phase.
        ignore_postselect: Whether the one who asks sorts out the shots that
            are not selected; else such measurements are refused.

    Raises:
        CircuitError: See `describe`.
    """
    if tape.batch_size is not None:
        raise CircuitError(
            f"the parameters are broadcast over {tape.batch_size} values; send one job for each"
        )
    if tape.shots.has_partitioned_shots:
        raise CircuitError("a vector of shots cannot be carried; give one number")
    result_types = _result_types(tape)
    selected = (each for each in tape.operations if getattr(each, "postselect", None) is not None)
    if not ignore_postselect and next(selected, None) is not None:
        raise CircuitError("'measure' with postselect cannot be carried", gate="measure")
    emitter = _Emitter(wires, tape, keep_phase=keep_phase)
    try:
        with qml.QueuingManager.stop_recording():
            emitter.run()
    except RecursionError as error:
        raise CircuitError("an operator decomposes without end") from error
    qubit_of: dict[Hashable, int] = dict(emitter.qubit_of)
    form = CircuitForm(
        program=emitter.writer.text(),
        program_format=emitter.writer.program_format,
        framework="pennylane",
        n_qubits=len(wires),
        depth=longest_path(
            _touched(each)
            for each in tape.operations
            if not isinstance(each, qml.Barrier | qml.Snapshot)
        ),
        qubit_of=qubit_of,
        clbits_of=emitter.clbits_of,
        result_types=result_types,
        shots=tape.shots.total_shots,
    )
    return _with_observables(form, tape)


def _tape(
    circuit: Any, args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[Any, list[Any]]:
    """The tape, and its wires in the order of the qubits."""
    device_wires: Any = None
    if isinstance(circuit, qml.QNode):
        device_wires = circuit.device.wires
        try:
            circuit = qml.workflow.construct_tape(circuit)(*args, **kwargs)
        except ValueError as error:
            raise CircuitError(f"the QNode does not give one tape: {error}") from error
    elif args or kwargs:
        raise CircuitError("a tape takes no arguments; only a QNode does")
    wires = circuit.wires.tolist()
    if device_wires is not None:
        strange = [wire for wire in wires if wire not in device_wires]
        if strange:
            raise CircuitError(f"wire {strange[0]!r} is not one of the device's")
        wires = device_wires.tolist()
    elif all(isinstance(wire, int) for wire in wires):
        wires = sorted(wires)
    return circuit, wires


def _result_types(tape: Any) -> tuple[ResultType, ...]:
    found: list[ResultType] = []
    for each in tape.measurements:
        if isinstance(each, qml.measurements.ExpectationMP) and each.mv is None:
            found.append(ResultType.EXPVAL)
        elif type(each) in _SAMPLED and each.obs is None:
            found.append(_SAMPLED[type(each)])
        else:
            name = " ".join(str(each).split())
            raise CircuitError(
                f"measurement '{name}' cannot be carried; use counts, sample or probs of wires, "
                "or expval of an operator",
                gate=name,
            )
    return tuple(dict.fromkeys(found))


def _with_observables(form: CircuitForm, tape: Any) -> CircuitForm:
    observables: list[PauliSum] = []
    for each in tape.measurements:
        if isinstance(each, qml.measurements.ExpectationMP):
            observables.append(to_pauli_sum(each.obs, form, index=len(observables)))
    return replace(form, observables=tuple(observables))


def _touched(operation: Any) -> list[Hashable]:
    touched: list[Hashable] = list(operation.wires)
    if isinstance(operation, _MidMeasure):
        touched.append(_key(operation))
    elif isinstance(operation, _Conditional):
        touched += map(_key, operation.meas_val.measurements)
    return touched


def _key(measurement: Any) -> Hashable:
    """What a mid-circuit measurement has in common with its copies."""
    key: Hashable = getattr(measurement, "meas_uid", None)
    return key or id(measurement)


def _final_wires(tape: Any, wires: Sequence[Any]) -> list[Any]:
    sampled = [each for each in tape.measurements if type(each) in _SAMPLED]
    if not sampled:
        dynamic = any(isinstance(each, _MidMeasure) for each in tape.operations)
        return [] if dynamic else list(wires)
    of_wires = [each for each in sampled if each.mv is None]
    if any(not each.wires for each in of_wires):
        return list(wires)
    return list(dict.fromkeys(wire for each in of_wires for wire in each.wires))


class _Emitter:
    def __init__(self, wires: Sequence[Any], tape: Any, *, keep_phase: bool) -> None:
        self.qubit_of = {wire: index for index, wire in enumerate(wires)}
        self._operations = tape.operations
        self._keep_phase = keep_phase
        self._final = [self.qubit_of[wire] for wire in _final_wires(tape, wires)]
        middle = [each for each in tape.operations if isinstance(each, _MidMeasure)]
        self._clbit_of = {_key(each): len(self._final) + k for k, each in enumerate(middle)}
        sizes = {"c": len(self._final), "mcm": len(middle)}
        registers = [(name, size) for name, size in sizes.items() if size]
        self.clbits_of = {"c": tuple(range(len(self._final)))} if self._final else {}
        if middle:
            self.clbits_of["mcm"] = tuple(self._clbit_of.values())
        self.writer = ProgramWriter(len(wires), registers, keep_phase=keep_phase)

    def run(self) -> None:
        """Adds all operations and the final measurement."""
        for operation in self._operations:
            self._add(operation)
        for clbit, qubit in enumerate(self._final):
            self.writer.measure(qubit, clbit)

    def _add(self, operation: Any) -> None:
        qubits = [self.qubit_of[wire] for wire in operation.wires]
        name = _name(operation)
        if name is not None:
            self.writer.gate(name, qubits, [_angle(each, operation) for each in operation.data])
        elif type(operation) is qml.U2:
            phi, lam = (_angle(each, operation) for each in operation.data)
            self.writer.gate("U", qubits, [math.pi / 2, phi, lam])
        elif isinstance(operation, qml.Barrier):
            self.writer.barrier(qubits)
        elif isinstance(operation, qml.GlobalPhase):
            # PennyLane's sign is the other one.
            self.writer.phase(-_angle(operation.data[0], operation))
        elif isinstance(operation, _NOTHING):
            return
        elif isinstance(operation, _MidMeasure):
            self._measure(operation, qubits[0])
        elif isinstance(operation, _Conditional):
            self._conditional(operation)
        else:
            for part in parts_of(operation, keep_phase=self._keep_phase):
                self._add(part)

    def _measure(self, operation: Any, qubit: int) -> None:
        self.writer.measure(qubit, self._place(operation))
        if operation.reset:
            self.writer.reset(qubit)

    def _place(self, measurement: Any) -> int:
        place = self._clbit_of.get(_key(measurement))
        if place is None:
            raise CircuitError("a measurement is not on the tape itself", gate="measure")
        return place

    def _conditional(self, operation: Any) -> None:
        value = operation.meas_val
        places = [self._place(each) for each in value.measurements]
        process = value.processing_fn if value.has_processing else bool
        self.writer.choose(
            places,
            lambda bits: bool(process(*(bits[place] for place in places))),
            lambda: self._add(operation.base),
            gate="cond",
        )


def is_native(operation: Any) -> bool:
    """Whether an operation is written as it is, without a decomposition."""
    kinds = (qml.U2, qml.Barrier, qml.GlobalPhase, *_NOTHING, _MidMeasure, _Conditional)
    return _name(operation) is not None or isinstance(operation, kinds)


def _name(operation: Any) -> str | None:
    if isinstance(operation, qml.ops.op_math.Adjoint):
        return _ADJOINTS.get(type(operation.base))
    return _GATES.get(type(operation))


def _angle(value: Any, operation: Any) -> float:
    try:
        return float(qml.math.toarray(value))
    except (TypeError, ValueError) as error:
        raise CircuitError(
            f"operator '{operation.name}' has the parameter {value}; a real number is needed",
            gate=operation.name,
        ) from error


def pauli_terms(observable: Any) -> list[tuple[list[tuple[Any, str]], complex]]:
    """An operator as terms of (wire, letter) pairs, each with its coefficient.

    Raises:
        TypeError: It is no linear combination of Pauli words.
    """
    sentence = getattr(observable, "pauli_rep", None)
    if sentence is None:
        raise TypeError
    return [
        (list(word.items()), complex(qml.math.toarray(factor))) for word, factor in sentence.items()
    ]
