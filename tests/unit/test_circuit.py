"""The neutral form: which circuits are static, and what conditions compute."""

from __future__ import annotations

import pytest

from tasks.circuit import (
    GATES,
    Bits,
    Branch,
    Circuit,
    Constant,
    Gate,
    Loop,
    Measure,
    Op,
    Operation,
    Reset,
    Store,
)

H0 = Gate("h", (0,))
CX = Gate("cx", (0, 1))
TRUE = Constant(1)


def circuit(*ops: Op) -> Circuit:
    return Circuit(n_qubits=2, n_clbits=2, ops=ops)


def test_measurements_at_the_end_are_terminal() -> None:
    found = circuit(H0, CX, Measure(1, 0), Measure(0, 1)).terminal
    assert found == {0: 1, 1: 0}


def test_gates_on_other_qubits_may_follow_a_measurement() -> None:
    assert circuit(Measure(1, 0), H0).terminal == {0: 1}


def test_the_last_measurement_into_a_bit_counts() -> None:
    assert circuit(Measure(0, 0), Measure(1, 0)).terminal == {0: 1}


def test_a_qubit_can_be_measured_into_two_bits() -> None:
    assert circuit(Measure(0, 0), Measure(0, 1)).terminal == {0: 0, 1: 0}


@pytest.mark.parametrize(
    "ops",
    [
        (Measure(0, 0), H0),
        (Measure(0, 0), CX),
        (H0, Reset(0)),
        (Branch(TRUE, (H0,)),),
        (Loop(TRUE, (H0,)),),
        (Store((0,), TRUE),),
    ],
    ids=["reused", "reused-by-cx", "reset", "branch", "loop", "store"],
)
def test_dynamic_circuits_have_no_terminal_measurements(ops: tuple[Op, ...]) -> None:
    assert circuit(*ops).terminal is None


def test_gates_of_a_static_circuit() -> None:
    assert list(circuit(H0, CX, Measure(0, 0)).gates()) == [H0, CX]


def test_bits_read_the_first_as_the_lowest() -> None:
    assert Bits((3, 5)).value({3: 1, 5: 1}) == 3
    assert Bits((3, 5)).value({5: 1}) == 2
    assert Bits((3,)).value({}) == 0


@pytest.mark.parametrize(
    ("symbol", "left", "right", "value"),
    [
        ("==", 2, 2, 1), ("!=", 2, 2, 0), ("<", 1, 2, 1), ("<=", 2, 2, 1), (">", 1, 2, 0),
        (">=", 2, 2, 1), ("&&", 2, 1, 1), ("&&", 2, 0, 0), ("||", 0, 4, 1), ("||", 0, 0, 0),
        ("&", 6, 3, 2), ("|", 6, 3, 7), ("^", 6, 3, 5), ("+", 6, 3, 9), ("*", 6, 3, 18),
        ("<<", 1, 3, 8), (">>", 8, 2, 2),
    ],
)  # fmt: skip
def test_operators(symbol: str, left: int, right: int, value: int) -> None:
    assert Operation(symbol, (Constant(left), Constant(right))).value({}) == value


def test_not_is_logical() -> None:
    assert Operation("!", (Constant(2),)).value({}) == 0
    assert Operation("!", (Bits((0,)),)).value({}) == 1


def test_controlled_gates_have_as_many_qubits_as_their_names_say() -> None:
    for name, (n_params, n_qubits) in GATES.items():
        assert n_qubits == 1 + name.startswith("c") + name.startswith("cc") + (
            "swap" in name or name in {"rxx", "ryy", "rzz"}
        ), name
        assert 0 <= n_params <= 4


def test_numbers_do_not_grow_without_end() -> None:
    one = Constant(1)
    assert Operation("<<", (one, Constant(3_000_000_000))).value({}) == 0
    assert Operation("<<", (one, Constant(4095))).value({}) == 1 << 4095
    largest = Constant((1 << 4096) - 1)
    assert Operation("+", (largest, one)).value({}) == 0
    assert Operation("*", (largest, Constant(2))).value({}) == (1 << 4096) - 2
