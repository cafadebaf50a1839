"""Clifford circuits by stim, on any target.

Outcomes are declared as detectors, one for each classical bit: stim then gives
the bits of a shot packed, in our order, whatever was measured when. What it
samples is how a shot differs from a reference, which is one possible outcome.
The differences of all shots are a linear space over the field of two elements,
and equally likely (Gidney, arXiv:2103.02202, section 2.2); exact results come
from that space.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Final

import numpy as np

from qdispatch.arrays import PackedOutcomes
from qdispatch.model import ErrorKind
from tasks.simulators import Request, SimulationError, feed_forward, memory
from tasks.simulators.outcomes import MAX_OUTCOMES
from tasks.simulators.results import (
    Raw,
    fewer_outcomes,
    streams,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_values,
)
from tasks.simulators.shots import Rows, from_columns, row_bytes, shot_bytes
from tasks.simulators.spans import directions, span
from tasks.simulators.stabilizer_circuit import StabilizerCircuit
from tasks.simulators.stabilizer_values import values
from tasks.simulators.tally import Tally

#: What is sampled at a time, in bytes; more leaves the processor's caches.
_CHUNK_BYTES: Final = 2**23

#: The most shots that are counted at a time; Python has an object for each.
_CHUNK_SHOTS: Final = 2**17

#: A span of so many vectors more than its dimension is complete, but for one in 2**64 cases.
_SPARE: Final = 64

#: How many bits of entropy are told apart; there are never more outcomes than shots.
_MOST_BITS: Final = 64

#: Of an outcome that is counted: its bytes and number as Python's objects, and
#: the places in a table. Measured for 2**20 outcomes of 64 and 500 bits.
_OUTCOME_BYTES: Final = 250


def run(made: StabilizerCircuit, request: Request) -> Raw:
    """Runs a circuit of Clifford gates.

    Args:
        made: The circuit, converted.
        request: What is asked of it, which `tasks.simulators.results.check` has
            passed; neither statevector nor probabilities.

    Raises:
        SimulationError: Its outcomes are too many, or it takes too much memory.
    """
    sampler = Sampler(made)
    _check_memory(sampler, request)
    for_outcomes, for_values = streams(request.seed)
    counts = quasi = shots = None
    if wants_measurements(request):
        if request.shots:
            counts, shots = sampler.sample(request, int(for_outcomes.integers(2**63)))
        else:
            quasi = sampler.distribution()
    found = values(made, request, for_values) if wants_values(request) else None
    raw = Raw(counts=counts, quasi=quasi, shots=shots)
    return raw if found is None else Raw(counts=counts, quasi=quasi, shots=shots, values=found)


def state_bytes(n_qubits: int) -> int:
    """What stim holds of so many qubits, in bytes: a tableau of 4 n**2 bits."""
    return n_qubits * n_qubits // 2 + 2**12 * n_qubits


class Sampler:
    """Outcomes of one circuit."""

    def __init__(self, made: StabilizerCircuit) -> None:
        self.made = made
        self._width = row_bytes(made.n_clbits)

    @cached_property
    def _stim(self) -> Any:
        import stim

        return stim.Circuit(self.made.outcomes)

    @cached_property
    def _reference(self) -> Rows:
        """One possible outcome, lowest bit first; uint8 of shape (width,)."""
        signs, _ = self._stim.reference_detector_and_observable_signs(bit_packed=True)
        reference: Rows = signs.copy()
        for clbit in self.made.negated:
            if clbit < self.made.n_clbits:
                reference[clbit // 8] ^= np.uint8(1 << clbit % 8)
        return reference

    def sample(self, request: Request, seed: int) -> tuple[PackedOutcomes[int] | None, Rows | None]:
        """Counts and single shots, as far as they are asked for."""
        tally = Tally(self.made.n_clbits) if wants_outcomes(request) else None
        kept: list[Rows] = []
        for rows in self._rows(request.shots, seed):
            if tally is not None:
                tally.add(rows)
            if wants_shots(request):
                kept.append(rows)
        shots = np.concatenate(kept) if kept else None
        return None if tally is None else tally.outcomes(), shots

    def _rows(self, shots: int, seed: int) -> Iterator[Rows]:
        """All shots, in pieces that do not depend on what is done with them."""
        most = min(_CHUNK_SHOTS, max(256, _CHUNK_BYTES // self._shot_bytes))
        if self.made.corrections:
            yield from feed_forward.sample(self.made, shots, seed, most)
            return
        import stim

        # As long as each other: the last one is sampled whole as well.
        at_once = -(-shots // -(-shots // most))
        # stim's samplers turn their tables bit by bit, which takes most of their time.
        simulator: Any = stim.FlipSimulator(
            batch_size=at_once, num_qubits=self.made.n_qubits, seed=seed
        )
        for start in range(0, shots, at_once):
            simulator.clear()
            simulator.do(self._stim)
            flips = simulator.get_detector_flips(bit_packed=True)
            rows = from_columns(flips, min(at_once, shots - start))
            # stim has bit 0 in the first byte, we in the last.
            rows ^= self._reference[::-1]
            yield rows

    @property
    def _shot_bytes(self) -> int:
        made = self.made
        # Bits of outcomes are there up to six times while their table is turned.
        packed = (2 * made.n_qubits + made.n_records + 6 * made.n_clbits) // 8 + 1
        # Corrections work on a byte for each bit.
        return packed + (made.n_records + made.n_clbits) * bool(made.corrections)

    def bytes_needed(self) -> int:
        """Estimate of what the state and a piece of the sample take."""
        return state_bytes(self.made.n_qubits) + 2 * max(_CHUNK_BYTES, 256 * self._shot_bytes)

    def directions(self, at_most: int) -> list[int]:
        """A basis of what the outcomes differ by, as far as there are at most so many."""
        sampler = self._stim.compile_detector_sampler(seed=0)
        flips = sampler.sample(at_most + _SPARE, bit_packed=True)
        return directions(int.from_bytes(each.tobytes(), "little") for each in flips)

    def distribution(self) -> PackedOutcomes[float]:
        """The exact probability of each outcome.

        Raises:
            SimulationError: There are more than `MAX_OUTCOMES`.
        """
        found = self.directions(_MOST_BITS)
        if 1 << len(found) > MAX_OUTCOMES:
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"the exact distribution has 2^{min(len(found), _MOST_BITS)} outcomes or more; at"
                f" most {MAX_OUTCOMES:,} are returned. Measure fewer qubits, or ask for shots",
            )
        first = int.from_bytes(self._reference.tobytes(), "little")
        rows = span(first, found, self._width)
        return PackedOutcomes(rows.tobytes(), [0.5 ** len(found)] * len(rows), self.made.n_clbits)


def _check_memory(sampler: Sampler, request: Request) -> None:
    """Holds the state and the outcomes against the limit.

    How many outcomes there can be is worked out only if there may be too many.
    """
    made, limit = sampler.made, request.memory_limit_bytes
    state = sampler.bytes_needed()
    outcomes = _outcome_bytes(made, request, made.n_clbits)
    memory.check(state, limit, f"a stabilizer state of {made.n_qubits} qubits")
    if not memory.fits(state + outcomes, limit) and not made.corrections:
        outcomes = _outcome_bytes(made, request, len(sampler.directions(_MOST_BITS)))
    what = f"a stabilizer state of {made.n_qubits} qubits and its outcomes"
    memory.check(state + outcomes, limit, what, fewer_outcomes(request))


def _outcome_bytes(made: StabilizerCircuit, request: Request, free_bits: int) -> int:
    """Estimate of what outcomes take up to the encoded result, in bytes."""
    need = shot_bytes(made.n_clbits, request.shots) if wants_shots(request) else 0
    if wants_outcomes(request):
        most = request.shots or MAX_OUTCOMES
        number = min(1 << min(free_bits, _MOST_BITS), most)
        need += number * (_OUTCOME_BYTES + 5 * row_bytes(made.n_clbits))
    return need
