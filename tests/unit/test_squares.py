"""Squares of observables, against their matrices."""

from __future__ import annotations

from functools import reduce

import numpy as np
import numpy.typing as npt
import pytest

from qdispatch.model import PauliSum, PauliTerm
from tasks.simulators import SimulationError
from tasks.simulators.amplitudes import deviation
from tasks.simulators.squares import square, squares
from tasks.simulators.values import terms

LETTERS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def matrix(observable: PauliSum, n_qubits: int) -> npt.NDArray[np.complex128]:
    """Dense, with qubit 0 in the least significant bit."""
    total = np.zeros((2**n_qubits, 2**n_qubits), dtype=np.complex128)
    for term in observable.terms:
        letters = term.letters()
        order = [LETTERS[letters.get(qubit, "I")] for qubit in reversed(range(n_qubits))]
        total += term.coefficient * reduce(np.kron, order)
    return total


def drawn(rng: np.random.Generator, n_terms: int) -> PauliSum:
    """Some strings on three qubits, some of them more than once."""
    return PauliSum(
        terms=tuple(
            PauliTerm(paulis="".join(rng.choice(list("IXYZ"), 3)), coefficient=rng.normal())
            for _ in range(n_terms)
        )
    )


@pytest.mark.parametrize("n_terms", [1, 2, 10, 40])
def test_a_square_is_that_of_the_matrix_without_its_identity(n_terms: int) -> None:
    rng = np.random.default_rng(n_terms)
    observable = drawn(rng, n_terms)
    dense = matrix(observable, 3)
    dense -= np.trace(dense) / 8 * np.eye(8)
    np.testing.assert_allclose(matrix(square(observable), 3), dense @ dense, atol=1e-12)


def test_deviation_is_that_of_the_matrix() -> None:
    rng = np.random.default_rng(3)
    observable = drawn(rng, 12)
    state = rng.normal(size=8) + 1j * rng.normal(size=8)
    moved = (matrix(observable, 3) - 0.3 * np.eye(8)) @ state
    expected = np.vdot(moved, moved).real / np.vdot(state, state).real
    assert deviation(state, terms(observable), 0.3) == pytest.approx(expected)


def test_deviation_across_blocks() -> None:
    rng = np.random.default_rng(4)
    state = rng.normal(size=2**17) + 1j * rng.normal(size=2**17)
    # On qubits 0 and 16 alone: the others are rows of the same matrix.
    observable = PauliSum(
        terms=(
            PauliTerm(paulis="YX", qubits=(16, 0)),
            PauliTerm(paulis="YZ", qubits=(0, 16), coefficient=-0.7),
        )
    )
    near = PauliSum(
        terms=(
            PauliTerm(paulis="YX", qubits=(1, 0)),
            PauliTerm(paulis="YZ", qubits=(0, 1), coefficient=-0.7),
        )
    )
    table = state.reshape(2, 2**15, 2).transpose(0, 2, 1).reshape(4, -1)
    moved = (matrix(near, 2) - 0.2 * np.eye(4)) @ table
    expected = np.linalg.norm(moved) ** 2 / np.linalg.norm(table) ** 2
    assert deviation(state, terms(observable), 0.2) == pytest.approx(expected)


def test_all_squares_together_are_bounded() -> None:
    rng = np.random.default_rng(5)
    labels = {"".join(rng.choice(list("IXYZ"), 12)) for _ in range(460)}
    one = PauliSum(terms=tuple(PauliTerm(paulis=label) for label in sorted(labels)))
    assert len(squares((one,))[0].terms) > 50_000
    with pytest.raises(SimulationError, match=r"at most 100,000"):
        squares((one, one))
