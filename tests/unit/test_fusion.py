"""Gates that were multiplied, against the same gates one by one."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.circuit import GATES, Gate
from tasks.simulators.fusion import Fused, Step, fuse
from tasks.simulators.matrices import matrix

N_QUBITS = 3

ANGLES = st.floats(-4 * math.pi, 4 * math.pi)


@st.composite
def any_gate(draw: st.DrawFn) -> Gate:
    name = draw(st.sampled_from(sorted(GATES)))
    n_params, n_qubits = GATES[name]
    qubits = draw(st.permutations(range(N_QUBITS)))[:n_qubits]
    return Gate(name, tuple(qubits), tuple(draw(ANGLES) for _ in range(n_params)))


def unitary(steps: list[Step] | list[Gate]) -> npt.NDArray[np.complex128]:
    """Of all qubits, qubit 0 in the least significant bit."""
    total = np.eye(2**N_QUBITS, dtype=np.complex128)
    for step in steps:
        one = step.matrix if isinstance(step, Fused) else matrix(step)
        k = len(step.qubits)
        # Axis 0 is the highest qubit; the gate's first qubit its first axis.
        axes = [N_QUBITS - 1 - qubit for qubit in step.qubits]
        tensor = total.reshape((2,) * N_QUBITS + (-1,))
        moved = np.tensordot(one.reshape((2,) * 2 * k), tensor, (range(k, 2 * k), axes))
        total = np.moveaxis(moved, range(k), axes).reshape(2**N_QUBITS, -1)
    return total


def costs(single: float, pair: float, step: Step) -> float:
    if isinstance(step, Fused):
        return single if len(step.qubits) == 1 else pair
    return 1.0


@pytest.mark.parametrize("pair", [0.5, 3.5, 99.0], ids=["always", "where-it-pays", "never"])
@settings(max_examples=40)
@given(gates=st.lists(any_gate(), max_size=15))
def test_the_whole_is_the_same(pair: float, gates: list[Gate]) -> None:
    steps = fuse(gates, lambda step: costs(0.9, pair, step))
    np.testing.assert_allclose(unitary(steps), unitary(gates), atol=1e-12)
    assert len(steps) <= len(gates)
    for step in steps:
        if isinstance(step, Fused):
            assert step.matrix.flags.c_contiguous
            assert step.matrix.dtype == np.complex128


def test_gates_on_one_qubit_become_one_and_a_single_one_stays() -> None:
    gates = [Gate("h", (0,)), Gate("t", (0,)), Gate("s", (1,)), Gate("sx", (0,))]
    first, second = fuse(gates, lambda step: costs(1.0, 9.0, step))
    assert isinstance(first, Fused)
    assert first.qubits == (0,)
    assert second == Gate("s", (1,))


def test_a_pair_is_multiplied_only_where_that_is_cheaper() -> None:
    swap = [Gate("cx", (0, 1)), Gate("cx", (1, 0)), Gate("cx", (0, 1))]
    assert fuse(swap, lambda step: costs(1.0, 3.0, step)) == swap
    (one,) = fuse(swap, lambda step: costs(1.0, 2.9, step))
    assert isinstance(one, Fused)
    np.testing.assert_allclose(one.matrix, matrix(Gate("swap", (0, 1))), atol=1e-15)
