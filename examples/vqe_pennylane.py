"""The ground state of molecular hydrogen, by gradient descent in PennyLane.

Each gradient is one job: a sweep over the shifted angles. Start the service
with `make run`, or run this by hand against a running one:

    QDISPATCH_ADDRESS=HOST:PORT python examples/vqe_pennylane.py
"""

from __future__ import annotations

import sys

import pennylane as qml
from pennylane import numpy as np

GROUND_ENERGY = -1.857275030202382
"""In hartree, without the repulsion of the nuclei; at a distance of 0.735 angstrom."""

ENERGY = qml.Hamiltonian(
    [
        -1.052373245772859,
        0.39793742484318045,
        -0.39793742484318045,
        -0.01128010425623538,
        0.18093119978423156,
    ],
    [qml.I(0) @ qml.I(1), qml.Z(0), qml.Z(1), qml.Z(0) @ qml.Z(1), qml.X(0) @ qml.X(1)],
)
"""H2 in a minimal basis on two qubits, parity mapped."""

STEPS = 30
GOAL = 1e-6

device = qml.device("qdispatch", wires=2)


@qml.qnode(device)
def energy(angles: np.ndarray) -> object:
    """The energy of a state with four free angles."""
    qml.RY(angles[0], wires=0)
    qml.RY(angles[1], wires=1)
    qml.CNOT(wires=[0, 1])
    qml.RY(angles[2], wires=0)
    qml.RY(angles[3], wires=1)
    return qml.expval(ENERGY)


def main() -> int:
    """Descends until the energy is known, and says whether it is right."""
    optimizer = qml.GradientDescentOptimizer(stepsize=0.6)
    # The state of Hartree and Fock: one electron pair in the lower orbital.
    angles = np.array([np.pi, 0.0, 0.0, np.pi], requires_grad=True)
    value = float("inf")
    for step in range(1, STEPS + 1):
        angles, value = optimizer.step_and_cost(energy, angles)
        print(f"step {step:2d}  energy {value:+.7f}")
        if value - GROUND_ENERGY < GOAL:
            break
    print(f"the ground state's is {GROUND_ENERGY:+.7f}")
    return 0 if abs(value - GROUND_ENERGY) < GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
