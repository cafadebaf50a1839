"""Neutral gates to the circuits of qsim's own library.

By way of Cirq's operations, a gate costs more than qsim takes to simulate it
on 16 qubits. qsim fuses all gates to matrices, so it is given matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tasks.circuit import Gate
from tasks.simulators.matrices import matrix

Amplitudes: TypeAlias = npt.NDArray[np.complex64]

#: Qubits of a fused gate. Measured on QFT, random and quantum volume circuits of
#: 16 to 24 qubits, with 1 and 2 threads: 2 takes up to 1.9 times as long, 4 takes
#: 1.3 to 1.8 times, and more are worse.
_FUSED: Final = 3

#: What qsimcirq gives qsim, but for the circuit, its fusion and its threads: on the CPU,
#: silent. "z" would have the processor treat denormal numbers as 0, here and in
#: whatever this process computes afterwards.
_OPTIONS: Final = {
    "r": 1, "g": False, "gmode": 0, "gsst": 512, "gdb": 16, "v": 0, "z": False, "s": 0,
}  # fmt: skip


class Qsim:
    """Runs lists of gates on qsim.

    Args:
        library: The module `qsimcirq.qsim`, which suits this machine's processor.
        n_qubits: Qubits of all circuits.
        threads: OpenMP threads.
    """

    def __init__(self, library: Any, n_qubits: int, threads: int) -> None:
        self._library = library
        self._n_qubits = n_qubits
        self._threads = threads

    def build(self, gates: Sequence[Gate]) -> Any:
        """The circuit of some gates."""
        made = self._library.Circuit()
        made.num_qubits = self._n_qubits
        add = self._library.add_matrix_gate
        for time, moment in enumerate(moments(gates, self._n_qubits)):
            for gate in moment:
                add(time, list(gate.qubits), _numbers(gate), made)
        return made

    def evolve(self, circuit: Any, state: Amplitudes | None) -> Amplitudes:
        """The state after a circuit of `build`.

        Args:
            circuit: What to run.
            state: complex64 of shape (2**n_qubits,), qubit 0 in the least
                significant bit; not changed. None stands for all qubits at 0.
        """
        options = {**_OPTIONS, "c": circuit, "f": _FUSED, "t": self._threads}
        initial = 0 if state is None else state.view(np.float32)
        final: Amplitudes = self._library.qsim_simulate_fullstate(options, initial)
        return final.view(np.complex64)


def moments(gates: Sequence[Gate], n_qubits: int) -> list[list[Gate]]:
    """Gates that can be done at once, together: each as early as it can be."""
    free = [0] * n_qubits
    found: list[list[Gate]] = []
    for gate in gates:
        place = max([free[qubit] for qubit in gate.qubits])
        for qubit in gate.qubits:
            free[qubit] = place + 1
        if place == len(found):
            found.append([])
        found[place].append(gate)
    return found


def _numbers(gate: Gate) -> list[float]:
    """Real and imaginary parts of a gate's matrix in turn, row by row."""
    flat: list[float] = np.ascontiguousarray(matrix(gate)).view(np.float64).ravel().tolist()
    return flat
