"""From basis states to the outcomes that a user sees.

An outcome is a string of all classical bits, the highest index on the left.
Bits that were never written are 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from qdispatch.model import ErrorKind
from tasks.circuit import Branch, Circuit, Gate, Loop, Measure, Op, Store
from tasks.simulators import SimulationError
from tasks.simulators.amplitudes import Floats, Indices, State, marginal

#: Probabilities up to this are not listed: single precision leaves about
#: 1e-14 where the exact value is 0.
CUTOFF: Final = 1e-12

#: The most outcomes that an exact distribution may have.
MAX_OUTCOMES: Final = 2**20

_ZERO, _ONE = b"0"[0], b"1"[0]


def measured(terminal: Mapping[int, int], n_clbits: int) -> dict[int, int]:
    """Classical bit -> qubit, for the bits that an outcome shows."""
    return {clbit: qubit for clbit, qubit in terminal.items() if 0 <= clbit < n_clbits}


def measured_qubits(terminal: Mapping[int, int], n_clbits: int) -> list[int]:
    """The qubits that an outcome depends on, ascending."""
    return sorted(set(measured(terminal, n_clbits).values()))


def keys(
    indices: Indices, terminal: Mapping[int, int], n_clbits: int, base: Mapping[int, int]
) -> list[str]:
    """The outcome of each basis state.

    Args:
        indices: int64 of shape (m,); bit q is qubit q.
        terminal: Classical bit -> qubit that it is measured from.
        n_clbits: Length of an outcome.
        base: Classical bits that were written before.
    """
    letters = np.full((len(indices), n_clbits), _ZERO, dtype=np.uint8)
    for clbit, value in base.items():
        if value and 0 <= clbit < n_clbits:
            letters[:, n_clbits - 1 - clbit] = _ONE
    for clbit, qubit in terminal.items():
        if 0 <= clbit < n_clbits:
            letters[:, n_clbits - 1 - clbit] = _ZERO + ((indices >> qubit) & 1).astype(np.uint8)
    text = letters.tobytes().decode("ascii")
    return [text[start : start + n_clbits] for start in range(0, len(text), n_clbits)]


def count(
    samples: Indices,
    terminal: Mapping[int, int],
    n_clbits: int,
    base: Mapping[int, int] | None = None,
) -> dict[str, int]:
    """How often each outcome was drawn; arguments as in `keys`."""
    mask = sum(1 << qubit for qubit in measured_qubits(terminal, n_clbits))
    values, times = np.unique(samples & mask, return_counts=True)
    return dict(zip(keys(values, terminal, n_clbits, base or {}), times.tolist(), strict=True))


def distribution(
    state: State,
    terminal: Mapping[int, int],
    n_clbits: int,
    base: Mapping[int, int] | None = None,
) -> dict[str, float]:
    """The exact probability of each outcome above `CUTOFF`; arguments as in `keys`.

    Raises:
        SimulationError: There are more than `MAX_OUTCOMES`.
    """
    qubits = measured_qubits(terminal, n_clbits)
    return listed(marginal(state, qubits), terminal, n_clbits, base)


def listed(
    probabilities: Floats,
    terminal: Mapping[int, int],
    n_clbits: int,
    base: Mapping[int, int] | None = None,
) -> dict[str, float]:
    """As `distribution`, from the probabilities of the measured qubits.

    Args:
        probabilities: float64 of shape (2**k,) over `measured_qubits`; the
            lowest of them is the least significant bit of the index.
        terminal: As in `keys`, like the rest.
        n_clbits: Length of an outcome.
        base: Classical bits that were written before.
    """
    values = np.flatnonzero(probabilities > CUTOFF)
    check_outcomes(len(values))
    found = keys(values, pack(terminal, n_clbits), n_clbits, base or {})
    return dict(zip(found, probabilities[values].tolist(), strict=True))


def pack(terminal: Mapping[int, int], n_clbits: int) -> dict[int, int]:
    """Classical bit -> place of its qubit among `measured_qubits`."""
    place = {q: place for place, q in enumerate(measured_qubits(terminal, n_clbits))}
    return {c: place[q] for c, q in measured(terminal, n_clbits).items()}


def outcome_width(circuit: Circuit) -> int:
    """How many bits of the circuit's outcomes may differ."""
    if circuit.terminal is None:
        return len(_written(circuit.ops))
    return len(measured_qubits(circuit.terminal, circuit.n_clbits))


def _written(ops: Iterable[Op]) -> set[int]:
    found: set[int] = set()
    for op in ops:
        # The most of a long circuit first.
        if isinstance(op, Gate):
            continue
        if isinstance(op, Measure):
            found.add(op.clbit)
        elif isinstance(op, Store):
            found.update(op.clbits)
        elif isinstance(op, Branch):
            found |= _written(op.then) | _written(op.otherwise)
        elif isinstance(op, Loop):
            found |= _written(op.body)
    return {clbit for clbit in found if clbit >= 0}


def outcome_bytes(width: int, n_clbits: int, shots: int) -> int:
    """Estimate of what outcomes take, from the sample to the encoded result, in bytes.

    An outcome is a string of all classical bits, of which there are up to three
    copies at a time, and it is packed beside. Measured as the peak of a process
    for 2**16 to 2**20 outcomes of 16 to 8000 bits, on every simulator: 3 bytes
    for each bit, and 310 to 400 for the rest.

    Args:
        width: At most 2**width outcomes are possible.
        n_clbits: Classical bits of an outcome.
        shots: Samples; 0 for an exact distribution.
    """
    most = shots or MAX_OUTCOMES
    number = min(1 << width, most) if width < most.bit_length() else most
    return number * (400 + 13 * n_clbits // 4)


def check_outcomes(n_outcomes: int) -> None:
    """Refuses an exact distribution that is too long to return."""
    if n_outcomes > MAX_OUTCOMES:
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"the exact distribution has {n_outcomes:,} outcomes; at most {MAX_OUTCOMES:,} are"
            " returned. Measure fewer qubits, or ask for shots",
        )


def merge(into: dict[str, float], more: Iterable[tuple[str, float]]) -> None:
    """Adds numbers to those of the same outcome."""
    for key, value in more:
        into[key] = into.get(key, 0) + value
