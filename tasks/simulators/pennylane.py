"""PennyLane's lightning.qubit."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from tasks.circuit import Circuit, Gate
from tasks.simulators import Request, Simulation, statevector
from tasks.simulators.amplitudes import State
from tasks.simulators.fusion import Fused, Step, fuse
from tasks.simulators.matrices import matrix
from tasks.simulators.results import dress
from tasks.simulators.statevector import Built

#: Neutral name -> name in lightning, for gates that are the same up to a global phase.
_NATIVE: Final = {
    "x": "PauliX", "y": "PauliY", "z": "PauliZ", "h": "Hadamard", "s": "S", "t": "T",
    "sx": "SX", "rx": "RX", "ry": "RY", "rz": "RZ", "p": "PhaseShift",
    "cx": "CNOT", "cy": "CY", "cz": "CZ", "swap": "SWAP", "crx": "CRX", "cry": "CRY",
    "crz": "CRZ", "cp": "ControlledPhaseShift", "rxx": "IsingXX", "ryy": "IsingYY",
    "rzz": "IsingZZ", "ccx": "Toffoli", "cswap": "CSWAP",
}  # fmt: skip

#: Gates that go in as the matrix of their last qubit, under controls; the number of these.
_CONTROLS: Final = {"ch": 1, "csx": 1, "cu": 1, "ccz": 2}

#: From this many qubits, multiplying gates takes less time than applying them.
_FUSED_FROM: Final = 16

#: What a matrix of two qubits costs: more as long as memory is not what a gate
#: waits for. In the time of a matrix of one qubit, by measurement with AVX-512;
#: below, that of a gate.
_PAIR_IN_CACHE: Final = 8.0
_PAIR: Final = 4.0
_BEYOND_CACHE: Final = 22
_SINGLE_GATE, _DOUBLE_GATE = 0.9, 0.6


class PennyLaneSimulator:
    """Circuits on the device lightning.qubit, in double precision."""

    #: To draw with, and to convert circuits to, where they are installed.
    postponed = ("matplotlib", "mpl_toolkits", "cirq")

    def __init__(self) -> None:
        # Imported once, before the engines are forked off.
        import pennylane  # noqa: F401

        self._library: Any = import_module("pennylane_lightning.lightning_qubit_ops")

    @property
    def version(self) -> str:
        """Name and version of both."""
        lightning = version("pennylane-lightning")
        return f"pennylane-lightning {lightning}, pennylane {version('pennylane')}"

    def simulate(self, circuit: Circuit, request: Request) -> Simulation:
        """Runs a circuit once; see `tasks.simulators.Simulator`."""
        evolver = _Evolver(self._library, circuit.n_qubits)
        raw = statevector.run(evolver, circuit, request)
        return Simulation(results=dress(circuit, request, raw), method="statevector")


class _Evolver:
    """Gates on lightning's own state vector.

    What a device has around it costs more than the simulation of small circuits.
    lightning has no threads of its own for gates.
    """

    state_bytes_per_amplitude: Final = 16
    peak_bytes_per_amplitude: Final = 32
    resume_bytes_per_amplitude: Final = 48

    def __init__(self, library: Any, n_qubits: int) -> None:
        self._library = library
        self._steps = Built(lambda gates: _steps(gates, n_qubits))

    def evolve(self, state: State | None, n_qubits: int, gates: Sequence[Gate]) -> State:
        vector = self._library.StateVectorC128(n_qubits)
        if state is not None:
            vector.updateData(np.ascontiguousarray(state, dtype=np.complex128))
        # The highest wire is PennyLane's least significant bit.
        wires = range(n_qubits - 1, -1, -1)
        for step in self._steps.of(gates):
            _apply(vector, step, [wires[qubit] for qubit in step.qubits])
        # NumPy asks for huge pages, for which Linux may have to tidy up: up to five times
        # the time for these.
        size = 1 << n_qubits
        final: State = self._library.allocate_aligned_array(size, np.dtype(np.complex128), False)
        vector.getState(final)
        return final


def _steps(gates: Sequence[Gate], n_qubits: int) -> Sequence[Step]:
    moving = [gate for gate in gates if gate.name != "id"]
    if n_qubits < _FUSED_FROM:
        return moving
    pair = _PAIR if n_qubits >= _BEYOND_CACHE else _PAIR_IN_CACHE
    return fuse(moving, lambda step: _cost(step, pair))


def _cost(step: Step, pair: float) -> float:
    single = len(step.qubits) == 1
    if isinstance(step, Fused):
        return 1.0 if single else pair
    return _SINGLE_GATE if single else _DOUBLE_GATE


def _apply(vector: Any, step: Step, wires: list[int]) -> None:
    if isinstance(step, Fused):
        vector.applyMatrix(step.matrix, wires, False)
    elif step.name in _NATIVE:
        getattr(vector, _NATIVE[step.name])(wires, False, step.params)
    elif controls := _CONTROLS.get(step.name, 0):
        last = np.ascontiguousarray(matrix(step)[-2:, -2:])
        values = [True] * controls
        vector.applyControlledMatrix(last, wires[:controls], values, wires[controls:], False)
    else:
        vector.applyMatrix(np.ascontiguousarray(matrix(step)), wires, False)
