"""Rotations that were joined, against the same gates one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.circuit import Gate
from tasks.simulators.rotations import joined
from tests.unit.test_fusion import ANGLES, N_QUBITS, any_gate, unitary


@st.composite
def rotation(draw: st.DrawFn) -> Gate:
    qubit = draw(st.integers(0, N_QUBITS - 1))
    return Gate(draw(st.sampled_from(("ry", "rz"))), (qubit,), (draw(ANGLES),))


@settings(max_examples=100)
@given(gates=st.lists(st.one_of(rotation(), rotation(), any_gate()), max_size=20))
def test_the_whole_is_the_same_but_for_a_phase(gates: list[Gate]) -> None:
    expected, found = unitary(gates), unitary(list(joined(gates)))
    # Of unitary matrices that differ by a phase, this is as large as it can be.
    overlap = abs(np.vdot(expected, found)) / 2**N_QUBITS
    assert overlap == pytest.approx(1, abs=1e-12)


def test_as_few_gates_as_there_can_be() -> None:
    ry, rz, cx = (Gate("ry", (0,), ("a",)), Gate("rz", (0,), ("b",)), Gate("cx", (0, 1)))  # type: ignore[arg-type]
    elsewhere = Gate("h", (2,))
    one = Gate("u", (0,), ("a", "b", 0.0))  # type: ignore[arg-type]
    assert joined([ry, rz]) == (one,)
    assert joined([rz, ry]) == (replaced(one, ("a", 0.0, "b")),)
    assert joined([rz, ry, rz]) == (replaced(one, ("a", "b", "b")),)
    assert joined([rz, ry, rz, ry]) == (replaced(one, ("a", "b", "b")), ry)
    assert joined([ry, elsewhere, rz]) == (one, elsewhere)
    assert joined([ry, cx, rz]) == (ry, cx, rz)
    assert joined([ry, ry, rz, rz]) == (ry, one, rz)


def replaced(gate: Gate, params: tuple[object, ...]) -> Gate:
    return Gate(gate.name, gate.qubits, params)  # type: ignore[arg-type]
