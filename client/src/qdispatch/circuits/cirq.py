"""Cirq circuits.

Qubits are sorted; qubit k of the program is the k-th of them. Each
measurement key is a classical register, in the order of first appearance, and
bit k of it is the k-th qubit of its measurement: the first qubit of a key
stands on the right of an outcome, where Cirq's own integers have it on the
left. Names that OpenQASM does not take are replaced; `CircuitForm.clbits_of`
tells the bits of every key.

A key that is measured again is refused: Cirq keeps every repetition, a
register the last one only. An inverted measurement becomes X, measurement, X.

The depth is the longest path in operations, whatever the moments;
sub-circuits count by their content.

Cirq's own exporter rounds angles and drops conditions on several bits, so the
program is written here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Iterator, Mapping
from typing import Any, Final

import cirq

from qdispatch.circuits.cirq_parts import cannot, parts_of
from qdispatch.circuits.form import CircuitForm, longest_path
from qdispatch.circuits.writer import ProgramWriter
from qdispatch.errors import CircuitError

_AXES: Final[Mapping[type, tuple[str, str]]] = {
    cirq.XPowGate: ("x", "rx"), type(cirq.X): ("x", "rx"),
    cirq.YPowGate: ("y", "ry"), type(cirq.Y): ("y", "ry"),
    cirq.ZPowGate: ("z", "p"), type(cirq.Z): ("z", "p"),
    cirq.CZPowGate: ("cz", "cp"),
    cirq.XXPowGate: ("", "rxx"), cirq.ZZPowGate: ("", "rzz"),
}  # fmt: skip
"""Gate -> its name at exponents 1 and -1, and at any other."""

_ROTATIONS: Final[Mapping[type, str]] = {cirq.Rx: "rx", cirq.Ry: "ry", cirq.Rz: "rz"}

_WHOLE: Final[Mapping[type, str]] = {
    cirq.HPowGate: "h", cirq.CXPowGate: "cx", cirq.SwapPowGate: "swap", cirq.CCXPowGate: "ccx",
}  # fmt: skip
"""Gates with a name at exponents 1 and -1 only."""


def describe(circuit: Any, *, parametric: bool = False, keep_phase: bool = False) -> CircuitForm:
    """The form of a ``Circuit`` or a ``FrozenCircuit``; see `qdispatch.circuits.describe`.

    Raises:
        CircuitError: A symbol has no value, or an operation cannot be
            carried; ``gate`` names it.
    """
    symbols = sorted(cirq.parameter_names(circuit))
    if symbols:
        raise CircuitError(
            f"symbols without a value: {', '.join(symbols)}; use cirq.resolve_parameters",
            gate=symbols[0],
        )
    qubits = sorted(circuit.all_qubits())
    for qubit in qubits:
        if qubit.dimension != 2:
            raise CircuitError(f"'{qubit}' has {qubit.dimension} levels; only qubits can be sent")
    operations = list(_flat(circuit.all_operations()))
    emitter = _Emitter(qubits, operations)
    try:
        for operation in operations:
            emitter.add(operation)
    except RecursionError as error:
        raise CircuitError("an operation decomposes without end") from error
    qubit_of: dict[Hashable, int] = dict(emitter.qubit_of)
    return CircuitForm(
        program=emitter.writer.text(),
        program_format=emitter.writer.program_format,
        framework="cirq",
        n_qubits=len(qubits),
        depth=longest_path(map(_touched, operations)),
        qubit_of=qubit_of,
        clbits_of=emitter.clbits_of,
    )


def _flat(operations: Iterable[Any]) -> Iterator[Any]:
    """The operations, with those that hold measurements of their own taken apart."""
    for operation in operations:
        bare = operation.without_classical_controls().untagged
        if isinstance(bare, cirq.CircuitOperation):
            if bare.repeat_until is not None:
                raise cannot(operation, "repeat_until is not supported")
            yield from _flat(cirq.decompose_once(operation))
        elif isinstance(bare.gate, cirq.PauliMeasurementGate):
            yield from _flat(cirq.decompose_once(operation))
        else:
            yield operation


def _touched(operation: Any) -> Iterator[Hashable]:
    yield from operation.qubits
    yield from cirq.measurement_key_objs(operation)
    yield from cirq.control_keys(operation)


def _named(gate: Any) -> tuple[str, tuple[float, ...]] | None:
    """The gate of OpenQASM that equals this one up to its global phase, if any."""
    kind = type(gate)
    if kind in _ROTATIONS:
        # The exponent alone would cost a rounding.
        return _ROTATIONS[kind], (getattr(gate, "_rads", math.pi * gate.exponent),)
    whole = getattr(gate, "exponent", None) in (1, -1)
    if kind in _AXES:
        name, turned = _AXES[kind]
        return (name, ()) if whole and name else (turned, (math.pi * gate.exponent,))
    if kind in _WHOLE and whole:
        return _WHOLE[kind], ()
    return ("cswap", ()) if kind is cirq.CSwapGate else None


class _Emitter:
    def __init__(self, qubits: list[Any], operations: Iterable[Any]) -> None:
        self.qubit_of = {qubit: index for index, qubit in enumerate(qubits)}
        self.clbits_of: dict[str, tuple[int, ...]] = {}
        self._measured: dict[str, tuple[Any, ...]] = {}
        n_bits = 0
        for operation in operations:
            bare = operation.without_classical_controls().untagged
            if not isinstance(bare.gate, cirq.MeasurementGate):
                continue
            key, width = cirq.measurement_key_name(bare), len(bare.qubits)
            if key in self.clbits_of:
                raise cannot(operation, f"the key '{key}' is measured more than once")
            self.clbits_of[key] = tuple(range(n_bits, n_bits + width))
            self._measured[key] = bare.qubits
            n_bits += width
        self.writer = ProgramWriter(
            len(qubits), [(key, len(bits)) for key, bits in self.clbits_of.items()]
        )

    def add(self, operation: Any) -> None:
        """Adds one operation, decomposed as far as needed."""
        if operation.classical_controls:
            self._controlled(operation)
            return
        operation = operation.untagged
        gate = operation.gate
        if isinstance(gate, cirq.MeasurementGate):
            self._measure(operation)
        elif isinstance(gate, cirq.GlobalPhaseGate | cirq.WaitGate | cirq.IdentityGate):
            return
        elif isinstance(gate, cirq.ResetChannel):
            self.writer.reset(*self._places(operation))
        elif (named := _named(gate)) is not None:
            self.writer.gate(named[0], self._places(operation), named[1])
        else:
            for part in parts_of(operation):
                self.add(part)

    def _places(self, operation: Any) -> list[int]:
        try:
            return [self.qubit_of[qubit] for qubit in operation.qubits]
        except KeyError as error:
            raise cannot(operation, "it needs a qubit that the circuit has not") from error

    def _measure(self, operation: Any) -> None:
        if operation.gate.confusion_map:
            raise cannot(operation, "a confusion_map is noise; noise is not supported")
        clbits = self.clbits_of[cirq.measurement_key_name(operation)]
        inverted = operation.gate.full_invert_mask()
        for qubit, clbit, flip in zip(self._places(operation), clbits, inverted, strict=True):
            if flip:
                self.writer.gate("x", [qubit])
            self.writer.measure(qubit, clbit)
            if flip:
                self.writer.gate("x", [qubit])

    def _controlled(self, operation: Any) -> None:
        conditions = operation.classical_controls
        keys = sorted({str(key) for each in conditions for key in each.keys})
        missing = [key for key in keys if key not in self.clbits_of]
        if missing:
            raise cannot(operation, f"the key '{missing[0]}' is never measured")

        def holds(bits: Mapping[int, int]) -> bool:
            store = cirq.ClassicalDataDictionaryStore()
            for key in keys:
                values = tuple(bits[clbit] for clbit in self.clbits_of[key])
                store.record_measurement(
                    cirq.MeasurementKey.parse_serialized(key), values, self._measured[key]
                )
            return all(each.resolve(store) for each in conditions)

        self.writer.choose(
            (clbit for key in keys for clbit in self.clbits_of[key]),
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
