"""Symbols and the global phase of Cirq's circuits, in the programs that are made of them."""

from __future__ import annotations

import math
from typing import Any

import cirq
import numpy as np
import pytest
import sympy

from qdispatch.circuits import describe
from qdispatch.circuits.cirq_expressions import angle, phase_of
from qdispatch.circuits.writer import Expression
from qdispatch.errors import CircuitError
from qdispatch.model import ProgramFormat
from tests.sdk.matrix_of import exact_unitary, written_phase

A, B, C, D = cirq.LineQubit.range(4)
T, S = sympy.symbols("t s")
VALUES = {"t": 0.37, "s": -1.71}


def same_with_phase(circuit: cirq.Circuit) -> None:
    form = describe(circuit, parametric=True, keep_phase=True)
    values = {name: VALUES[key] for key, name in form.parameter_of.items() if key in VALUES}
    resolved = cirq.resolve_parameters(circuit, VALUES)
    assert np.abs(exact_unitary(form, values) - resolved.unitary()).max() < 1e-9


SHIFT = 0.2
SYMBOLIC = [
    cirq.X(A) ** T, cirq.Y(A) ** T, cirq.Z(A) ** T, cirq.H(A) ** T, cirq.CZ(A, B) ** T,
    cirq.XX(A, B) ** T, cirq.YY(A, B) ** T, cirq.ZZ(A, B) ** T, cirq.CX(A, B) ** T,
    cirq.SWAP(A, B) ** T, cirq.ISWAP(A, B) ** T, cirq.CCZ(A, B, C) ** T, cirq.CCX(A, B, C) ** T,
    cirq.rx(T)(A), cirq.ry(T + 1)(A), cirq.rz(2 * T)(A), cirq.cphase(T)(A, B), cirq.ms(T)(A, B),
    cirq.PhasedXPowGate(phase_exponent=S, exponent=T, global_shift=SHIFT)(A),
    cirq.PhasedXZGate(x_exponent=S, z_exponent=T, axis_phase_exponent=0.3)(A),
    cirq.FSimGate(S, T)(A, B), cirq.PhasedFSimGate(S, T, 0.3, 0.4, 0.5)(A, B),
    cirq.PhasedISwapPowGate(phase_exponent=S, exponent=T)(A, B), cirq.givens(T)(A, B),
    cirq.XPowGate(exponent=T, global_shift=SHIFT)(A),
    cirq.ZPowGate(exponent=T, global_shift=SHIFT)(A).controlled_by(B),
    cirq.CZPowGate(exponent=T, global_shift=SHIFT)(A, B),
    cirq.CCZPowGate(exponent=T, global_shift=SHIFT)(A, B, C),
    cirq.rx(T)(A).controlled_by(B), cirq.ry(T)(A).controlled_by(B, C, control_values=[0, 1]),
    cirq.X(A).controlled_by(B, C, D) ** T, cirq.rz(T)(A).controlled_by(B, C, D),
    cirq.CZ(A, B).controlled_by(C, D) ** T, cirq.rx(T)(A).controlled_by(
        B, C, control_values=cirq.SumOfProducts([(0, 1), (1, 0)])
    ),
    cirq.FSimGate(S, T)(A, B).controlled_by(C), cirq.SWAP(A, B).controlled_by(C) ** T,
    cirq.H(A).controlled_by(B) ** T, cirq.ZZ(A, B).controlled_by(C) ** T,
    cirq.PauliStringPhasor(cirq.X(A) * cirq.Y(B), exponent_neg=T, exponent_pos=S),
    cirq.ParallelGate(cirq.X**T, 2)(A, B), cirq.TwoQubitDiagonalGate([T, S, 0, 1])(A, B),
    cirq.DiagonalGate([T, S])(A), cirq.global_phase_operation(1j**T),
    cirq.global_phase_operation(sympy.exp(sympy.I * T)).controlled_by(A),
    cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(A) ** S), param_resolver={"s": T + 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    "op", SYMBOLIC, ids=[f"{k}-{type(each.gate).__name__}" for k, each in enumerate(SYMBOLIC)]
)
def test_symbols_are_carried_with_the_phase(op: Any) -> None:
    same_with_phase(cirq.Circuit(cirq.I(A), cirq.H(B), op))


@pytest.mark.parametrize(
    "expression",
    [
        T + S, T - S, T * S, T / S, 2 * T, T / 3, T**2, T**-1, 1 / T**2, sympy.sqrt(T),
        sympy.Rational(1, 3) * T, sympy.pi * T, sympy.E * T, sympy.sin(T), sympy.cos(T * S),
        sympy.tan(T), sympy.asin(T), sympy.acos(T), sympy.atan(S), sympy.exp(S), sympy.log(T),
        sympy.Abs(S), sympy.floor(10 * T) / 3, sympy.ceiling(10 * T), sympy.Mod(S, T), -T,
        (T + S) ** 2 * (T - 1e-17), 0.1 * T + 0.2,
    ],
    ids=str,
)  # fmt: skip
def test_expressions_have_all_their_digits(expression: Any) -> None:
    circuit = cirq.Circuit(cirq.rz(expression)(A))
    form = describe(circuit, parametric=True)
    expected = float(expression.subs(VALUES))
    values = {form.parameter_of[name]: VALUES[name] for name in cirq.parameter_names(circuit)}
    (_, turned) = np.diag(exact_unitary(form, values)) ** 2
    assert abs(turned - np.exp(1j * expected)) < 1e-14 * max(1, abs(expected))


def test_numbers_in_expressions_are_full_doubles() -> None:
    value = 0.1 + 0.2
    assert angle(value * T, {"t": "t"}) == f"({value!r} * t)"
    assert angle(T - value, {"t": "t"}) in (f"(t + (-{value!r}))", f"((-{value!r}) + t)")
    assert angle(sympy.pi / 4, {}) == math.pi / 4
    assert not isinstance(angle(1, {}), Expression)


def test_symbols_are_inputs_under_fit_names() -> None:
    symbols = [sympy.Symbol(name) for name in ("theta", "pi", "a b", "q")]
    circuit = cirq.Circuit([cirq.rx(each)(A) for each in symbols], cirq.measure(A, key="theta"))
    form = describe(circuit, parametric=True)
    assert form.program_format is ProgramFormat.OPENQASM3
    assert len(set(form.parameters)) == 4
    assert form.parameter_of["theta"] == form.parameter_of[sympy.Symbol("theta")] == "theta"
    assert all(f"input float[64] {name};" in form.program for name in form.parameters)
    assert not any(name in form.parameters for name in ("pi", "a b", "q"))


def phased(n_qubits: int) -> Any:
    return cirq.testing.random_unitary(2**n_qubits, random_state=n_qubits)


FIXED = [
    cirq.X(A), cirq.X(A) ** 0.3, cirq.X(A) ** -1, cirq.Y(A) ** 0.5, cirq.rx(0.3)(A), cirq.T(A),
    cirq.XPowGate(exponent=-1, global_shift=SHIFT)(A), cirq.HPowGate(global_shift=SHIFT)(A),
    cirq.HPowGate(exponent=-1, global_shift=SHIFT)(A), cirq.CXPowGate(global_shift=SHIFT)(A, B),
    cirq.SwapPowGate(exponent=0.3, global_shift=SHIFT)(A, B), cirq.CCX(A, B, C) ** 0.3,
    cirq.global_phase_operation(1j**0.3), cirq.global_phase_operation(-1).controlled_by(A),
    cirq.MatrixGate(phased(1))(A), cirq.MatrixGate(phased(2))(A, B),
    cirq.MatrixGate(phased(3))(C, A, B), cirq.MatrixGate(phased(1))(A).controlled_by(B),
    cirq.MatrixGate(phased(2))(A, C).controlled_by(B), cirq.ISWAP(A, B) ** 0.37,
    cirq.H(A).controlled_by(B, control_values=[False]), cirq.FSimGate(0.1, 0.2)(A, B),
    cirq.QuantumFourierTransformGate(3)(A, B, C), cirq.X(A) * cirq.Y(B),
    1j * cirq.X(A) * cirq.Y(B), -cirq.DensePauliString("XYZ")(A, B, C),
    cirq.SingleQubitCliffordGate.X_sqrt(A), cirq.DiagonalGate([0.1, 0.2, 0.3, 0.4])(A, B),
]  # fmt: skip


@pytest.mark.parametrize(
    "op", FIXED, ids=[f"{k}-{type(each.gate).__name__}" for k, each in enumerate(FIXED)]
)
def test_the_global_phase_is_kept(op: Any) -> None:
    circuit = cirq.Circuit(cirq.I(A), cirq.H(B), op)
    counted = cirq.Circuit(cirq.I(A), cirq.H(B), *map(plain, circuit[-1]))
    form = describe(circuit, keep_phase=True)
    expected = counted.unitary() if op is FIXED[20] else circuit.unitary()
    assert np.abs(exact_unitary(form) - expected).max() < 1e-9


def plain(op: Any) -> Any:
    """With 0 for False as a control value, of which Cirq's own unitary is wrong."""
    if isinstance(op, cirq.ControlledOperation) and False in op.control_values.expand():
        return op.sub_operation.controlled_by(*op.controls, control_values=[0])
    return op


@pytest.mark.parametrize("seed", range(8))
def test_the_global_phase_of_random_circuits(seed: int) -> None:
    same_with_phase(cirq.testing.random_circuit(4, 8, 0.8, random_state=seed))


def test_the_phase_is_left_out_unless_asked_for() -> None:
    circuit = cirq.Circuit(cirq.X(A) ** 0.5, cirq.global_phase_operation(1j))
    assert not written_phase(describe(circuit))
    assert written_phase(describe(circuit, keep_phase=True))


def test_phases_of_coefficients() -> None:
    assert phase_of(-1) == pytest.approx(math.pi)
    symbolic = phase_of(sympy.exp(2 * sympy.I * T) * sympy.I**S)
    assert float(symbolic.subs(VALUES)) == pytest.approx(2 * 0.37 - 1.71 * math.pi / 2)
    assert phase_of(T) is None
    assert phase_of(sympy.exp(T)) is None


class Stubborn(cirq.Gate):
    """Has a matrix as soon as its symbol has a value, and no decomposition."""

    def __init__(self, exponent: Any) -> None:
        self.exponent = exponent

    def _num_qubits_(self) -> int:
        return 1

    def _is_parameterized_(self) -> bool:
        return cirq.is_parameterized(self.exponent)

    def _parameter_names_(self) -> Any:
        return cirq.parameter_names(self.exponent)

    def _resolve_parameters_(self, resolver: Any, recursive: bool) -> Stubborn:
        return Stubborn(resolver.value_of(self.exponent, recursive))

    def _has_unitary_(self) -> bool:
        return not self._is_parameterized_()

    def _unitary_(self) -> Any:
        if self._is_parameterized_():
            return NotImplemented
        return cirq.unitary(cirq.X**self.exponent)

    def __str__(self) -> str:
        return f"Stubborn({self.exponent})"


def test_what_cannot_stay_symbolic_is_named() -> None:
    circuit = cirq.Circuit(Stubborn(T)(A))
    with pytest.raises(CircuitError, match=r"no value for t; give it one with") as caught:
        describe(circuit, parametric=True)
    assert "Stubborn" in caught.value.gate
    assert describe(cirq.resolve_parameters(circuit, {"t": 0.3})).n_qubits == 1


@pytest.mark.parametrize(
    ("expression", "culprit"),
    [(sympy.Max(T, S), "Max"), (sympy.Piecewise((T, T > 0), (S, True)), "Piecewise"),
     (sympy.I * T, "I")],
    ids=["max", "piecewise", "imaginary"],
)  # fmt: skip
def test_expressions_without_a_word_are_named(expression: Any, culprit: str) -> None:
    circuit = cirq.Circuit(cirq.rz(expression)(A))
    with pytest.raises(CircuitError, match=r"cirq\.flatten") as caught:
        describe(circuit, parametric=True)
    assert culprit in caught.value.gate


def test_a_symbolic_number_of_repetitions_is_refused() -> None:
    loop = cirq.CircuitOperation(cirq.FrozenCircuit(cirq.X(A)), repetitions=sympy.Symbol("n"))
    with pytest.raises(CircuitError, match="number of repetitions"):
        describe(cirq.Circuit(loop), parametric=True)
