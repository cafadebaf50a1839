"""Three circuits, from three frameworks, each on its own target.

Start the service with `make run`, or run this by hand against a running one:

    python examples/three_frameworks.py [HOST:PORT]
"""

from __future__ import annotations

import math
import sys
from itertools import pairwise

import cirq
import pennylane as qml
from qiskit import QuantumCircuit

from qdispatch import Client, Job, QDispatchError


def bell() -> QuantumCircuit:
    """A Bell state in Qiskit: 00 and 11, half each."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def ghz() -> cirq.Circuit:
    """A GHZ state of five qubits in Cirq: all 0 or all 1."""
    qubits = cirq.LineQubit.range(5)
    return cirq.Circuit(
        cirq.H(qubits[0]),
        [cirq.CNOT(a, b) for a, b in pairwise(qubits)],
        cirq.measure(*qubits, key="m"),
    )


@qml.qnode(qml.device("default.qubit", wires=2))
def energy(theta: float) -> object:
    """A variational circuit in PennyLane, with the energy of its state."""
    qml.RY(theta, wires=0)
    qml.CNOT(wires=[0, 1])
    return qml.expval(0.5 * qml.Z(0) @ qml.Z(1) + 0.25 * (qml.X(0) @ qml.X(1)))


def show(title: str, job: Job) -> None:
    """Prints what a job came to."""
    result = job.result(timeout_s=60)
    info = result.info
    took = sum(part or 0.0 for part in (info.timings.parsing_s, info.timings.simulating_s))
    print(f"\n{title}")
    print(f"  job     {job.id}")
    print(f"  target  {info.spec.target}: {info.simulator_version}, {info.method}")
    print(f"  took    {took * 1000:.1f} ms, {info.peak_memory_bytes / 2**20:.0f} MiB at most")
    for kind in info.spec.result_types:
        if kind == "expval":
            for value, error in zip(result.expval, result.standard_errors, strict=True):
                print(f"  energy  {value:+.6f}" + (f" +- {error:.6f}" if error else " (exact)"))
        else:
            for outcome, number in result.counts.items():
                bar = "#" * round(40 * number / info.spec.shots)
                print(f"  {outcome}  {number:5d}  {bar}")


def main() -> None:
    """Submits all three, then waits for each."""
    address = sys.argv[1] if len(sys.argv) > 1 else None
    with Client(address) as client:
        jobs = {
            "Bell state, written in Qiskit": client.submit(
                bell(), target="aer", shots=1000, seed=7
            ),
            "GHZ state, written in Cirq": client.submit(ghz(), target="cirq", shots=1000, seed=7),
            "Variational circuit, written in PennyLane": client.submit(
                energy, args=(math.pi / 3,), target="pennylane"
            ),
        }
        for title, job in jobs.items():
            show(title, job)
    print()


if __name__ == "__main__":
    try:
        main()
    except QDispatchError as error:
        sys.exit(f"qdispatch: {error}")
