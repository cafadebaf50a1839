"""Qiskit circuits with parameters and with their global phase, as the service reads them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import qiskit.circuit.library as lib
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter, ParameterVector
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector, random_unitary

from qdispatch.circuits import CircuitForm, describe
from qdispatch.client import Client
from qdispatch.errors import CircuitError
from tasks.parse import parse
from tasks.simulators.matrices import matrix
from tests.sdk.qiskit_circuits import STATIC

a, b = Parameter("a"), Parameter("β")
v = ParameterVector("v", 3)


def bound(form: CircuitForm, *values: float) -> str:
    """The program with its inputs replaced by constants."""
    program = form.program
    for name, value in zip(form.parameters, values, strict=True):
        program = re.sub(
            rf"input float\[64\] {name};", f"const float[64] {name} = {value!r};", program
        )
    return program


def unitary(form: CircuitForm, *values: float) -> Any:
    """The program's matrix, phase included, from the neutral form; qubit 0 is the lowest bit."""
    circuit = parse(bound(form, *values), form.program_format, max_qubits=8)
    n = circuit.n_qubits
    state = np.eye(2**n, dtype=complex).reshape([2] * n + [2**n])
    for gate in circuit.gates():
        k = len(gate.qubits)
        axes = [n - 1 - qubit for qubit in gate.qubits]
        state = np.tensordot(matrix(gate).reshape([2] * 2 * k), state, (range(k, 2 * k), axes))
        state = np.moveaxis(state, range(k), axes)
    return np.exp(1j * circuit.global_phase) * state.reshape(2**n, 2**n)


def on(gate: Gate) -> QuantumCircuit:
    circuit = QuantumCircuit(gate.num_qubits, global_phase=0.4)
    circuit.append(gate, range(gate.num_qubits))
    return circuit


@pytest.mark.parametrize("with_loop", [False, True], ids=["openqasm2", "openqasm3"])
@pytest.mark.parametrize(
    "gate",
    [
        lib.UGate(0.1, 0.2, 0.3), lib.U1Gate(0.1), lib.U2Gate(0.1, 0.2), lib.U3Gate(0.1, 0.2, 0.3),
        lib.RXGate(0.3), lib.RYGate(0.3), lib.RZGate(0.3), lib.PhaseGate(0.3), lib.SXGate(),
        lib.SXdgGate(), lib.CSXGate(), lib.CUGate(0.1, 0.2, 0.3, 0.4), lib.CU3Gate(0.1, 0.2, 0.3),
        lib.CRXGate(0.1), lib.CRYGate(0.1), lib.CRZGate(0.1), lib.RXXGate(0.1), lib.RYYGate(0.1),
        lib.RZZGate(0.1), lib.RZXGate(0.1), lib.ECRGate(), lib.iSwapGate(), lib.CHGate(),
        lib.RGate(0.1, 0.2), lib.CCZGate(), lib.C3SXGate(), lib.MCPhaseGate(0.3, 2), lib.QFTGate(3),
        lib.UnitaryGate(random_unitary(4, seed=1)), lib.PauliGate("XYZ"),
        lib.GlobalPhaseGate(0.7).control(2, annotated=False), lib.SwapGate(), lib.CSwapGate(),
    ],
    ids=lambda gate: getattr(gate, "name", None),
)  # fmt: skip
def test_the_global_phase_is_kept(gate: Gate, with_loop: bool) -> None:
    circuit = on(gate)
    plain = circuit.copy()
    if with_loop:
        body = QuantumCircuit(circuit.num_qubits, global_phase=0.1)
        body.append(lib.GlobalPhaseGate(0.2), [])
        circuit.for_loop(range(3), None, body, circuit.qubits, [])
        plain.append(lib.GlobalPhaseGate(0.9), [])
    form = describe(circuit, keep_phase=True)
    assert form.program_format == ("openqasm3" if with_loop else "openqasm2")
    assert np.abs(unitary(form) - Operator(plain).data).max() < 1e-12


@pytest.mark.parametrize("target", ["aer", "pennylane"])
def test_state_vectors_have_the_phase(client: Client, target: str) -> None:
    circuits = [make() for make in STATIC.values()]
    results = client.submit_batch(circuits, target=target, result_types=["statevector"]).results()
    for circuit, result in zip(circuits, results, strict=True):
        exact = Statevector(circuit.remove_final_measurements(inplace=False)).data
        assert np.abs(np.asarray(result.statevector) - exact).max() < 1e-9


def test_without_keep_phase_there_is_none() -> None:
    assert "gphase" not in describe(on(lib.ECRGate())).program


EXPRESSIONS = {
    "symbol": a, "negative": -a, "third": a / 3, "quotient": a / b, "inverse": 1 / b,
    "affine": 0.1 * a + 1 / 3, "difference": (a - b) / (2 * b), "square": a**2, "root": b**0.5,
    "minus power": b**-2, "elements": v[0] * v[1] - v[2], "functions": a.sin() + b.cos() * a.tan(),
    "inverses": (a / 9).arcsin() + (a / 9).arccos() + a.arctan(), "exp and log": a.exp() + b.log(),
    "abs": (a - 5).abs(), "sign": (a - 5).sign() + 2 * a.sign(),  "conjugate": (2 * a).conjugate(),
    "tiny": 1e-17 * a, "nested": ((a + 1) ** 2 / (b + 2) ** 3 - 1).sin(), "nothing": a - a,
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions_keep_their_value(name: str) -> None:
    expression = EXPRESSIONS[name]
    circuit = QuantumCircuit(1, global_phase=expression)
    circuit.rz(expression, 0)
    form = describe(circuit, parametric=True, keep_phase=True)
    values = [0.123456789012345 + 1.5 * index for index in range(len(form.parameters))]
    parsed = parse(bound(form, *values), form.program_format, max_qubits=1)
    exact = expression.bind(dict(zip(circuit.parameters, values, strict=True))).numeric()
    (gate,) = parsed.gates()
    assert gate.params[0] == pytest.approx(exact, rel=1e-15, abs=1e-300)
    assert parsed.global_phase == pytest.approx(exact, rel=1e-15, abs=1e-300)


def test_parameters_follow_the_circuits_order_and_are_found_by_name_and_object() -> None:
    circuit = QuantumCircuit(1)
    circuit.rx(v[1], 0)
    circuit.ry(b, 0)
    circuit.rz(a + v[0], 0)
    form = describe(circuit, parametric=True)
    assert [form.parameter_of[each] for each in circuit.parameters] == list(form.parameters)
    assert form.parameter_of["β"] == form.parameter_of[b]
    assert "rx(" + form.parameter_of["v[1]"] + ") q[0];" in form.program


def test_parameters_inside_definitions_and_loops() -> None:
    inner = QuantumCircuit(2, global_phase=a)
    inner.rzx(2 * a, 0, 1)
    inner.append(lib.PauliEvolutionGate(SparsePauliOp("XZ"), b), [0, 1])
    circuit = QuantumCircuit(2)
    circuit.append(inner.to_gate(), [1, 0])
    with circuit.for_loop(range(2)):
        circuit.crx(b / 7, 0, 1)
    unrolled = QuantumCircuit(2)
    unrolled.append(inner.to_gate(), [1, 0])
    for _ in range(2):
        unrolled.crx(b / 7, 0, 1)
    exact = Operator(unrolled.assign_parameters([0.3, 0.7]).decompose(reps=4)).data
    form = describe(circuit, parametric=True, keep_phase=True)
    assert np.abs(unitary(form, 0.3, 0.7) - exact).max() < 1e-12


@pytest.mark.parametrize("expression", [1j * a, 2**a], ids=["complex", "unknown to Qiskit"])
def test_what_has_no_words_is_refused(expression: Any) -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(expression, 0)
    with pytest.raises(CircuitError) as caught:
        describe(circuit, parametric=True)
    assert caught.value.gate == "rz"


def test_without_parametric_they_are_refused() -> None:
    circuit = QuantumCircuit(1)
    circuit.rz(a, 0)
    with pytest.raises(CircuitError, match="assign_parameters"):
        describe(circuit)
