"""Expectation values and variances of stabilizer states.

A Pauli string has the expectation 1, -1 or 0 in a stabilizer state. Which of
them is 0 is the same in every shot of a dynamic circuit, since its Pauli gates
under conditions change signs only. The others are measured without changing
the state, all at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from qdispatch.model import PauliSum
from tasks.simulators import Request
from tasks.simulators.results import wants_variances
from tasks.simulators.squares import squares
from tasks.simulators.stabilizer_circuit import StabilizerCircuit
from tasks.simulators.values import Pauli, Values, constant, pauli, paulis, static_values

_Table = npt.NDArray[np.float64]

#: Shots that tell a sign that is always the same from one that is as often the
#: other; they mistake it in one of 2**255 cases.
_TELLING: Final = 256

#: Signs that are held at a time.
_CHUNK: Final = 2**21


def values(made: StabilizerCircuit, request: Request, rng: np.random.Generator) -> Values:
    """The values that are asked for.

    Args:
        made: The circuit; the measurements at its end are left out.
        request: Its observables and shots.
        rng: The source of randomness.
    """
    squared = squares(request.observables) if wants_variances(request) else ()
    signs = _Signs(made, paulis((*request.observables, *squared)))
    if made.static or not request.shots:
        return static_values(request, squared, signs.means(), rng)
    return _sampled(request, squared, signs, int(rng.integers(2**63)))


class _Signs:
    """Of the Pauli strings whose expectation is not 0 in a shot."""

    def __init__(self, made: StabilizerCircuit, strings: Sequence[Pauli]) -> None:
        import stim

        simulator = stim.TableauSimulator(seed=0)
        simulator.do(stim.Circuit(made.body))
        # Strings may reach beyond the last qubit that a gate acts on.
        simulator.set_num_qubits(max(simulator.num_qubits, made.n_qubits))
        self._found = {
            each: simulator.peek_observable_expectation(stim.PauliString(dict(each)))
            for each in strings
        }
        self.strings = [each for each, mean in self._found.items() if mean]
        self._static = made.static
        self._body = made.body

    def means(self) -> Mapping[Pauli, float]:
        """The exact mean of every string, over all shots."""
        means = {each: float(mean) for each, mean in self._found.items()}
        if self._static or not self.strings:
            return means
        (signs,) = self.sampled(_TELLING, seed=0)
        for each, column in zip(self.strings, signs.T, strict=True):
            means[each] = float(column[0]) if (column == column[0]).all() else 0.0
        return means

    def sampled(self, shots: int, seed: int) -> Iterator[_Table]:
        """The signs in some shots, in pieces of shape (shots, strings)."""
        import stim

        lines = (line for each in self.strings for line in (_measured(each), "DETECTOR rec[-1]"))
        circuit = stim.Circuit("\n".join((self._body, *lines)))
        reference, _ = circuit.reference_detector_and_observable_signs()
        sampler = circuit.compile_detector_sampler(seed=seed)
        most = max(_TELLING, _CHUNK // max(1, len(self.strings)))
        for start in range(0, shots, most):
            flips = sampler.sample(min(most, shots - start))
            yield 1.0 - 2.0 * (flips ^ reference)


def _measured(string: Pauli) -> str:
    return "MPP " + "*".join(f"{letter}{qubit}" for qubit, letter in string)


def _sampled(request: Request, squared: Sequence[PauliSum], signs: _Signs, seed: int) -> Values:
    """As `tasks.simulators.values.average`, over the shots of a dynamic circuit."""
    observables = request.observables
    weights, constants = _weights(observables, signs.strings)
    square_weights, square_constants = _weights(squared, signs.strings)
    offsets = np.array([constant(each) for each in observables])
    total = np.zeros(len(observables))
    squares_total, inside = np.zeros_like(total), np.zeros_like(total)
    origin: Any = None
    for table in signs.sampled(request.shots, seed):
        means = table @ weights + constants
        # Near the mean already, so that no digits are lost.
        origin = means[0].copy() if origin is None else origin
        total += (means - origin).sum(axis=0)
        squares_total += ((means - origin) ** 2).sum(axis=0)
        if squared:
            second = table @ square_weights + square_constants
            inside += np.maximum(0.0, second - (means - offsets) ** 2).sum(axis=0)
    shift = total / request.shots
    spread = np.maximum(0.0, squares_total / request.shots - shift**2)
    errors = np.sqrt(spread / (request.shots - 1)) if request.shots > 1 else spread + np.inf
    variances = inside / request.shots + spread if squared else np.empty(0)
    return Values(
        means=tuple((origin + shift).tolist()),
        errors=tuple(errors.tolist()),
        variances=tuple(variances.tolist()),
    )


def _weights(sums: Sequence[PauliSum], strings: Sequence[Pauli]) -> tuple[_Table, _Table]:
    """The coefficients of some sums, of shape (strings, sums), and of the identity."""
    place = {each: number for number, each in enumerate(strings)}
    weights = np.zeros((len(strings), len(sums)))
    for column, each in enumerate(sums):
        for term in each.terms:
            row = place.get(pauli(term))
            if row is not None:
                weights[row, column] += term.coefficient
    return weights, np.array([constant(each) for each in sums])
