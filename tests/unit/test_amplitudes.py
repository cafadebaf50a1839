"""Samples drawn from a state vector."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.simulators.amplitudes import State, sample

#: More than a piece of the state, and than are looked at together.
N_QUBITS = 17

KINDS = pytest.mark.parametrize("kind", [np.complex64, np.complex128])


def a_state(kind: Any, n_qubits: int) -> State:
    rng = np.random.default_rng(3)
    parts = rng.normal(size=(2, 2**n_qubits))
    state: State = (parts[0] + 1j * parts[1]).astype(kind)
    return state


@KINDS
@pytest.mark.parametrize("n_qubits", [1, 9, N_QUBITS])
def test_each_sample_is_where_its_point_falls(kind: Any, n_qubits: int) -> None:
    state = a_state(kind, n_qubits)
    drawn = sample(state, 2000, np.random.default_rng(5))
    filled = np.cumsum(np.abs(state.astype(np.complex128)) ** 2)
    points = np.sort(np.random.default_rng(5).random(2000)) * filled[-1]
    assert drawn.dtype == np.int64
    # Sums in single precision are off by 1e-7 of the whole, at most a state or two.
    away = np.abs(drawn - np.searchsorted(filled, points, side="right"))
    assert away.max() <= (0 if kind is np.complex128 else 2)


@KINDS
def test_what_cannot_happen_is_not_drawn(kind: Any) -> None:
    weights = {0: 1.0, 1023: 2.0, 1024: 1e-6, 70_000: 3.0, 2**N_QUBITS - 2: 0.5}
    state = np.zeros(2**N_QUBITS, dtype=kind)
    for index, weight in weights.items():
        state[index] = -1j * np.sqrt(weight)
    shots = 100_000
    values, times = np.unique(sample(state, shots, np.random.default_rng(2)), return_counts=True)
    assert set(values.tolist()) <= set(weights)
    share = np.array([weights[value] for value in values.tolist()]) / sum(weights.values())
    # Six standard deviations of a binomial.
    assert np.all(np.abs(times - shots * share) < 6 * np.sqrt(shots * share * (1 - share)) + 1)
