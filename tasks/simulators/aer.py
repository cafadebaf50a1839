"""Qiskit Aer: state vectors, stabilizers and matrix product states."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from app.options import STATEVECTOR
from qdispatch.model import ErrorKind, PauliSum
from tasks.binding import Sweep
from tasks.circuit import Circuit, Gate
from tasks.points import one_by_one
from tasks.simulators import Request, Simulation, SimulationError, stabilizer, statevector
from tasks.simulators.aer_circuit import (
    AerCircuit,
    Setup,
    branching_pays,
    is_native,
    reached,
)
from tasks.simulators.aer_methods import choose, statevector_bytes
from tasks.simulators.aer_sweep import FUSED_QUBITS, runs_together, simulate_together
from tasks.simulators.aer_ways import Ways
from tasks.simulators.amplitudes import State
from tasks.simulators.memory import fits
from tasks.simulators.methods import SMALL, splits
from tasks.simulators.outcomes import MAX_OUTCOMES, listed, measured, measured_qubits
from tasks.simulators.results import (
    Raw,
    check,
    dress,
    stream_of_values,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_state,
    wants_values,
    wants_variances,
)
from tasks.simulators.rotations import joined
from tasks.simulators.shots import from_hex
from tasks.simulators.squares import squares
from tasks.simulators.tally import NUMBER_BITS, of_numbers
from tasks.simulators.values import Pauli, Sums, Values, constant, paulis, static_values, sums

#: Aer's matrix product state computes all 2**k probabilities of k qubits.
_MPS_WIDTH: Final = MAX_OUTCOMES.bit_length() - 1

#: Fewer shots than this Aer draws as quickly as they are drawn here.
_MANY_SHOTS: Final = 256

#: Up to this many qubits Aer changes a state vector in one thread, however many
#: it has: its statevector_parallel_threshold. More only wait for each other.
_ONE_THREAD_QUBITS: Final = 14


class AerSimulator:
    """Circuits through qiskit-aer, by a method that we choose."""

    def __init__(self) -> None:
        # Imported once, before the engines are forked off.
        import stim  # noqa: F401

        self._ways = Ways.found()

    @cached_property
    def version(self) -> str:
        """Name and version, of stim as well."""
        return f"qiskit-aer {version('qiskit-aer')}, stim {version('stim')}"

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once; see `tasks.simulators.Simulator`."""
        check(circuit, request)
        return self._run(circuit, request).simulation()

    def simulate_sweep(self, sweep: Sweep, request: Request) -> Iterator[Simulation]:
        """Runs a circuit at many points; see `tasks.simulators.SweepSimulator`."""
        check(sweep.circuit, request)
        core = self._ways.core
        if core is not None and runs_together(sweep.circuit, request):
            return simulate_together(core, self._run, sweep, request)
        return one_by_one(self, sweep, request)

    def _run(self, circuit: Circuit, request: Request) -> _Run:
        return _Run(self._ways, circuit, request)


@dataclass(frozen=True)
class _Evolver:
    run: _Run
    state_bytes_per_amplitude: int = 16
    peak_bytes_per_amplitude: int = 48
    resume_bytes_per_amplitude: int = 96

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate]) -> State:
        return self.run.evolve(state, n_qubits, gates)


class _Run:
    """One circuit and what is asked of it."""

    def __init__(self, ways: Ways, circuit: Circuit, request: Request) -> None:
        self._aer = ways.way(circuit)
        self._circuit = circuit
        self._request = request
        sampled = request.shots > 0 and not wants_values(request)
        self.native = circuit.terminal is not None or (sampled and is_native(circuit))
        choice = choose(circuit, request, native=self.native)
        self._clifford = choice.clifford
        self._reason = choice.reason
        self.method = choice.method
        if self.native and self.method == STATEVECTOR and circuit.terminal is None:
            self.native = not self._branches_are_better()

    def _branches_are_better(self) -> bool:
        """Whether a dynamic circuit is quicker in branches, and there is memory for them."""
        circuit, request = self._circuit, self._request
        if not branching_pays(circuit, request.shots):
            return False
        # One branch may wait at each measurement.
        per_amplitude = _Evolver.resume_bytes_per_amplitude
        per_amplitude += (splits(circuit) + 2) * _Evolver.state_bytes_per_amplitude
        need = statevector_bytes(circuit, request) + (per_amplitude << circuit.n_qubits)
        return fits(need, request.memory_limit_bytes)

    def simulation(self) -> Simulation:
        """What comes out of it."""
        return self._dress(self.raw(), self._circuit.global_phase)

    @property
    def in_one_run(self) -> bool:
        """Whether a static circuit gives everything that is asked for in one run.

        Aer leaves out qubits that nothing measured or saved depends on, and
        samples differently then. Counts must not depend on what is saved.
        """
        saves = wants_values(self._request) or wants_state(self._request)
        whole = not (self._measures and saves)
        return whole or len(reached(self._circuit)) == self._circuit.n_qubits

    def built(self, seed: int | None) -> tuple[AerCircuit, Setup]:
        """A static circuit that gives everything that is asked for, and how to run it."""
        made = self._saving()
        if self._measures:
            self._measure(made)
        shots = self._request.shots if self._measures else 1
        return made, self._setup(shots, seed, saves=True)

    def read(self, data: Mapping[str, Any], seed: int | None, phase: Any) -> Simulation:
        """What comes of the data of `built`.

        Args:
            data: Aer's.
            seed: Of the point, for what is sampled here.
            phase: The circuit's global phase at the point.
        """
        return self._dress(self._read(data, data, seed), phase)

    def _dress(self, raw: Raw, phase: Any) -> Simulation:
        circuit = self._circuit
        if phase != circuit.global_phase:
            circuit = circuit.bound(circuit.ops, phase)
        return Simulation(
            results=dress(circuit, self._request, raw),
            method=self.method,
            method_reason=self._reason,
        )

    def raw(self) -> Raw:
        """Everything that is asked for."""
        if self._clifford is not None:
            return stabilizer.run(self._clifford, self._request)
        if not self.native:
            return statevector.run(_Evolver(self), self._circuit, self._request)
        if self._circuit.terminal is not None:
            return self._static()
        made = self._new(self._circuit.n_qubits, self._circuit.n_clbits)
        made.add(self._circuit.ops)
        # Aer seeds neighbouring shots of such a run with neighbouring seeds, so that
        # jobs with the seeds 3 and 4 would share all shots but one. A hash keeps them apart.
        setup = self._setup(self._request.shots, self._hashed_seed())
        return self._sampled(self._aer.run(made, setup))

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate]) -> State:
        """The seam of `tasks.simulators.statevector`."""
        made = self._new(n_qubits, 0)
        if state is not None:
            made.start_from(state)
        made.add(gates)
        made.save_state("state")
        final: State = np.asarray(self._aer.run(made, self._setup(1, 0, n_qubits))["state"])
        return final

    def _static(self) -> Raw:
        """Everything that is asked of a static circuit, in one run if that is possible."""
        seed = self._request.seed
        if self.in_one_run:
            data = self._aer.run(*self.built(seed))
            return self._read(data, data, seed)
        saved = self._aer.run(self._saving(), self._setup(1, seed, saves=True))
        made = self._new(self._circuit.n_qubits, self._circuit.n_clbits)
        made.add(self._gates)
        self._measure(made)
        drawn = self._aer.run(made, self._setup(self._request.shots, seed))
        return self._read(drawn, saved, seed)

    @cached_property
    def _draws_here(self) -> bool:
        """Whether shots are drawn from the state here, which Aer does 5 to 40 times as slowly.

        With a seed they are Aer's own, and promised to be. The state of a
        large circuit would be there twice.
        """
        request = self._request
        return (
            request.seed is None
            and request.shots >= _MANY_SHOTS
            and wants_measurements(request)
            and self.method == STATEVECTOR
            and self._circuit.n_qubits <= SMALL
            and not wants_values(request)
        )

    def _setup(
        self, shots: int, seed: int | None, n_qubits: int | None = None, *, saves: bool = False
    ) -> Setup:
        """How to run: by default a circuit of all qubits that saves nothing."""
        request, circuit = self._request, self._circuit
        n_qubits = circuit.n_qubits if n_qubits is None else n_qubits
        # Shots of a dynamic circuit are run in many threads, its state is not.
        small = self.method == STATEVECTOR and n_qubits <= _ONE_THREAD_QUBITS
        one_thread = small and (shots == 1 or circuit.terminal is not None)
        return Setup(
            method=self.method,
            shots=shots,
            seed=self._hashed_seed() if seed is None else seed,
            threads=1 if one_thread else request.threads,
            memory=wants_shots(request),
            # Where it truncates, Aer 0.18 takes the expectation values of the wrong qubits.
            truncate=not (saves and wants_values(request)),
        )

    @cached_property
    def _gates(self) -> Sequence[Gate]:
        """The gates of a static circuit, as they are run."""
        gates = self._circuit.gates()
        # The phase of a state counts; samples are Aer's own for the circuit as it is.
        exact = not wants_state(self._request) and not wants_measurements(self._request)
        # More qubits, and Aer makes the gates fewer by itself.
        small = self.method == STATEVECTOR and self._circuit.n_qubits < FUSED_QUBITS
        return joined(gates) if exact and small else tuple(gates)

    def _saving(self) -> AerCircuit:
        """A static circuit without its measurements, and what is saved of its state."""
        request, n_clbits = self._request, self._circuit.n_clbits
        made = self._new(self._circuit.n_qubits, n_clbits)
        made.add(self._gates)
        for number, strings in enumerate(self._saved):
            if strings:
                made.save_paulis(strings, _value(number))
        if wants_state(request) or self._from_state or self._draws_here:
            made.save_state("state")
        if wants_outcomes(request) and not request.shots:
            terminal = self._circuit.terminal or {}
            self._save_probabilities(made, measured_qubits(terminal, n_clbits))
        return made

    def _measure(self, made: AerCircuit) -> None:
        terminal = self._circuit.terminal or {}
        for clbit, qubit in measured(terminal, self._circuit.n_clbits).items():
            made.measure(qubit, clbit)

    def _read(self, drawn: Mapping[str, Any], saved: Mapping[str, Any], seed: int | None) -> Raw:
        """Everything that is asked of a static circuit, from what was drawn and saved."""
        request = self._request
        state = np.asarray(saved["state"]) if "state" in saved else None
        if self._draws_here and state is not None:
            return statevector.measure(state, self._circuit, request)
        values = self._values(saved, seed)
        if self._from_state and state is not None:
            values = statevector.with_variances(values, state, request)
        if not self._measures and "quasi" not in saved:
            return Raw(state=state, values=values)
        raw = self._sampled(drawn) if self._measures else Raw()
        quasi = None
        if "quasi" in saved:
            terminal = self._circuit.terminal or {}
            quasi = listed(np.asarray(saved["quasi"]), terminal, self._circuit.n_clbits)
        return replace(raw, quasi=quasi, state=state, values=values)

    def _values(self, saved: Mapping[str, Any], seed: int | None) -> Values:
        request = self._request
        if not wants_values(request):
            return Values()
        means = [
            # Rounding must not push a value beyond what is possible.
            value
            if -bound <= (value := saved[label] if bound else 0.0) <= bound
            else math.copysign(bound, value)
            for label, bound in self._bounds
        ]
        if self._in_sums:
            values = tuple(map(operator.add, means, self._constants))
            return Values(means=values, errors=(0.0,) * len(values))
        by_string = dict(zip(self._strings, means, strict=True))
        return static_values(
            request, self._squared, by_string, stream_of_values(seed), all_sums=self._sums
        )

    @cached_property
    def _in_sums(self) -> bool:
        """Whether Aer adds up an observable; else it gives the mean of each string."""
        exact = self.method == STATEVECTOR and not self._request.shots
        return exact and wants_values(self._request)

    @cached_property
    def _saved(self) -> list[list[tuple[Pauli, float]]]:
        """The sums of Pauli strings that Aer is asked for, without the identity."""
        if not self._in_sums:
            return [[(string, 1.0)] for string in self._strings]
        return [[term for term in each if term[0]] for each in self._sums]

    @cached_property
    def _constants(self) -> list[float]:
        """What the identity adds to each observable."""
        return [constant(each) for each in self._request.observables]

    @cached_property
    def _bounds(self) -> list[tuple[str, float]]:
        """Under which label each of these is saved, and how large it can be."""
        return [
            (_value(number), math.fsum(abs(factor) for _, factor in strings))
            for number, strings in enumerate(self._saved)
        ]

    @cached_property
    def _sums(self) -> Sums:
        return sums((*self._request.observables, *self._squared))

    @cached_property
    def _measures(self) -> bool:
        drawn = wants_measurements(self._request) and self._request.shots > 0
        return drawn and not self._draws_here

    @cached_property
    def _from_state(self) -> bool:
        # A state vector's variance is computed from it; elsewhere from the square.
        exact = not self._request.shots
        return wants_variances(self._request) and exact and self.method == STATEVECTOR

    @cached_property
    def _squared(self) -> tuple[PauliSum, ...]:
        by_square = wants_variances(self._request) and not self._from_state
        return squares(self._request.observables) if by_square else ()

    @cached_property
    def _strings(self) -> Sequence[Pauli]:
        request = self._request
        return paulis((*request.observables, *self._squared)) if wants_values(request) else []

    def _sampled(self, data: Mapping[str, Any]) -> Raw:
        """What comes of a run's measurements; Aer has its shots in a random order already."""
        n_clbits = self._circuit.n_clbits
        shots = from_hex(data["memory"], n_clbits) if wants_shots(self._request) else None
        return Raw(counts=_counts(data, n_clbits), shots=shots)

    def _new(self, n_qubits: int, n_clbits: int) -> AerCircuit:
        return self._aer.circuit(n_qubits, n_clbits, self.method)

    def _save_probabilities(self, made: AerCircuit, qubits: list[int]) -> None:
        if self.method == STATEVECTOR:
            made.save_probabilities(qubits, "quasi", listed=False)
            return
        if len(qubits) > _MPS_WIDTH:
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"{self.method} gives the exact probabilities of up to {_MPS_WIDTH} measured"
                f" qubits, not of {len(qubits)}. Measure fewer qubits, or ask for shots",
            )
        # As a dict, Aer would drop probabilities around 1e-9.
        made.save_probabilities(qubits, "quasi", listed=False)

    def _hashed_seed(self) -> int:
        # Aer takes 63 bits.
        words = np.random.SeedSequence(self._request.seed).generate_state(1, np.uint64)
        return int(words[0]) >> 1


def _value(number: int) -> str:
    return f"value{number}"


def _counts(data: Mapping[str, Any], n_clbits: int) -> Mapping[str, int]:
    counts = data["counts"]
    if n_clbits > NUMBER_BITS:
        return {f"{int(key, 16):0{n_clbits}b}": times for key, times in counts.items()}
    # Python's strings take as long as many a simulation.
    numbers = np.fromiter((int(key, 16) for key in counts), np.uint64, len(counts))
    times = np.fromiter(counts.values(), np.int64, len(counts))
    return of_numbers(numbers, times, n_clbits)
