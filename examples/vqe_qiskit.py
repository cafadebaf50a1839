"""The ground state of the hydrogen molecule by VQE, with Qiskit's estimator on qdispatch.

Each step asks for the energy and its whole gradient in one job: a sweep over
the parameters as they are, and shifted by a quarter turn either way.

    QDISPATCH_ADDRESS=localhost:50051 python examples/vqe_qiskit.py
"""

from __future__ import annotations

import math

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

from qdispatch.qiskit import EstimatorV2

#: H2 at 0.735 angstrom, STO-3G, parity mapping, two qubits; in hartree, without
#: the repulsion of the nuclei. As in arXiv:1704.05018 and Qiskit's tutorials.
HAMILTONIAN = SparsePauliOp.from_list(
    [
        ("II", -1.052373245772859),
        ("IZ", 0.39793742484318045),
        ("ZI", -0.39793742484318045),
        ("ZZ", -0.01128010425623538),
        ("XX", 0.18093119978423156),
    ]
)
GROUND_ENERGY = -1.857275030202
STEPS = 60
RATE = 1.2


def ansatz() -> QuantumCircuit:
    """Two qubits, turned and entangled; four angles."""
    angles = ParameterVector("θ", 4)
    circuit = QuantumCircuit(2)
    circuit.ry(angles[0], 0)
    circuit.ry(angles[1], 1)
    circuit.cx(0, 1)
    circuit.ry(angles[2], 0)
    circuit.ry(angles[3], 1)
    return circuit


def main() -> float:
    """Minimizes the energy; returns it, in hartree."""
    circuit = ansatz()
    estimator = EstimatorV2()
    angles = np.full(circuit.num_parameters, 0.1)
    shifts = math.pi / 2 * np.vstack([np.eye(len(angles)), -np.eye(len(angles))])
    energy = math.inf
    for step in range(STEPS):
        points = np.vstack([angles, angles + shifts])
        energies = estimator.run([(circuit, HAMILTONIAN, points)]).result()[0].data.evs
        energy, up, down = energies[0], *np.split(energies[1:], 2)
        gradient = (up - down) / 2
        if step % 5 == 0:
            print(f"step {step:2d}  energy {energy:.8f}  gradient {np.linalg.norm(gradient):.1e}")
        if np.linalg.norm(gradient) < 1e-4:
            break
        angles = angles - RATE * gradient
    print(f"energy {energy:.8f} hartree, {energy - GROUND_ENERGY:.1e} above the ground state")
    return float(energy)


if __name__ == "__main__":
    if abs(main() - GROUND_ENERGY) > 1e-6:
        raise SystemExit("the ground state was not found")
