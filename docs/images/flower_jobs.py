"""Jobs of every kind for the picture of the dashboard; prints nothing.

Leaves one job running: a state of 24 qubits and many layers.
"""

from __future__ import annotations

import time

import cirq
from qiskit import QuantumCircuit

from examples.three_frameworks import bell, energy, ghz
from qdispatch import Client, CustomCircuit, JobStatus


def long_circuit() -> QuantumCircuit:
    """Takes minutes on any target."""
    circuit = QuantumCircuit(24)
    for layer in range(500):
        for qubit in range(24):
            circuit.ry(0.1 + layer + qubit, qubit)
        for qubit in range(23):
            circuit.cx(qubit, qubit + 1)
    circuit.measure_all()
    return circuit


def main() -> None:
    """Submits them, and returns when all but one have ended."""
    broken = CustomCircuit(
        program='OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; foo q[0];',
        program_format="openqasm2",
        n_qubits=1,
        depth=1,
        framework="by hand",
    )
    qubits = cirq.LineQubit.range(20)
    wide = cirq.Circuit(cirq.H.on_each(*qubits), cirq.measure(*qubits))
    with Client() as client:
        ended = [
            client.submit(bell(), target="aer", shots=1000, seed=7),
            client.submit(ghz(), target="cirq", shots=1000, seed=7),
            client.submit(energy, args=(1.0,), target="pennylane"),
            client.submit(wide, target="cirq", shots=100_000),
            client.submit(broken, target="aer", shots=100),
        ]
        for job in ended:
            job.wait(timeout_s=60)
        stopped = client.submit(long_circuit(), target="pennylane", shots=1000)
        running = client.submit(long_circuit(), target="aer", shots=1000)
        while JobStatus.PENDING in (stopped.status(), running.status()):
            time.sleep(0.2)
        stopped.cancel()
        # Time for the dashboard to hear of it.
        time.sleep(3)


if __name__ == "__main__":
    main()
