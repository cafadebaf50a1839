"""Circuits so wide that gates are fused and threads are used."""

from __future__ import annotations

import math
from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
from conformance_runs import Run

from qdispatch.model import ResultType
from tasks.circuit import GATES, Circuit, Gate, Measure
from tasks.simulators.matrices import matrix

N_QUBITS = 17


def a_circuit() -> Circuit:
    """Every gate a few times, and runs and pairs of them, on qubits next to each other and far."""
    rng = np.random.default_rng(11)
    gates: list[Gate] = []
    for name in sorted(GATES):
        n_params, n_qubits = GATES[name]
        where = rng.choice(N_QUBITS, max(2, n_qubits), replace=False).tolist()
        for turn in (1, -1):
            angles = tuple(rng.uniform(-math.pi, math.pi, n_params).tolist())
            gates.append(Gate(name, tuple(where[:n_qubits][::turn]), angles))
            gates.append(Gate("ry", (where[0],), (0.7,)))
            gates.append(Gate("cu", (where[1], where[0]), (0.5, 0.2, 0.1, 0.4)))
    ops = (*gates, *(Measure(qubit, qubit) for qubit in range(N_QUBITS)))
    return Circuit(n_qubits=N_QUBITS, n_clbits=N_QUBITS, ops=ops)


@cache
def the_probabilities() -> npt.NDArray[np.float64]:
    """Of the circuit's basis states, gate by gate."""
    state = np.zeros((2,) * N_QUBITS, dtype=np.complex128)
    state[(0,) * N_QUBITS] = 1
    for gate in a_circuit().gates():
        before = state.copy()
        # Axis 0 is the highest qubit; the gate's first qubit its matrix' highest bit.
        axes = [N_QUBITS - 1 - qubit for qubit in gate.qubits]
        parts: list[tuple[int | slice, ...]] = []
        for bits in product((0, 1), repeat=len(axes)):
            chosen = dict(zip(axes, bits, strict=True))
            parts.append(tuple(chosen.get(axis, slice(None)) for axis in range(N_QUBITS)))
        for row, into in zip(matrix(gate), parts, strict=True):
            state[into] = sum(
                factor * before[part] for factor, part in zip(row, parts, strict=True) if factor
            )
    return np.abs(state.ravel()) ** 2


def test_probabilities_of_a_wide_circuit(run: Run) -> None:
    (result,) = run(a_circuit(), ResultType.PROBABILITIES).results
    # Some hundred gates in single precision.
    np.testing.assert_allclose(np.asarray(result.probabilities), the_probabilities(), atol=1e-6)


def test_threads_do_not_change_what_is_drawn(run: Run) -> None:
    circuit = a_circuit()
    first, second = (
        run(circuit, ResultType.COUNTS, shots=500, seed=3, threads=threads).results[0].counts
        for threads in (1, 2)
    )
    assert first == second
