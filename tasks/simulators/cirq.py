"""Google's simulators: qsim in single precision, Cirq's own in double."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from qdispatch.model import ErrorKind
from tasks.circuit import Circuit, Gate
from tasks.simulators import Request, Simulation, SimulationError, stabilizer, statevector
from tasks.simulators.amplitudes import State
from tasks.simulators.matrices import matrix
from tasks.simulators.methods import choose
from tasks.simulators.results import check, dress
from tasks.simulators.statevector import Built

#: Neutral name -> name in cirq, for gates that are the same up to a global phase.
_NATIVE: Final = {
    "id": "I", "x": "X", "y": "Y", "z": "Z", "h": "H", "s": "S", "t": "T",
    "cx": "CX", "cz": "CZ", "swap": "SWAP", "ccx": "CCX", "ccz": "CCZ", "cswap": "CSWAP",
}  # fmt: skip
_ROTATIONS: Final = frozenset({"rx", "ry", "rz"})


class CirqSimulator:
    """Circuits through qsimcirq, or through cirq.Simulator for double precision."""

    #: To draw with.
    postponed = ("matplotlib", "mpl_toolkits")

    def __init__(self) -> None:
        # Imported once, before the engines are forked off.
        import cirq
        import qsimcirq
        import stim  # noqa: F401

        self._cirq = cirq
        self._qsimcirq = qsimcirq

    @property
    def version(self) -> str:
        """Names and versions of all that may run a circuit."""
        names = ("qsimcirq", "cirq-core", "stim")
        return ", ".join(f"{name} {version(name)}" for name in names)

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once; see `tasks.simulators.Simulator`."""
        precision = request.options.get("precision", "single")
        if precision not in ("single", "double"):
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f'extra: "precision" must be "single" or "double", not {precision!r}',
            )
        check(circuit, request)
        builder = _Builder(self._cirq, circuit.n_qubits)
        if precision == "double":
            evolver: _Evolver = _Evolver(builder, self._double(), 16, 88, 88)
            method = "statevector (cirq)"
        else:
            evolver = _Evolver(builder, self._single(request.threads), 8, 16, 24)
            method = "statevector (qsim)"
        vector_bytes = statevector.bytes_needed(evolver, circuit, request)
        choice = choose(circuit, request, vector_bytes=vector_bytes)
        if choice.clifford is not None:
            method = choice.method
            raw = stabilizer.run(choice.clifford, request)
        else:
            raw = statevector.run(evolver, circuit, request)
        results = dress(circuit, request, raw)
        return Simulation(results=results, method=method, method_reason=choice.reason)

    def _single(self, threads: int) -> Any:
        options = self._qsimcirq.QSimOptions(cpu_threads=threads, max_fused_gate_size=4)
        return self._qsimcirq.QSimSimulator(qsim_options=options, seed=0)

    def _double(self) -> Any:
        return self._cirq.Simulator(dtype=np.complex128, seed=0)


@dataclass(frozen=True, slots=True)
class _Evolver:
    builder: _Builder
    simulator: Any
    state_bytes_per_amplitude: int
    peak_bytes_per_amplitude: int
    resume_bytes_per_amplitude: int

    def evolve(self, state: State | None, _n_qubits: int, gates: Sequence[Gate]) -> State:
        # Cirq has the first qubit of the order in the most significant bit.
        order = self.builder.qubits[::-1]
        circuit = self.builder.built.of(gates)
        dtype = np.complex64 if self.state_bytes_per_amplitude == 8 else np.complex128
        initial: Any = 0 if state is None else state.astype(dtype, copy=False)
        result = self.simulator.simulate(circuit, qubit_order=order, initial_state=initial)
        final: State = np.asarray(result.final_state_vector).reshape(-1)
        return final


class _Builder:
    """Builds Cirq's circuits on some qubits, number 0 first."""

    def __init__(self, cirq: Any, n_qubits: int) -> None:
        self._cirq = cirq
        self._gates: dict[tuple[str, tuple[object, ...]], Any] = {}
        self._n_qubits = n_qubits
        self.built = Built(self._circuit)

    @cached_property
    def qubits(self) -> list[Any]:
        """Made when a state vector is: a wide Clifford circuit needs none of them."""
        return list(self._cirq.LineQubit.range(self._n_qubits))

    def _circuit(self, gates: Sequence[Gate]) -> Any:
        """Each gate goes into the earliest moment that it fits in."""
        qubits = self.qubits
        free = [0] * len(qubits)
        moments: list[list[Any]] = []
        for gate in gates:
            place = max(free[qubit] for qubit in gate.qubits)
            for qubit in gate.qubits:
                free[qubit] = place + 1
            if place == len(moments):
                moments.append([])
            moments[place].append(self._gate(gate)(*(qubits[qubit] for qubit in gate.qubits)))
        return self._cirq.Circuit(self._cirq.Moment(ops) for ops in moments)

    def _gate(self, gate: Gate) -> Any:
        key = (gate.name, gate.params)
        found = self._gates.get(key)
        if found is None:
            found = self._gates[key] = self._make(gate)
        return found

    def _make(self, gate: Gate) -> Any:
        if gate.name in _NATIVE:
            return getattr(self._cirq, _NATIVE[gate.name])
        if gate.name in _ROTATIONS:
            return getattr(self._cirq, gate.name)(gate.params[0])
        return self._cirq.MatrixGate(matrix(gate), unitary_check=False)
