"""Google's simulators: qsim in single precision, Cirq's own in double."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from app.options import DOUBLE, PRECISIONS, SINGLE, unlike
from qdispatch.model import ErrorKind
from tasks.circuit import Circuit, Gate
from tasks.simulators import Request, Simulation, SimulationError, stabilizer, statevector
from tasks.simulators.amplitudes import State
from tasks.simulators.matrices import matrix
from tasks.simulators.methods import choose
from tasks.simulators.qsim import Qsim, moments
from tasks.simulators.results import check, dress
from tasks.simulators.statevector import Built
from tasks.simulators.threads import threads_for

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
        precision = request.options.get("precision", SINGLE)
        if told := unlike(precision, PRECISIONS):
            raise SimulationError(ErrorKind.UNSUPPORTED, f'extra: "precision" {told}')
        check(circuit, request)
        if precision == DOUBLE:
            evolver: _Single | _Double = _Double(_Builder(self._cirq, circuit.n_qubits))
            method = "statevector (cirq)"
        else:
            threads = threads_for(circuit.n_qubits, request.threads)
            evolver = _Single(Qsim(self._qsimcirq.qsim, circuit.n_qubits, threads))
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


class _Single:
    """qsim, in single precision."""

    state_bytes_per_amplitude: Final = 8
    peak_bytes_per_amplitude: Final = 8
    resume_bytes_per_amplitude: Final = 24

    def __init__(self, qsim: Qsim) -> None:
        self._qsim = qsim
        self._built = Built(qsim.build)

    def evolve(self, state: State | None, _n_qubits: int, gates: Sequence[Gate]) -> State:
        initial = None if state is None else state.astype(np.complex64, copy=False)
        return self._qsim.evolve(self._built.of(gates), initial)


class _Double:
    """Cirq's own simulator, in double precision."""

    state_bytes_per_amplitude: Final = 16
    peak_bytes_per_amplitude: Final = 88
    resume_bytes_per_amplitude: Final = 88

    def __init__(self, builder: _Builder) -> None:
        self._builder = builder

    def evolve(self, state: State | None, _n_qubits: int, gates: Sequence[Gate]) -> State:
        # Cirq has the first qubit of the order in the most significant bit.
        order = self._builder.qubits[::-1]
        circuit = self._builder.built.of(gates)
        initial: Any = 0 if state is None else state.astype(np.complex128, copy=False)
        simulator = self._builder.cirq.Simulator(dtype=np.complex128, seed=0)
        result = simulator.simulate(circuit, qubit_order=order, initial_state=initial)
        final: State = np.asarray(result.final_state_vector).reshape(-1)
        return final


class _Builder:
    """Builds Cirq's circuits on some qubits, number 0 first."""

    def __init__(self, cirq: Any, n_qubits: int) -> None:
        self.cirq = cirq
        self._gates: dict[tuple[str, tuple[object, ...]], Any] = {}
        self._n_qubits = n_qubits
        self.built = Built(self._circuit)

    @cached_property
    def qubits(self) -> list[Any]:
        """Made when a state vector is: a wide Clifford circuit needs none of them."""
        return list(self.cirq.LineQubit.range(self._n_qubits))

    def _circuit(self, gates: Sequence[Gate]) -> Any:
        """Each gate goes into the earliest moment that it fits in."""
        return self.cirq.Circuit(
            self.cirq.Moment(
                self._gate(gate)(*(self.qubits[qubit] for qubit in gate.qubits)) for gate in moment
            )
            for moment in moments(gates, self._n_qubits)
        )

    def _gate(self, gate: Gate) -> Any:
        key = (gate.name, gate.params)
        found = self._gates.get(key)
        if found is None:
            found = self._gates[key] = self._make(gate)
        return found

    def _make(self, gate: Gate) -> Any:
        if gate.name in _NATIVE:
            return getattr(self.cirq, _NATIVE[gate.name])
        if gate.name in _ROTATIONS:
            return getattr(self.cirq, gate.name)(gate.params[0])
        return self.cirq.MatrixGate(matrix(gate), unitary_check=False)
