"""What the SDKs export runs on every target, and means the same."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from conformance_checks import same_distribution
from conformance_runs import Run

from qdispatch.model import ResultType


def exact(run: Run, program: str) -> dict[str, float]:
    return dict(run(program, ResultType.QUASI).results[0].quasi)


@cache
def qiskit_circuit() -> Any:
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
    from qiskit.circuit.library import QFTGate

    circuit = QuantumCircuit(
        QuantumRegister(3, "a"),
        QuantumRegister(2, "b"),
        ClassicalRegister(3, "m"),
        ClassicalRegister(2, "n"),
    )
    for qubit in range(5):
        circuit.u(0.3 + qubit, 0.2 * qubit, -0.4, qubit)
    circuit.cx(0, 3)
    circuit.csx(1, 2)
    circuit.cp(0.3, 2, 4)
    circuit.cu(0.1, 0.2, 0.3, 0.4, 3, 1)
    circuit.rxx(0.7, 0, 4)
    circuit.ryy(0.2, 1, 3)
    circuit.rzx(0.5, 2, 0)
    circuit.iswap(1, 4)
    circuit.ecr(0, 2)
    circuit.dcx(3, 4)
    circuit.r(0.2, 0.9, 1)
    circuit.mcx([0, 1, 2], 3)
    circuit.ccz(0, 2, 4)
    circuit.append(QFTGate(3), [1, 3, 4])
    circuit.mcp(0.3, [0, 1, 2], 3)
    circuit.x(0)
    circuit.cx(1, 0, ctrl_state=0)
    circuit.global_phase = 0.3
    return circuit


def measured(circuit: Any) -> Any:
    copy = circuit.copy()
    copy.measure(range(5), [4, 0, 1, 2, 3])
    return copy


@cache
def qiskit_expected() -> dict[str, float]:
    from qiskit.quantum_info import Statevector

    found = Statevector(qiskit_circuit()).probabilities_dict([1, 2, 3, 4, 0])
    return {key: float(value) for key, value in found.items()}


def test_qiskit_openqasm2(run: Run) -> None:
    from qiskit import qasm2

    same_distribution(exact(run, qasm2.dumps(measured(qiskit_circuit()))), qiskit_expected(), 3e-6)


def test_qiskit_openqasm3(run: Run) -> None:
    from qiskit import qasm3

    same_distribution(exact(run, qasm3.dumps(measured(qiskit_circuit()))), qiskit_expected(), 3e-6)


def test_qiskit_state_and_phase(run: Run) -> None:
    from qiskit import qasm3
    from qiskit.quantum_info import Statevector

    # Its exporter loses the phase of some gates that it defines, such as ecr.
    program = qasm3.dumps(qiskit_circuit())
    (result,) = run(program, ResultType.STATEVECTOR).results
    expected = Statevector(qasm3.loads(program)).data
    np.testing.assert_allclose(result.statevector, expected, atol=3e-6)


def test_qiskit_transpiled(run: Run) -> None:
    from qiskit import qasm3, transpile
    from qiskit.transpiler import CouplingMap

    with warnings.catch_warnings():
        # Qiskit's own passes use what Qiskit deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        done = transpile(
            measured(qiskit_circuit()),
            basis_gates=["rz", "sx", "x", "cx"],
            coupling_map=CouplingMap.from_line(5),
            optimization_level=1,
            seed_transpiler=3,
        )
    same_distribution(exact(run, qasm3.dumps(done)), qiskit_expected(), 3e-6)


def test_qiskit_control_flow(run: Run) -> None:
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qasm3
    from qiskit.circuit.classical import expr

    a, b = ClassicalRegister(2, "a"), ClassicalRegister(1, "b")
    circuit = QuantumCircuit(QuantumRegister(3, "q"), a, b)
    circuit.x(0)
    circuit.measure([0, 1], [0, 1])
    with circuit.if_test((a, 1)) as otherwise:
        circuit.x(1)
    with otherwise:
        circuit.x(2)
    with circuit.if_test(expr.logic_and(expr.equal(a, 1), expr.logic_not(b[0]))):
        circuit.ry(0.7, 2)
    with circuit.switch(a) as case:
        with case(0):
            circuit.x(0)
        with case(1, 2):
            circuit.y(1)
        with case(case.DEFAULT):
            circuit.x(2)
    with circuit.for_loop(range(4)):
        circuit.ry(0.3, 2)
    circuit.measure(1, 1)
    circuit.measure(2, 2)
    p = np.sin((0.7 + 1.2) / 2) ** 2
    same_distribution(exact(run, qasm3.dumps(circuit)), {"001": 1 - p, "101": p}, 2e-6)


@cache
def cirq_circuit() -> tuple[Any, dict[str, float]]:
    import cirq

    a, b, c = cirq.LineQubit.range(3)
    circuit = cirq.Circuit(
        cirq.Y(a) ** 0.3,
        cirq.X(b) ** 0.7,
        cirq.H(c) ** 0.4,
        cirq.CNOT(a, b) ** 0.5,
        cirq.ISWAP(b, c) ** 0.3,
        cirq.FSimGate(0.3, 0.2)(a, c),
        cirq.PhasedXPowGate(phase_exponent=0.2, exponent=0.3)(a),
        cirq.CCX(a, b, c),
        cirq.CSWAP(c, a, b),
        cirq.ZZ(a, b) ** 0.2,
        cirq.rx(0.3)(b),
        cirq.SWAP(a, c) ** 0.25,
        cirq.CZ(b, c) ** 0.1,
    )
    weights = np.abs(cirq.Simulator(dtype=np.complex128).simulate(circuit).final_state_vector) ** 2
    # Cirq's first qubit is the most significant bit; our lowest bit stands on the right.
    expected = {f"{index:03b}"[::-1]: float(p) for index, p in enumerate(weights)}
    circuit.append(cirq.measure(a, b, c, key="m"))
    return circuit, expected


@pytest.mark.parametrize("version", ["2.0", "3.0"])
def test_cirq(run: Run, version: str) -> None:
    circuit, expected = cirq_circuit()
    same_distribution(exact(run, circuit.to_qasm(version=version)), expected, 3e-6)


def test_cirq_classical_control(run: Run) -> None:
    import cirq

    a, b = cirq.LineQubit.range(2)
    circuit = cirq.Circuit(
        cirq.ry(0.7)(a),
        cirq.measure(a, key="first"),
        cirq.X(b).with_classical_controls("first"),
        cirq.reset(a),
        cirq.measure(b, key="second"),
    )
    p = np.sin(0.35) ** 2
    same_distribution(exact(run, circuit.to_qasm(version="3.0")), {"00": 1 - p, "11": p}, 2e-6)


def test_pennylane(run: Run) -> None:
    import pennylane as qml

    operations = [
        qml.RX(0.3, 0), qml.RY(1.2, 1), qml.RZ(0.4, 2), qml.Rot(0.1, 0.2, 0.3, 0),
        qml.CNOT([0, 1]), qml.CRX(0.4, [1, 2]), qml.IsingXX(0.3, [0, 2]), qml.PhaseShift(0.2, 1),
        qml.Toffoli([0, 1, 2]), qml.CSWAP([2, 0, 1]), qml.SX(0), qml.U3(0.1, 0.2, 0.3, 2),
        qml.MultiRZ(0.4, [0, 1, 2]), qml.QFT([0, 1, 2]), qml.adjoint(qml.T(1)), qml.ISWAP([0, 1]),
        qml.GlobalPhase(0.3),
    ]  # fmt: skip
    tape = qml.tape.QuantumScript(operations, [qml.probs(wires=[0, 1, 2])])
    weights = qml.device("default.qubit", wires=3).execute(tape)
    program = qml.to_openqasm(tape, wires=qml.wires.Wires([0, 1, 2]), precision=17)
    # PennyLane's first wire is the most significant bit.
    expected = {f"{index:03b}"[::-1]: float(p) for index, p in enumerate(weights)}
    same_distribution(exact(run, program), expected, 3e-6)
