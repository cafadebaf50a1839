"""Runs a circuit on anything that can evolve a state vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from tasks.circuit import Circuit, Gate
from tasks.simulators import Request, memory
from tasks.simulators.amplitudes import State, deviation, expectation, sample
from tasks.simulators.outcomes import distribution, outcome_bytes, outcome_width
from tasks.simulators.results import (
    Raw,
    check,
    fewer_outcomes,
    state_bytes,
    streams,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_state,
    wants_values,
    wants_variances,
)
from tasks.simulators.shots import rows, shot_bytes, shuffled
from tasks.simulators.squares import squares
from tasks.simulators.tally import of_states
from tasks.simulators.trajectories import Trajectories
from tasks.simulators.values import Values, paulis, static_values, terms


class Built:
    """What an SDK's circuit is built from, once for each list of gates.

    Branches of a dynamic circuit run the same lists again and again. They are
    told apart by identity, which is safe as long as they are kept here.

    Args:
        build: Makes the SDK's circuit.
    """

    def __init__(self, build: Callable[[Sequence[Gate]], Any]) -> None:
        self._build = build
        self._made: dict[int, tuple[Sequence[Gate], Any]] = {}

    def of(self, gates: Sequence[Gate]) -> Any:
        """The SDK's form of these very gates."""
        found = self._made.get(id(gates))
        if found is None:
            found = self._made[id(gates)] = (gates, self._build(gates))
        return found[1]


class Evolver(Protocol):
    """The seam to an SDK: gates on a state vector, nothing else."""

    @property
    def peak_bytes_per_amplitude(self) -> int:
        """Peak of `evolve` from zeros for each of the 2**n amplitudes, result included."""

    @property
    def resume_bytes_per_amplitude(self) -> int:
        """As the peak, when `evolve` is given a state; without that state."""

    @property
    def state_bytes_per_amplitude(self) -> int:
        """8 for complex64, 16 for complex128."""

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate], /) -> State:
        """Applies gates.

        Args:
            state: Amplitudes of shape (2**n_qubits,), qubit 0 in the least
                significant bit; never changed. None stands for all qubits at 0.
            n_qubits: Qubits of the state.
            gates: Applied from first to last.
        """


def run(evolver: Evolver, circuit: Circuit, request: Request) -> Raw:
    """Runs any circuit, static or dynamic.

    Raises:
        SimulationError: It measures nothing, is too large, or never ends.
    """
    check(circuit, request)
    need = bytes_needed(evolver, circuit, request)
    what = f"a state vector of {circuit.n_qubits} qubits"
    state_bytes = evolver.peak_bytes_per_amplitude << circuit.n_qubits
    outcomes_count_most = need > 2 * state_bytes
    advice = fewer_outcomes(request) if outcomes_count_most else memory.FEWER_QUBITS
    memory.check(need, request.memory_limit_bytes, what, advice)
    if circuit.terminal is None:
        return Trajectories(evolver, circuit, request).run()
    state = evolver.evolve(None, circuit.n_qubits, tuple(circuit.gates()))
    return measure(state, circuit, request)


def bytes_needed(evolver: Evolver, circuit: Circuit, request: Request) -> int:
    """Estimate of the peak, in bytes, beyond what the warm process holds."""
    need = evolver.peak_bytes_per_amplitude << circuit.n_qubits
    after = evolver.state_bytes_per_amplitude << circuit.n_qubits
    if wants_outcomes(request):
        width = outcome_width(circuit)
        if not request.shots:
            after += 16 << min(width, circuit.n_qubits)
        after += outcome_bytes(width, circuit.n_clbits, request.shots)
    if wants_shots(request):
        after += shot_bytes(circuit.n_clbits, request.shots)
    after += state_bytes(circuit.n_qubits, request)
    # Sampling and bookkeeping: a few arrays of the length of the sample.
    return max(need, after) + 64 * request.shots


def measure(state: State, circuit: Circuit, request: Request) -> Raw:
    """All results of the final state of a static circuit."""
    terminal, n_clbits = circuit.terminal or {}, circuit.n_clbits
    for_outcomes, for_values = streams(request.seed)
    counts = quasi = shots = None
    if wants_measurements(request):
        if request.shots:
            samples = sample(state, request.shots, for_outcomes)
            if wants_outcomes(request):
                counts = of_states(samples, terminal, n_clbits)
            if wants_shots(request):
                shots = shuffled(rows(samples, terminal, n_clbits, {}), for_outcomes)
        else:
            quasi = distribution(state, terminal, n_clbits)
    return Raw(
        counts=counts,
        quasi=quasi,
        shots=shots,
        state=state if wants_state(request) else None,
        values=observe(state, request, for_values),
    )


def observe(state: State, request: Request, rng: np.random.Generator) -> Values:
    """The values that are asked for, of a static circuit's final state."""
    if not wants_values(request):
        return Values()
    variances = wants_variances(request)
    squared = squares(request.observables) if variances and request.shots else ()
    strings = paulis((*request.observables, *squared))
    means = {each: expectation(state, dict(each)) for each in strings}
    values = static_values(request, squared, means, rng)
    return with_variances(values, state, request) if variances and not request.shots else values


def with_variances(values: Values, state: State, request: Request) -> Values:
    """Exact values with the exact variances in this state."""
    pairs = zip(request.observables, values.means, strict=True)
    return replace(
        values, variances=tuple(deviation(state, terms(each), mean) for each, mean in pairs)
    )
