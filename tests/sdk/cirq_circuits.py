"""Circuits of Cirq on which the sampler is held against Cirq's own simulator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import cirq
import sympy

A, B, C, D = cirq.LineQubit.range(4)


def bell() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.H(A), cirq.CX(A, B), cirq.measure(A, key="a"), cirq.measure(B, key="b")
    )


def ghz() -> cirq.Circuit:
    return cirq.Circuit(cirq.H(A), cirq.CX(A, B), cirq.CX(B, C), cirq.measure(A, B, C, key="m"))


def odd_order_of_keys() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.4)(A), cirq.ry(1.1)(B), cirq.ry(2.0)(C), cirq.CX(C, A),
        cirq.measure(C, A, key="z"), cirq.measure(B, key="a"), cirq.measure(D, key="m"),
    )  # fmt: skip


def unmeasured_qubits() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.H.on_each(A, B, C, D), cirq.CX(A, C), cirq.ry(0.7)(C), cirq.measure(C, key="c")
    )


def other_qubits() -> cirq.Circuit:
    grid, named = cirq.GridQubit(2, 3), cirq.NamedQubit("ancilla")
    return cirq.Circuit(
        cirq.ry(0.5)(grid), cirq.CX(grid, named), cirq.rx(1)(named), cirq.H(D),
        cirq.measure(named, D, grid, key="all of them"),
    )  # fmt: skip


def teleportation() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.9)(A), cirq.H(B), cirq.CX(B, C), cirq.CX(A, B), cirq.H(A),
        cirq.measure(A, key="phase"), cirq.measure(B, key="flip"),
        cirq.X(C).with_classical_controls("flip"), cirq.Z(C).with_classical_controls("phase"),
        cirq.measure(C, key="out"),
    )  # fmt: skip


def condition_on_two_keys() -> cirq.Circuit:
    a, b = sympy.symbols("a b")
    return cirq.Circuit(
        cirq.H.on_each(A, B, C), cirq.measure(A, B, key="a"), cirq.measure(C, key="b"),
        cirq.X(D).with_classical_controls(sympy.Eq(a, 2 * b + 1)), cirq.measure(D, key="d"),
    )  # fmt: skip


def repeated_key() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.6)(A), cirq.measure(A, B, key="k"), cirq.H(B), cirq.measure(B, A, key="k"),
        cirq.ry(1.3)(A), cirq.measure(A, B, key="k"), cirq.measure(B, key="once"),
    )  # fmt: skip


def condition_on_a_repeated_key() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.H(A), cirq.measure(A, key="k"), cirq.X(B).with_classical_controls("k"),
        cirq.H(A), cirq.measure(A, key="k"), cirq.X(C).with_classical_controls("k"),
        cirq.measure(B, C, key="out"),
    )  # fmt: skip


def repeated_sub_circuit() -> cirq.Circuit:
    inner = cirq.FrozenCircuit(cirq.ry(0.8)(A), cirq.CX(A, B), cirq.measure(A, B, key="m"))
    return cirq.Circuit(cirq.CircuitOperation(inner, repetitions=3, use_repetition_ids=False))


def sub_circuit_with_ids() -> cirq.Circuit:
    inner = cirq.FrozenCircuit(
        cirq.H(A), cirq.measure(A, key="m"), cirq.X(B).with_classical_controls("m")
    )
    loop = cirq.CircuitOperation(inner, repetitions=2, use_repetition_ids=True)
    return cirq.Circuit(loop, cirq.measure(B, key="out"))


def inverted() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.5)(A), cirq.CX(A, B),
        cirq.measure(A, B, key="k", invert_mask=(False, True)),
        cirq.measure(C, key="one", invert_mask=(True,)),
    )  # fmt: skip


def inverted_and_read() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.5)(A), cirq.measure(A, key="k", invert_mask=(True,)),
        cirq.X(B).with_classical_controls("k"), cirq.measure(A, B, key="out"),
    )  # fmt: skip


def reset() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.H(A), cirq.CX(A, B), cirq.reset(A), cirq.ry(0.7)(A), cirq.measure(B, A, key="k")
    )


def pauli_measurement() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.ry(0.4)(A), cirq.CX(A, B), cirq.rx(0.8)(B),
        cirq.measure_single_paulistring(cirq.X(A) * cirq.Z(B), key="xz"),
        cirq.measure(A, B, key="k"),
    )  # fmt: skip


def random_gates() -> cirq.Circuit:
    circuit = cirq.testing.random_circuit([A, B, C, D], 12, 0.7, random_state=5)
    return circuit + cirq.measure(B, D, A, key="k")


def excitation_gates() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.X(A), cirq.FSimGate(0.4, 0.3)(A, B), cirq.ISWAP(B, C) ** 0.3, cirq.givens(0.7)(A, C),
        cirq.PhasedXZGate(x_exponent=0.3, z_exponent=0.1, axis_phase_exponent=0.7)(B),
        cirq.measure(C, B, A, key="k"),
    )  # fmt: skip


def matrices() -> cirq.Circuit:
    two = cirq.testing.random_unitary(4, random_state=1)
    one = cirq.testing.random_unitary(2, random_state=2)
    return cirq.Circuit(
        cirq.H(C), cirq.MatrixGate(two)(C, A), cirq.MatrixGate(one)(B).controlled_by(A),
        cirq.QuantumFourierTransformGate(3)(A, B, C), cirq.measure(A, B, C, key="k"),
    )  # fmt: skip


def certain() -> cirq.Circuit:
    return cirq.Circuit(
        cirq.X(A), cirq.X(C), cirq.CCX(A, C, D), cirq.SWAP(A, B), cirq.measure(A, B, C, D, key="k"),
        cirq.measure(D, key="d", invert_mask=(True,)),
    )  # fmt: skip


def certain_with_repetitions() -> cirq.Circuit:
    inner = cirq.FrozenCircuit(
        cirq.X(A), cirq.measure(A, key="m"), cirq.X(B).with_classical_controls("m")
    )
    return cirq.Circuit(
        cirq.CircuitOperation(inner, repetitions=5, use_repetition_ids=False),
        cirq.measure(B, C, key="out"),
    )


UNCERTAIN: Final[Mapping[str, Callable[[], cirq.Circuit]]] = {
    make.__name__: make
    for make in (
        bell, ghz, odd_order_of_keys, unmeasured_qubits, other_qubits, teleportation,
        condition_on_two_keys, repeated_key, condition_on_a_repeated_key, repeated_sub_circuit,
        sub_circuit_with_ids, inverted, inverted_and_read, reset, pauli_measurement, random_gates,
        excitation_gates, matrices,
    )
}  # fmt: skip
"""Whose outcomes are random."""

CERTAIN: Final[Mapping[str, Callable[[], cirq.Circuit]]] = {
    make.__name__: make for make in (certain, certain_with_repetitions)
}
"""With one possible outcome."""


def joint(result: Any) -> Any:
    """All records of each repetition in a row, keys in alphabetical order; uint8."""
    import numpy as np

    rows = [result.records[key].reshape(result.repetitions, -1) for key in sorted(result.records)]
    return np.concatenate(rows, axis=1).astype(np.uint8)
