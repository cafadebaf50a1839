"""PennyLane's lightning.qubit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from tasks.circuit import Circuit, Gate
from tasks.simulators import Request, Simulation, stabilizer, statevector
from tasks.simulators.amplitudes import State
from tasks.simulators.matrices import matrix
from tasks.simulators.methods import choose
from tasks.simulators.results import check, dress

#: Neutral name -> name in pennylane, for gates that are the same up to a global phase.
_NATIVE: Final = {
    "x": "PauliX", "y": "PauliY", "z": "PauliZ", "h": "Hadamard", "s": "S", "t": "T",
    "sx": "SX", "rx": "RX", "ry": "RY", "rz": "RZ", "p": "PhaseShift",
    "cx": "CNOT", "cy": "CY", "cz": "CZ", "swap": "SWAP", "crx": "CRX", "cry": "CRY",
    "crz": "CRZ", "cp": "ControlledPhaseShift", "rxx": "IsingXX", "ryy": "IsingYY",
    "rzz": "IsingZZ", "ccx": "Toffoli", "cswap": "CSWAP",
}  # fmt: skip


class PennyLaneSimulator:
    """Circuits on the device lightning.qubit, in double precision."""

    #: To draw with, and to convert circuits to, where they are installed.
    postponed = ("matplotlib", "mpl_toolkits", "cirq")

    def __init__(self) -> None:
        # Imported once, before the engines are forked off.
        import pennylane
        import stim  # noqa: F401

        self._pennylane = pennylane
        # Loads the device's native library.
        import_module("pennylane_lightning.lightning_qubit")

    @property
    def version(self) -> str:
        """Names and versions of all that may run a circuit."""
        names = ("pennylane-lightning", "pennylane", "stim")
        return ", ".join(f"{name} {version(name)}" for name in names)

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once; see `tasks.simulators.Simulator`."""
        check(circuit, request)
        evolver = _Evolver(self._pennylane)
        vector_bytes = statevector.bytes_needed(evolver, circuit, request)
        choice = choose(circuit, request, vector_bytes=vector_bytes)
        if choice.clifford is not None:
            raw = stabilizer.run(choice.clifford, request)
        else:
            raw = statevector.run(evolver, circuit, request)
        results = dress(circuit, request, raw)
        return Simulation(results=results, method=choice.method, method_reason=choice.reason)


@dataclass(frozen=True, slots=True)
class _Evolver:
    pennylane: Any

    @property
    def state_bytes_per_amplitude(self) -> int:
        return 16

    @property
    def peak_bytes_per_amplitude(self) -> int:
        return 32

    @property
    def resume_bytes_per_amplitude(self) -> int:
        return 48

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate]) -> State:
        qml = self.pennylane
        # The highest wire is PennyLane's least significant bit.
        top = n_qubits - 1
        operations = [
            self._operation(gate, [top - qubit for qubit in gate.qubits])
            for gate in gates
            if gate.name != "id"
        ]
        if state is not None:
            wires = range(n_qubits)
            initial = state.astype(np.complex128, copy=False)
            operations.insert(0, qml.StatePrep(initial, wires=wires, validate_norm=False))
        device = qml.device("lightning.qubit", wires=n_qubits)
        tape = qml.tape.QuantumScript(operations, [qml.state()])
        final: State = np.asarray(device.execute(tape)).reshape(-1)
        return final

    def _operation(self, gate: Gate, wires: list[int]) -> Any:
        name = _NATIVE.get(gate.name)
        if name is None:
            return self.pennylane.QubitUnitary(matrix(gate), wires=wires)
        return getattr(self.pennylane, name)(*gate.params, wires=wires)
