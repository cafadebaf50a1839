"""Circuits for the e2e tests."""

from __future__ import annotations

import cirq
import pennylane as qml
from qiskit import QuantumCircuit

from qdispatch import CustomCircuit

# Asymmetric: a reversed order of bits would show.
ASYMMETRIC = {"001": 0.5, "011": 0.5}


def qiskit_circuit() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    circuit.x(0)
    circuit.h(1)
    circuit.measure([0, 1, 2], [0, 1, 2])
    return circuit


def cirq_circuit() -> cirq.Circuit:
    a, b, c = cirq.LineQubit.range(3)
    return cirq.Circuit(
        cirq.X(a), cirq.H(b), cirq.I(c), [cirq.measure(q, key=f"m{q.x}") for q in (a, b, c)]
    )


def pennylane_circuit() -> qml.tape.QuantumScript:
    operations = [qml.PauliX(0), qml.Hadamard(1), qml.Identity(2)]
    return qml.tape.QuantumScript(operations, [qml.counts(wires=[0, 1, 2])], shots=1000)


OPENQASM2 = """OPENQASM 2.0;
include "qelib1.inc";
gate flip a { x a; }
qreg q[3];
creg c[3];
flip q[0];
h q[1];
measure q -> c;
"""

OPENQASM3 = """OPENQASM 3.0;
include "stdgates.inc";
qubit[3] q;
bit[3] c;
x q[0];
h q[1];
c = measure q;
"""


def custom(program: str, program_format: str = "openqasm2", n_qubits: int = 3) -> CustomCircuit:
    return CustomCircuit(
        program=program,
        program_format=program_format,
        n_qubits=n_qubits,
        depth=2,
        framework="handwritten",
    )


def slow(n_qubits: int = 23, layers: int = 200) -> CustomCircuit:
    """Minutes of native code, on about 8 * 2**n_qubits bytes or more."""
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{n_qubits}];", "creg c[1];"]
    for layer in range(layers):
        lines += [f"rx({0.1 + layer}) q[{qubit}];" for qubit in range(n_qubits)]
        lines += [f"cx q[{q}],q[{q + 1}];" for q in range(layer % 2, n_qubits - 1, 2)]
    lines.append("measure q[0] -> c[0];")
    return custom("\n".join(lines), n_qubits=n_qubits)


def wide(n_qubits: int) -> CustomCircuit:
    """One layer on many qubits: its memory is what counts."""
    program = f'OPENQASM 2.0; include "qelib1.inc"; qreg q[{n_qubits}]; creg c[1];'
    gates = "".join(f"rx(0.1) q[{q}];" for q in range(n_qubits))
    chain = "".join(f"cx q[{q}],q[{q + 1}];" for q in range(n_qubits - 1))
    return custom(f"{program}{gates}{chain}measure q[0] -> c[0];", n_qubits=n_qubits)
