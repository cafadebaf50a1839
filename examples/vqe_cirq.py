"""The ground state of a hydrogen molecule, found with Cirq and a sampler.

The only line that knows of qdispatch is the one that makes the sampler. Each
step of the descent is one job: a sweep over the parameters as they are and
shifted by a quarter turn, which gives the energy and its exact gradient
(M. Schuld et al., Phys. Rev. A 99, 032331 (2019)), but for the noise of the shots.

Against a running service, whose address is in QDISPATCH_ADDRESS:

    python examples/vqe_cirq.py
"""

from __future__ import annotations

import math
import sys

import cirq
import numpy as np
import numpy.typing as npt
import sympy

from qdispatch.cirq import Sampler

Q0, Q1 = cirq.LineQubit.range(2)

#: H2 at 0.735 angstrom, STO-3G, parity mapping, two qubits; in hartree, without
#: the repulsion of the nuclei. As in arXiv:1704.05018 and in vqe_qiskit.py.
HAMILTONIAN = (
    -1.052373245772859
    + 0.39793742484318045 * cirq.Z(Q0)
    - 0.39793742484318045 * cirq.Z(Q1)
    - 0.01128010425623538 * cirq.Z(Q0) * cirq.Z(Q1)
    + 0.18093119978423156 * cirq.X(Q0) * cirq.X(Q1)
)
GROUND_ENERGY = -1.857275030202382

NAMES = ("a", "b", "c", "d")
STEPS, RATE, SHOTS, LAST_SHOTS = 30, 1.2, 2_000, 100_000

#: Of the last estimate: five times sqrt(sum of squared coefficients / shots).
TOLERANCE = 5 * math.sqrt(2 * 0.398**2 + 0.0113**2 + 0.181**2) / math.sqrt(LAST_SHOTS)


def ansatz() -> cirq.Circuit:
    """Two qubits, turned and entangled; four angles."""
    a, b, c, d = sympy.symbols(NAMES)
    return cirq.Circuit(
        cirq.ry(a)(Q0), cirq.ry(b)(Q1), cirq.CX(Q0, Q1), cirq.ry(c)(Q0), cirq.ry(d)(Q1)
    )


def energies(sampler: cirq.Sampler, points: npt.NDArray[np.float64], shots: int) -> list[float]:
    """The energy at each row of parameters, in one job."""
    resolvers = [dict(zip(NAMES, map(float, point), strict=True)) for point in points]
    values = sampler.sample_expectation_values(
        ansatz(), HAMILTONIAN, num_samples=shots, params=resolvers
    )
    return [value for (value,) in values]


def descend(sampler: cirq.Sampler) -> npt.NDArray[np.float64]:
    """Follows the gradient down; returns the parameters at its end."""
    at = np.full(len(NAMES), 0.1)
    shifts = np.eye(len(NAMES)) * math.pi / 2
    for step in range(STEPS):
        here, *shifted = energies(sampler, np.vstack([at, at + shifts, at - shifts]), SHOTS)
        plus, minus = np.split(np.array(shifted), 2)
        if step % 5 == 0:
            print(f"  step {step:2d}  energy {here:+.4f}")
        at = at - RATE * (plus - minus) / 2
    return at


def main() -> int:
    """Finds the ground state; returns the exit code."""
    sampler = Sampler(seed=7)
    found = descend(sampler)
    (energy,) = energies(sampler, found[None], LAST_SHOTS)
    print(f"  found          {energy:+.4f} +- {TOLERANCE / 5:.4f}")
    print(f"  ground energy  {GROUND_ENERGY:+.4f}")
    if abs(energy - GROUND_ENERGY) > TOLERANCE:
        print("This is not the ground energy.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
