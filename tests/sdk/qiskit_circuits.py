"""Circuits of Qiskit with several registers, unmeasured qubits and odd orders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

import qiskit.circuit.library as lib
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Clbit, Qubit
from qiskit.circuit.random import random_circuit


def bell() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [0, 1])
    return circuit


def crossed() -> QuantumCircuit:
    """Qubits are measured into bits in another order."""
    circuit = QuantumCircuit(3, 3)
    circuit.ry(0.4, 0)
    circuit.ry(1.1, 1)
    circuit.cx(1, 2)
    circuit.measure([0, 1, 2], [2, 0, 1])
    return circuit


def two_registers() -> QuantumCircuit:
    circuit = QuantumCircuit(
        QuantumRegister(2, "left"), QuantumRegister(1, "right"),
        ClassicalRegister(1, "b"), ClassicalRegister(2, "a"),
    )  # fmt: skip
    circuit.h(0)
    circuit.crx(0.7, 0, 2)
    circuit.x(1)
    circuit.measure([2, 0, 1], [0, 2, 1])
    return circuit


def unmeasured_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit(4, 2)
    circuit.h(range(4))
    circuit.ccx(0, 1, 2)
    circuit.cz(2, 3)
    circuit.rx(0.3, 3)
    circuit.measure([2, 3], [1, 0])
    return circuit


def unmeasured_bits() -> QuantumCircuit:
    circuit = QuantumCircuit(
        QuantumRegister(2), ClassicalRegister(2, "unused"), ClassicalRegister(3, "wide"),
        ClassicalRegister(1, "flag"),
    )  # fmt: skip
    circuit.ry(0.9, 0)
    circuit.cx(0, 1)
    circuit.measure(0, 4)
    circuit.measure(1, 5)
    return circuit


def measure_all() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.ecr(0, 1)
    circuit.rzx(0.6, 1, 2)
    circuit.measure_all()
    return circuit


def measured_twice() -> QuantumCircuit:
    """One qubit into two bits, and a bit that is written again."""
    circuit = QuantumCircuit(2, 3)
    circuit.ry(1.0, 0)
    circuit.ry(2.0, 1)
    circuit.measure(0, 0)
    circuit.measure(0, 2)
    circuit.measure(1, 1)
    return circuit


def ghz() -> QuantumCircuit:
    circuit = QuantumCircuit(9, 9)
    circuit.h(4)
    for qubit in (3, 2, 1, 0):
        circuit.cx(qubit + 1, qubit)
    for qubit in (4, 5, 6, 7):
        circuit.cx(qubit, qubit + 1)
    circuit.measure(range(9), reversed(range(9)))
    return circuit


def qft() -> QuantumCircuit:
    circuit = QuantumCircuit(4, 4)
    circuit.x([0, 2])
    circuit.append(lib.QFTGate(4), range(4))
    circuit.ry(0.2, range(4))
    circuit.measure(range(4), range(4))
    return circuit


def own_gate() -> QuantumCircuit:
    inner = QuantumCircuit(2, name="mine", global_phase=0.3)
    inner.sx(0)
    inner.cp(0.8, 0, 1)
    inner.sxdg(1)
    circuit = QuantumCircuit(3, 3)
    circuit.h([0, 1, 2])
    circuit.append(inner.to_gate().control(1), [2, 0, 1])
    circuit.append(inner.to_gate().inverse(), [1, 2])
    circuit.h([0, 1, 2])
    circuit.measure([1, 2, 0], [0, 1, 2])
    return circuit


def unitary() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    circuit.unitary([[math.cos(0.3), -math.sin(0.3)], [math.sin(0.3), math.cos(0.3)]], [1])
    circuit.append(lib.XXPlusYYGate(0.4, 0.1), [0, 1])
    circuit.measure([0, 1], [1, 0])
    return circuit


def prepared() -> QuantumCircuit:
    circuit = QuantumCircuit(3, 3)
    circuit.prepare_state([math.sqrt(each / 36) for each in range(9) if each], range(3))
    circuit.measure(range(3), range(3))
    return circuit


def toffolis() -> QuantumCircuit:
    circuit = QuantumCircuit(5, 5)
    circuit.ry(1.2, range(4))
    circuit.mcx([0, 1, 2, 3], 4)
    circuit.cswap(4, 0, 1)
    circuit.rccx(1, 2, 3)
    circuit.measure([4, 0, 3, 1, 2], range(5))
    return circuit


def random_gates() -> QuantumCircuit:
    return random_circuit(4, 8, max_operands=3, measure=True, seed=11)


def wide() -> QuantumCircuit:
    """More bits than a byte has, most of them 0."""
    circuit = QuantumCircuit(
        QuantumRegister(3), ClassicalRegister(11, "low"), ClassicalRegister(7, "high")
    )
    circuit.h(0)
    circuit.ry(0.5, 1)
    circuit.cx(1, 2)
    circuit.measure([0, 1, 2], [10, 0, 17])
    return circuit


def unregistered_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit([Qubit(), Qubit()], ClassicalRegister(2, "c"))
    circuit.rx(1.3, 1)
    circuit.cy(1, 0)
    circuit.measure([0, 1], [0, 1])
    return circuit


def overlapping() -> QuantumCircuit:
    """Registers that share a bit, and bits that are in none. Aer cannot print these."""
    bits = [Clbit() for _ in range(4)]
    circuit = QuantumCircuit(QuantumRegister(3), bits)
    circuit.add_register(ClassicalRegister(bits=[bits[3], bits[1]], name="alias"))
    circuit.add_register(ClassicalRegister(bits=bits[1:3], name="real"))
    circuit.ry(0.8, [0, 1, 2])
    circuit.cx(0, 2)
    circuit.measure([0, 1, 2], [1, 2, 3])
    return circuit


def with_reset() -> QuantumCircuit:
    circuit = QuantumCircuit(2, 3)
    circuit.ry(1.0, 0)
    circuit.measure(0, 0)
    circuit.reset(0)
    circuit.rx(0.4, 0)
    circuit.cx(0, 1)
    circuit.measure([0, 1], [1, 2])
    return circuit


def with_condition() -> QuantumCircuit:
    circuit = QuantumCircuit(
        QuantumRegister(2), ClassicalRegister(1, "m"), ClassicalRegister(2, "out")
    )
    circuit.ry(1.2, 0)
    circuit.measure(0, 0)
    with circuit.if_test((0, 1)) as otherwise:
        circuit.ry(0.5, 1)
    with otherwise:
        circuit.x(1)
    circuit.measure([1, 0], [1, 2])
    return circuit


_Makers = Mapping[str, Callable[[], QuantumCircuit]]

#: Gates, then measurements.
STATIC: Final[_Makers] = {
    each.__name__: each
    for each in (
        bell, crossed, two_registers, unmeasured_qubits, unmeasured_bits, measure_all,
        measured_twice, ghz, qft, own_gate, unitary, prepared, toffolis, random_gates, wide,
        unregistered_qubits,
    )
}  # fmt: skip

#: Measurements in between.
DYNAMIC: Final[_Makers] = {each.__name__: each for each in (with_reset, with_condition)}
