from __future__ import annotations

from typing import Any

import cirq
import numpy as np
import pennylane as qml
import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, SparseObservable, SparsePauliOp

from qdispatch.circuits import CircuitForm, CustomCircuit, describe
from qdispatch.errors import InvalidJobError
from qdispatch.model import PauliSum, PauliTerm
from qdispatch.observables import to_pauli_sum

A, B, C = cirq.LineQubit.range(3)
PLAIN = describe(
    CustomCircuit(program="x", program_format="openqasm2", n_qubits=3, depth=0, framework="mine")
)
CIRQ = describe(cirq.Circuit(map(cirq.X, (A, B, C))))
PENNYLANE = describe(qml.tape.QuantumScript([qml.X("c"), qml.X("b"), qml.X("a")]))
WIDE = describe(QuantumCircuit(70))


def meaning(value: PauliSum) -> dict[tuple[tuple[int, str], ...], float]:
    return {tuple(sorted(each.letters().items())): each.coefficient for each in value.terms}


XIZ = ((0, "Z"), (2, "X"))


@pytest.mark.parametrize(
    ("observable", "expected"),
    [
        ("XIZ", {XIZ: 1.0}),
        ({"XIZ": 0.5, "III": -2}, {XIZ: 0.5, (): -2.0}),
        (("XIZ", 0.5), {XIZ: 0.5}),
        ([("XIZ", 0.5), ("IIY", np.float64(2))], {XIZ: 0.5, ((0, "Y"),): 2.0}),
        ([("XZ", [2, 0], 0.5)], {XIZ: 0.5}),
        (("XZ", (2, np.int64(0)), 0.5 + 0j), {XIZ: 0.5}),
        ([("", [], 3), ("XIZ", 1), ["Y", [1], 2]], {(): 3.0, XIZ: 1.0, ((1, "Y"),): 2.0}),
        (PauliTerm(paulis="XIZ"), {XIZ: 1.0}),
        ([PauliTerm(paulis="XZ", qubits=(2, 0), coefficient=2.0)], {XIZ: 2.0}),
        (PauliSum(terms=(PauliTerm(paulis="XIZ"), PauliTerm(paulis="YYY"))),
         {XIZ: 1.0, ((0, "Y"), (1, "Y"), (2, "Y")): 1.0}),
        (SparsePauliOp(["XIZ", "III"], [0.5, 2]), {XIZ: 0.5, (): 2.0}),
        (Pauli("-XIZ"), {XIZ: -1.0}),
        (SparseObservable.from_list([("XIZ", 0.5)]), {XIZ: 0.5}),
        (SparseObservable.from_label("II0"), {(): 0.5, ((0, "Z"),): 0.5}),
        (SparseObservable.zero(3), {(): 0.0}),
    ],
)  # fmt: skip
def test_forms_by_index(observable: Any, expected: Any) -> None:
    assert meaning(to_pauli_sum(observable, PLAIN)) == expected


@pytest.mark.parametrize(
    ("observable", "expected"),
    [
        (cirq.X(C) * cirq.Z(A), {XIZ: 1.0}),
        (0.5 * cirq.X(C) * cirq.Z(A) - 2 * cirq.Y(B) + 3, {XIZ: 0.5, ((1, "Y"),): -2.0, (): 3.0}),
        (cirq.Z(B), {((1, "Z"),): 1.0}),
        (cirq.I(B), {(): 1.0}),
        (cirq.PauliSum(), {(): 0.0}),
    ],
)
def test_forms_of_cirq(observable: Any, expected: Any) -> None:
    assert meaning(to_pauli_sum(observable, CIRQ)) == expected


@pytest.mark.parametrize(
    ("observable", "expected"),
    [
        (qml.X("a") @ qml.Z("c"), {XIZ: 1.0}),
        (qml.Hamiltonian([0.5, -2], [qml.X("a") @ qml.Z("c"), qml.Y("b")]),
         {XIZ: 0.5, ((1, "Y"),): -2.0}),
        (2 * (qml.X("a") + qml.Identity("b")), {((2, "X"),): 2.0, (): 2.0}),
        (qml.numpy.array(0.5) * qml.prod(qml.X("a"), qml.Y("a")) * -1j, {((2, "Z"),): 0.5}),
        (qml.X("a") - qml.X("a"), {((2, "X"),): 0.0}),
    ],
)  # fmt: skip
def test_forms_of_pennylane(observable: Any, expected: Any) -> None:
    assert meaning(to_pauli_sum(observable, PENNYLANE)) == expected


def test_a_term_on_no_qubit_is_dense() -> None:
    # On the wire, a sparse term without qubits cannot be told from a dense label.
    (term,) = to_pauli_sum([("", [], 1)], PLAIN).terms
    assert term == PauliTerm(paulis="III")


def test_wide_circuits() -> None:
    (term,) = to_pauli_sum([("XZ", [69, 0], 1)], WIDE).terms
    assert term.qubits == (69, 0)
    assert to_pauli_sum("Z" + "I" * 69, WIDE).terms[0].letters() == {69: "Z"}


@pytest.mark.parametrize(
    ("observable", "form", "message"),
    [
        ("XZ", PLAIN, "2 letters for a circuit of 3 qubits"),
        ("xiz", PLAIN, "letters are I, X, Y and Z"),
        ("XI0", PLAIN, "letters are I, X, Y and Z"),
        ({"XIZ": 1j}, PLAIN, "real and finite"),
        ({"XIZ": float("nan")}, PLAIN, "real and finite"),
        ({"XIZ": 10**400}, PLAIN, "is not a number"),
        ({"XIZ": "two"}, PLAIN, "is not a number"),
        ({"XIZ": None}, PLAIN, "is not a number"),
        ({3: 1}, PLAIN, "no Pauli string"),
        ([("XZ", [0, 0], 1)], PLAIN, "stands twice"),
        ([("XZ", [0, 3], 1)], PLAIN, "qubit 3 is not in the circuit; indices are 0 to 2"),
        ([("XZ", [0, -1], 1)], PLAIN, "qubit -1"),
        ([("XZ", [0], 1)], PLAIN, "2 letters for 1 qubits"),
        ([("XZ", "01", 1)], PLAIN, "no list of qubit indices"),
        ([("XZ", 5, 1)], PLAIN, "no list of qubit indices"),
        ([("XZ", [0.0, 1.0], 1)], PLAIN, "no list of qubit indices"),
        (["XIZ"], PLAIN, "no term"),
        (("XIZ",), PLAIN, "no term"),
        ([], PLAIN, "at least one term"),
        ({}, PLAIN, "at least one term"),
        (PauliSum(terms=()), PLAIN, "at least one term"),
        (3, PLAIN, "'int' is no observable"),
        (None, PLAIN, "'NoneType' is no observable"),
        (Pauli("iXIZ"), PLAIN, "real and finite"),
        (Pauli("XZ"), PLAIN, "on 2 qubits, the circuit has 3"),
        (SparsePauliOp(["XIZ"], [1j]), PLAIN, "real and finite"),
        (QuantumCircuit(3), PLAIN, "no sum of Pauli strings"),
        (1j * cirq.X(A), CIRQ, "real and finite"),
        (cirq.X(cirq.LineQubit(9)), CIRQ, "not a qubit of the circuit"),
        (cirq.H(A), CIRQ, "no sum of Pauli strings"),
        (cirq.X, CIRQ, "no sum of Pauli strings"),
        (qml.X("q"), PENNYLANE, "not a qubit of the circuit"),
        (qml.Projector([1], "a"), PENNYLANE, "no sum of Pauli strings"),
        (qml.Hermitian(np.eye(2), "a"), PENNYLANE, "no sum of Pauli strings"),
        (1j * qml.X("a"), PENNYLANE, "real and finite"),
    ],
)
def test_refusals_say_what_is_wrong(observable: Any, form: CircuitForm, message: str) -> None:
    with pytest.raises(InvalidJobError, match=message) as caught:
        to_pauli_sum(observable, form, index=4)
    assert caught.value.field == "observables[4]"
