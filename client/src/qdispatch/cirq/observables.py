"""Observables of Cirq, as they are after a circuit's measurements."""

from __future__ import annotations

from typing import Any

import cirq

from qdispatch.circuits.cirq import flat_operations


def wrapped(observables: Any) -> list[Any]:
    """One observable, or a list of them, as ``cirq.PauliSum``s."""
    several = observables if isinstance(observables, list) else [observables]
    return [cirq.PauliSum.wrap(each) for each in several]


def with_qubits_of(program: Any, sums: list[Any]) -> Any:
    """The circuit, with the qubits of the observables that it has not, in state 0."""
    idle = sorted({qubit for each in sums for qubit in each.qubits} - program.all_qubits())
    return program.unfreeze() + cirq.Moment(map(cirq.I, idle)) if idle else program


def after_measurements(program: Any, sums: list[Any]) -> list[Any]:
    """The observables without the terms that the measurements at the end make 0.

    The server takes expectation values before those measurements. After one,
    the expectation value of X and of Y on its qubit is 0, and any other is
    what it was.
    """
    last = {
        qubit: operation
        for operation in flat_operations(program.all_operations())
        for qubit in operation.qubits
    }
    measured = {
        qubit for qubit, each in last.items() if isinstance(each.gate, cirq.MeasurementGate)
    }
    return [
        cirq.PauliSum.from_pauli_strings(
            [string for string in each if not _is_erased(string, measured)]
        )
        for each in sums
    ]


def _is_erased(string: Any, measured: set[Any]) -> bool:
    return any(pauli != cirq.Z and qubit in measured for qubit, pauli in string.items())
