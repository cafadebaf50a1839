"""Pauli gates under any condition, on all shots at once.

A Pauli gate changes a stabilizer state's signs only: it flips some of the later
measurements, always the same, and nothing else. So a circuit is sampled
without such gates, and the flips of each are made up for afterwards in those
shots where its condition holds (Pauli frames: Gidney, arXiv:2103.02202,
section 2.2).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from tasks.simulators.parities import Parity, parts
from tasks.simulators.shots import Rows, row_bytes
from tasks.simulators.stabilizer_circuit import Correction, StabilizerCircuit

#: Booleans of shape (shots, measurements).
_Records: TypeAlias = npt.NDArray[np.bool_]

#: X and Z part of each letter.
_PARTS: Final = {"X": (1, 0), "Y": (1, 1), "Z": (0, 1)}
_LETTERS: Final = {both: letter for letter, both in _PARTS.items()}


def sample(made: StabilizerCircuit, shots: int, seed: int, at_once: int) -> Iterator[Rows]:
    """Samples the outcomes of a circuit with corrections.

    Args:
        made: The circuit.
        shots: How many.
        seed: From 0 to 2**63 - 1.
        at_once: Shots of a piece.

    Yields:
        Rows of some shots; see `tasks.simulators.shots`.
    """
    import stim

    sampler = stim.Circuit(f"{made.body}\n{made.final}").compile_sampler(seed=seed)
    flips = _flips(made)
    for start in range(0, shots, at_once):
        records = sampler.sample(min(at_once, shots - start))
        for correction, flipped in zip(made.corrections, flips, strict=True):
            records[_holds(correction, records)] ^= flipped
        yield _rows(made, records)


def _flips(made: StabilizerCircuit) -> _Records:
    """What each correction flips; of shape (corrections, measurements)."""
    import stim

    simulator: Any = stim.FlipSimulator(
        batch_size=len(made.corrections),
        num_qubits=made.n_qubits,
        disable_stabilizer_randomization=True,
    )
    for number, (segment, correction) in enumerate(
        zip(made.segments, made.corrections, strict=False)
    ):
        simulator.do(stim.Circuit(segment))
        for qubit, letter in _products(correction).items():
            simulator.set_pauli_flip(letter, qubit_index=qubit, instance_index=number)
    simulator.do(stim.Circuit(made.segments[-1]))
    simulator.do(stim.Circuit(made.final))
    found: _Records = simulator.get_measurement_flips().T
    return found


def _products(correction: Correction) -> dict[int, str]:
    """The product of a correction's gates on each qubit, where it is not the identity."""
    found: dict[int, tuple[int, int]] = {}
    for qubit, letter in correction.paulis:
        x, z = found.get(qubit, (0, 0))
        found[qubit] = (x ^ _PARTS[letter][0], z ^ _PARTS[letter][1])
    return {qubit: _LETTERS[both] for qubit, both in found.items() if any(both)}


def _holds(correction: Correction, records: _Records) -> npt.NDArray[np.bool_]:
    """In which shots a correction's condition holds."""
    clbits = list(correction.bits)
    read = np.stack([_values(correction.bits[clbit], records) for clbit in clbits], axis=1)
    # Few values occur, so the condition is evaluated once for each of them.
    packed = np.packbits(read, axis=1)
    texts = packed.view(f"V{packed.shape[1]}").ravel()
    _, first, places = np.unique(texts, return_index=True, return_inverse=True)
    decided = [
        bool(correction.condition.value(dict(zip(clbits, map(int, row), strict=True))))
        for row in read[first]
    ]
    return np.array(decided)[places]


def _values(parity: Parity, records: _Records) -> npt.NDArray[np.bool_]:
    numbers, negated = parts(parity)
    found = np.full(len(records), negated)
    for number in numbers:
        found ^= records[:, number]
    return found


def _rows(made: StabilizerCircuit, records: _Records) -> Rows:
    width = row_bytes(made.n_clbits)
    bits = np.zeros((len(records), 8 * width), dtype=bool)
    for clbit, parity in made.bits.items():
        if clbit < made.n_clbits:
            bits[:, -1 - clbit] = _values(parity, records)
    return np.packbits(bits, axis=1)
