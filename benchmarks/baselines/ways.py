"""Direct calls of the SDKs: from OpenQASM 2 text to a dict of counts.

A way takes (text, shots, threads) and returns counts: outcome, the highest bit
on the left -> number of shots. Several of one SDK are tried, and the fastest
is the baseline. What a user types first is here, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Way: TypeAlias = Callable[[str, int, int], dict[str, int]]


def _loaded(text: str) -> Any:
    from qiskit import qasm2

    return qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)


# -- Aer


def aer(text: str, shots: int, threads: int, **options: Any) -> dict[str, int]:
    """Qiskit's parser and Aer, with options of its."""
    from qiskit_aer import AerSimulator

    simulator = AerSimulator(max_parallel_threads=threads, **options)
    done = simulator.run(_loaded(text), shots=shots).result()
    if not done.success:
        raise RuntimeError(f"Aer: {done.status}")
    counts: dict[str, int] = done.get_counts()
    return counts


# -- Cirq


def _cirq_circuit(text: str) -> Any:
    """By Qiskit's parser, which is much faster than Cirq's own."""
    import cirq

    source = _loaded(text)
    qubits = cirq.LineQubit.range(source.num_qubits)
    operations = []
    for each in source.data:
        name = each.operation.name
        if name == "measure":
            continue
        at = [qubits[source.find_bit(qubit).index] for qubit in each.qubits]
        operations.append(_cirq_gate(name, each.operation.params)(*at))
    # Of the highest qubit first, as outcomes are written.
    operations.append(cirq.measure(*reversed(qubits), key="c"))
    return cirq.Circuit(operations)


def _cirq_gate(name: str, angles: Any) -> Any:
    import cirq

    values = [float(angle) for angle in angles]
    if name == "u3":
        theta, phi, lam = values
        return cirq.MatrixGate(_u3(theta, phi, lam))
    if name == "cu1":
        return cirq.CZPowGate(exponent=values[0] / np.pi)
    if name == "ry":
        return cirq.ry(values[0])
    return {"h": cirq.H, "cx": cirq.CNOT, "cz": cirq.CZ, "swap": cirq.SWAP}[name]


def _u3(theta: float, phi: float, lam: float) -> NDArray[np.complex128]:
    """OpenQASM 2's u3, arXiv:1707.03429, up to a global phase."""
    cos, sin = np.cos(theta / 2), np.sin(theta / 2)
    return np.array(
        [
            [cos, -np.exp(1j * lam) * sin],
            [np.exp(1j * phi) * sin, np.exp(1j * (phi + lam)) * cos],
        ]
    )


def qsim(text: str, shots: int, threads: int, *, fused: int) -> dict[str, int]:
    """The qsim simulator, with gates fused up to so many qubits."""
    import qsimcirq

    options = qsimcirq.QSimOptions(max_fused_gate_size=fused, cpu_threads=threads)
    simulator = qsimcirq.QSimSimulator(options)
    return _counted(simulator.run(_cirq_circuit(text), repetitions=shots).measurements["c"])


def cirq_simulator(text: str, shots: int, _threads: int) -> dict[str, int]:
    """What a user of Cirq types first."""
    import cirq

    done = cirq.Simulator().run(_cirq_circuit(text), repetitions=shots)
    return _counted(done.measurements["c"])


# -- PennyLane


def _pennylane_operations(text: str) -> tuple[list[Any], int]:
    source = _loaded(text)
    operations = []
    for each in source.data:
        name = each.operation.name
        if name != "measure":
            wires = [source.find_bit(qubit).index for qubit in each.qubits]
            angles = [float(angle) for angle in each.operation.params]
            operations.append(_pennylane_gate(name, angles, wires))
    return operations, source.num_qubits


def _pennylane_gate(name: str, angles: list[float], wires: list[int]) -> Any:
    import pennylane as qml

    if name == "u3":
        theta, phi, lam = angles
        # Up to a global phase, and native to every device.
        return qml.Rot(lam, theta, phi, wires=wires)
    if name == "cu1":
        return qml.ControlledPhaseShift(angles[0], wires=wires)
    if name == "ry":
        return qml.RY(angles[0], wires=wires)
    gates = {"h": qml.Hadamard, "cx": qml.CNOT, "cz": qml.CZ, "swap": qml.SWAP}
    return gates[name](wires=wires)


def lightning(text: str, shots: int, _threads: int, *, sampled: str) -> dict[str, int]:
    """lightning.qubit without the transforms of a QNode; threads are of the environment.

    Args:
        text: The program.
        shots: How many samples.
        sampled: "samples" for lightning's own, "probabilities" to draw from
            those with numpy.
    """
    import pennylane as qml

    operations, n_qubits = _pennylane_operations(text)
    device = qml.device("lightning.qubit", wires=n_qubits)
    wires = list(reversed(range(n_qubits)))
    if sampled == "samples":
        tape = qml.tape.QuantumScript(operations, [qml.sample(wires=wires)], shots=shots)
        return _counted(np.asarray(device.execute(tape)))
    tape = qml.tape.QuantumScript(operations, [qml.probs(wires=range(n_qubits))])
    return _drawn(np.asarray(device.execute(tape)), shots, n_qubits)


def default_qubit(text: str, shots: int, _threads: int) -> dict[str, int]:
    """What a user of PennyLane types first."""
    import pennylane as qml

    operations, n_qubits = _pennylane_operations(text)

    def circuit() -> Any:
        for operation in operations:
            qml.apply(operation)
        return qml.counts(wires=list(reversed(range(n_qubits))))

    node = qml.QNode(circuit, qml.device("default.qubit", wires=n_qubits))
    return {str(key): int(value) for key, value in qml.set_shots(node, shots)().items()}


# -- from samples to counts


def _counted(samples: NDArray[Any]) -> dict[str, int]:
    """Counts of samples, shape (shots, bits), each 0 or 1, the highest bit first."""
    n_bits = samples.shape[-1]
    weights = 1 << np.arange(n_bits - 1, -1, -1, dtype=np.int64)
    keys, numbers = np.unique(samples.reshape(-1, n_bits) @ weights, return_counts=True)
    return {
        format(key, f"0{n_bits}b"): number
        for key, number in zip(keys.tolist(), numbers.tolist(), strict=True)
    }


def _drawn(probabilities: NDArray[np.float64], shots: int, n_qubits: int) -> dict[str, int]:
    """Counts drawn from probabilities of basis states, of which qubit 0 is the highest bit."""
    sums = np.cumsum(probabilities)
    draws = np.random.default_rng().random(shots) * sums[-1]
    keys, numbers = np.unique(np.searchsorted(sums, draws, side="right"), return_counts=True)
    return {
        format(key, f"0{n_qubits}b")[::-1]: number
        for key, number in zip(keys.tolist(), numbers.tolist(), strict=True)
    }


#: Of each target, the direct ways that are tried.
DIRECT: Final[Mapping[str, Mapping[str, Way]]] = {
    "aer": {
        "Aer": partial(aer, method="statevector"),
        "Aer, fused to 4": partial(aer, method="statevector", fusion_max_qubit=4),
        "Aer, fused to 3": partial(aer, method="statevector", fusion_max_qubit=3),
    },
    "cirq": {f"qsim, fused to {fused}": partial(qsim, fused=fused) for fused in (2, 3, 4)},
    "pennylane": {
        "lightning": partial(lightning, sampled="samples"),
        "lightning, probs": partial(lightning, sampled="probabilities"),
    },
}
#: Of each target, what a user types first.
FIRST_TRIES: Final[Mapping[str, tuple[str, Way]]] = {
    "cirq": ("cirq.Simulator()", cirq_simulator),
    "pennylane": ("default.qubit", default_qubit),
}
#: For wide circuits of low entanglement.
PRODUCT_STATE: Final[Way] = partial(aer, method="matrix_product_state")
