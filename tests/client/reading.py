"""Programs, read back by Qiskit's own parsers as the server may read them."""

from __future__ import annotations

from typing import Any

import numpy as np

from qdispatch.circuits import CircuitForm
from qdispatch.model import ProgramFormat


def load(form: CircuitForm) -> Any:
    """The program as a circuit of Qiskit."""
    from qiskit import qasm2, qasm3

    if form.program_format is ProgramFormat.OPENQASM3:
        return qasm3.loads(form.program)
    return qasm2.loads(
        form.program,
        include_path=(),
        custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS,
    )


def distance(first: Any, second: Any) -> float:
    """Largest difference of two matrices' entries, whatever their phase."""
    overlap = np.vdot(first, second)
    return float(np.abs(first * overlap / abs(overlap) - second).max())


def unitary(form: CircuitForm, *, big_endian: bool = False) -> Any:
    """Matrix of the program without its final measurements; qubit 0 is the lowest bit."""
    from qiskit.quantum_info import Operator

    circuit = load(form)
    circuit.remove_final_measurements()
    return Operator(circuit.reverse_bits() if big_endian else circuit).data


def parameters(form: CircuitForm) -> list[float]:
    """All angles of the program, in order."""
    from qiskit.circuit import Gate

    gates = [each.operation for each in load(form).data if isinstance(each.operation, Gate)]
    return [float(each) for gate in gates for each in gate.params]


def counts(form: CircuitForm, shots: int = 400) -> dict[str, int]:
    """Outcomes as this project writes them: no spaces, highest bit on the left."""
    from qiskit import transpile
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(seed_simulator=7)
    circuit = transpile(load(form), simulator, optimization_level=0)
    result = simulator.run(circuit, shots=shots).result()
    return {key.replace(" ", ""): value for key, value in result.get_counts().items()}
