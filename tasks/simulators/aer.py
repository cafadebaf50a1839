"""Qiskit Aer: state vectors, stabilizers and matrix product states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from qdispatch.model import ErrorKind, PauliSum
from tasks.binding import Sweep
from tasks.circuit import Circuit, Gate
from tasks.points import one_by_one
from tasks.simulators import Request, Simulation, SimulationError, statevector
from tasks.simulators.aer_circuit import (
    AerCircuit,
    branching_pays,
    is_native,
    reached,
    splits,
)
from tasks.simulators.aer_methods import STABILIZER, STATEVECTOR, choose, statevector_bytes
from tasks.simulators.aer_sweep import runs_together, simulate_together
from tasks.simulators.amplitudes import State
from tasks.simulators.clifford import entropy
from tasks.simulators.memory import fits
from tasks.simulators.outcomes import (
    CUTOFF,
    MAX_OUTCOMES,
    check_outcomes,
    listed,
    measured,
    measured_qubits,
    pack,
)
from tasks.simulators.results import (
    Raw,
    check,
    dress,
    streams,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_state,
    wants_values,
    wants_variances,
)
from tasks.simulators.shots import from_hex
from tasks.simulators.squares import squares
from tasks.simulators.values import Pauli, Values, paulis, static_values

#: How many measured qubits Aer's stabilizer lists the probabilities of.
_STABILIZER_WIDTH: Final = 64

#: Aer's matrix product state computes all 2**k probabilities of k qubits.
_MPS_WIDTH: Final = MAX_OUTCOMES.bit_length() - 1


class AerSimulator:
    """Circuits through qiskit-aer, by a method that we choose."""

    def __init__(self) -> None:
        # Imported once, before the engines are forked off.
        import qiskit.quantum_info
        import qiskit_aer

        self._qiskit = qiskit
        self._aer = qiskit_aer

    @property
    def version(self) -> str:
        """Name and version."""
        return f"qiskit-aer {version('qiskit-aer')}"

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once; see `tasks.simulators.Simulator`."""
        check(circuit, request)
        return self._run(circuit, request).simulation()

    def simulate_sweep(self, sweep: Sweep, request: Request) -> Iterator[Simulation]:
        """Runs a circuit at many points; see `tasks.simulators.SweepSimulator`."""
        check(sweep.circuit, request)
        if runs_together(sweep.circuit, request):
            return simulate_together(self._aer, self._run, sweep, request)
        return one_by_one(self, sweep, request)

    def _run(self, circuit: Circuit, request: Request) -> _Run:
        return _Run(self._qiskit, self._aer, circuit, request)


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

    def __init__(self, qiskit: Any, aer: Any, circuit: Circuit, request: Request) -> None:
        self._qiskit = qiskit
        self._aer = aer
        self._circuit = circuit
        self._request = request
        self.seed = request.seed
        sampled = request.shots > 0 and not wants_values(request)
        self.native = circuit.terminal is not None or (sampled and is_native(circuit))
        self.method = choose(circuit, request, native=self.native)
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
        return self._dress(self.raw())

    @property
    def in_one_run(self) -> bool:
        """Whether a static circuit gives everything that is asked for in one run.

        Aer leaves out qubits that nothing measured or saved depends on, and
        samples differently then. Counts must not depend on what is saved.
        """
        saves = bool(self._strings) or wants_state(self._request)
        whole = not (self._measures and saves)
        return whole or len(reached(self._circuit)) == self._circuit.n_qubits

    @property
    def truncates(self) -> bool:
        """Whether Aer leaves out qubits that nothing measured or saved depends on.

        Where it does, Aer 0.18 takes the expectation values of the wrong qubits.
        """
        return not self._strings

    def built(self) -> tuple[Any, int]:
        """A static circuit that gives everything that is asked for, and its shots."""
        made = self._saving()
        if not self._measures:
            return made.built, 1
        self._measure(made)
        return made.built, self._request.shots

    def read(self, data: Mapping[str, Any]) -> Simulation:
        """As `simulation`, from the data of `built`."""
        return self._dress(self._read(data, data))

    def _dress(self, raw: Raw) -> Simulation:
        return Simulation(results=dress(self._circuit, self._request, raw), method=self.method)

    def raw(self) -> Raw:
        """Everything that is asked for."""
        if not self.native:
            return statevector.run(_Evolver(self), self._circuit, self._request)
        if self._circuit.terminal is not None:
            return self._static()
        made = self._new(self._circuit.n_qubits, self._circuit.n_clbits)
        made.add(self._circuit.ops)
        # Aer seeds neighbouring shots of such a run with neighbouring seeds, so that
        # jobs with the seeds 3 and 4 would share all shots but one. A hash keeps them apart.
        return self._sampled(self._execute(made.built, self._request.shots, self._hashed_seed()))

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate]) -> State:
        """The seam of `tasks.simulators.statevector`."""
        made = self._new(n_qubits, 0)
        if state is not None:
            made.built.set_statevector(state)
        made.add(gates)
        made.built.save_statevector(label="state")
        final: State = np.asarray(self._execute(made.built, 1)["state"])
        return final

    def _static(self) -> Raw:
        """Everything that is asked of a static circuit, in one run if that is possible."""
        if self.in_one_run:
            data = self._execute(*self.built(), truncate=self.truncates)
            return self._read(data, data)
        saved = self._execute(self._saving().built, 1, truncate=self.truncates)
        made = self._new(self._circuit.n_qubits, self._circuit.n_clbits)
        made.add(self._circuit.gates())
        self._measure(made)
        return self._read(self._execute(made.built, self._request.shots), saved)

    def _saving(self) -> AerCircuit:
        """A static circuit without its measurements, and what is saved of its state."""
        request, n_clbits = self._request, self._circuit.n_clbits
        made = self._new(self._circuit.n_qubits, n_clbits)
        made.add(self._circuit.gates())
        self._save_values(made.built, self._strings)
        if wants_state(request) or self._from_state:
            made.built.save_statevector(label="state")
        if wants_outcomes(request) and not request.shots:
            terminal = self._circuit.terminal or {}
            self._save_probabilities(made.built, measured_qubits(terminal, n_clbits))
        return made

    def _measure(self, made: AerCircuit) -> None:
        terminal = self._circuit.terminal or {}
        for clbit, qubit in measured(terminal, self._circuit.n_clbits).items():
            made.built.measure(qubit, clbit)

    def _read(self, drawn: Mapping[str, Any], saved: Mapping[str, Any]) -> Raw:
        """Everything that is asked of a static circuit, from what was drawn and saved."""
        request = self._request
        raw = self._sampled(drawn) if self._measures else Raw()
        means: dict[Pauli, float] = {
            string: min(1.0, max(-1.0, float(saved[f"pauli{number}"])))
            for number, string in enumerate(self._strings)
        }
        state = np.asarray(saved["state"]) if "state" in saved else None
        values = Values()
        if wants_values(request):
            values = static_values(request, self._squared, means, streams(request.seed)[1])
        if self._from_state and state is not None:
            values = statevector.with_variances(values, state, request)
        quasi = None
        if "quasi" in saved:
            terminal = self._circuit.terminal or {}
            quasi = _quasi(saved["quasi"], terminal, self._circuit.n_clbits)
        return replace(raw, quasi=quasi, state=state, values=values)

    @property
    def _measures(self) -> bool:
        return wants_measurements(self._request) and self._request.shots > 0

    @property
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
        return AerCircuit(self._qiskit, n_qubits, n_clbits, self.method)

    def _save_values(self, built: Any, strings: Sequence[Pauli]) -> None:
        for number, string in enumerate(strings):
            letters = "".join(letter for _, letter in reversed(string))
            operator = self._qiskit.quantum_info.Pauli(letters)
            where = [qubit for qubit, _ in string]
            built.save_expectation_value(operator, where, label=f"pauli{number}")

    def _save_probabilities(self, built: Any, qubits: list[int]) -> None:
        if self.method == STATEVECTOR:
            built.save_probabilities(qubits, label="quasi")
            return
        width = _STABILIZER_WIDTH if self.method == STABILIZER else _MPS_WIDTH
        if len(qubits) > width:
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"{self.method} gives the exact probabilities of up to {width} measured qubits,"
                f" not of {len(qubits)}. Measure fewer qubits, or ask for shots",
            )
        if self.method == STABILIZER:
            check_outcomes(1 << entropy(self._circuit))
            built.save_probabilities_dict(qubits, label="quasi")
        else:
            # As a dict, Aer would drop probabilities around 1e-9.
            built.save_probabilities(qubits, label="quasi")

    def _execute(
        self, built: Any, shots: int, seed: int | None = None, *, truncate: bool = True
    ) -> Any:
        backend = self._aer.AerSimulator(
            method=self.method,
            max_parallel_threads=self._request.threads,
            enable_truncation=truncate,
        )
        # Aer raises nothing: a run that failed says so in its result only.
        memory = wants_shots(self._request)
        seed = self._seed() if seed is None else seed
        result = backend.run(built, shots=shots, seed_simulator=seed, memory=memory).result()
        if not result.success:
            status = str(result.status)
            kind = ErrorKind.OUT_OF_MEMORY if "memory" in status.lower() else ErrorKind.UNSUPPORTED
            raise SimulationError(kind, f"Aer could not run this: {' '.join(status.split())}")
        return result.data(0)

    def _seed(self) -> int:
        """The job's own, so that a static circuit gives the counts that Aer by itself would."""
        return self._hashed_seed() if self._request.seed is None else self._request.seed

    def _hashed_seed(self) -> int:
        # Aer takes 63 bits.
        words = np.random.SeedSequence(self._request.seed).generate_state(1, np.uint64)
        return int(words[0]) >> 1


def _counts(data: Mapping[str, Any], n_clbits: int) -> dict[str, int]:
    return {f"{int(key, 16):0{n_clbits}b}": times for key, times in data["counts"].items()}


def _quasi(found: Any, terminal: Mapping[int, int], n_clbits: int) -> dict[str, float]:
    """Probabilities of the measured qubits, as an array or a dict, to outcomes."""
    if not isinstance(found, Mapping):
        return listed(np.asarray(found), terminal, n_clbits)
    places = pack(terminal, n_clbits)
    quasi = {}
    for index, probability in found.items():
        if probability > CUTOFF:
            letters = ["0"] * n_clbits
            for clbit, place in places.items():
                letters[n_clbits - 1 - clbit] = str((index >> place) & 1)
            quasi["".join(letters)] = probability
    return quasi
