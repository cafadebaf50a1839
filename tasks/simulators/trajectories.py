"""Dynamic circuits on a state vector, branch by branch.

A measurement in mid-circuit splits what runs into two branches, each with its
projected state and its own classical bits. With shots, the shots are split
between them by a binomial draw, which gives the same distribution as running
shot by shot and follows only branches that a shot takes. Without shots, each
branch carries its exact probability, so that results are exact. Conditions
are evaluated on the classical bits of one branch, so any expression works on
any simulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from qdispatch.model import ErrorKind
from tasks.circuit import (
    Bits,
    Branch,
    Circuit,
    Constant,
    Expression,
    Gate,
    Loop,
    Measure,
    Op,
    Operation,
    Reset,
    Store,
)
from tasks.simulators import Request, SimulationError, memory
from tasks.simulators.amplitudes import (
    State,
    deviation,
    expectation,
    flip,
    probability_of_one,
    project,
    sample,
)
from tasks.simulators.outcomes import check_outcomes, count, distribution, merge
from tasks.simulators.results import (
    Raw,
    streams,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_values,
    wants_variances,
)
from tasks.simulators.shots import Rows, rows, shuffled
from tasks.simulators.values import Trajectory, average, exact_values, paulis, terms

if TYPE_CHECKING:
    from tasks.simulators.statevector import Evolver

#: An exact branch below this probability is not followed.
NEGLIGIBLE: Final = 1e-12

#: The most branches that are followed to their end without shots.
MAX_BRANCHES: Final = 2**12

#: How often one loop may run its body in one branch.
MAX_ITERATIONS: Final = 10_000

#: Rounding in single precision: an outcome this improbable does not happen.
_IMPOSSIBLE: Final = 1e-13


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a branch stands: an operation in a list, and what follows the list."""

    ops: tuple[Op, ...]
    place: int
    after: _Frame | None
    iterations: int = 0


@dataclass(slots=True)
class _Path:
    """One branch on its way."""

    weight: float
    """Shots, or a probability."""
    state: State | None
    """None as long as all qubits are at 0."""
    bits: dict[int, int]
    """Classical bits that were written."""
    frame: _Frame | None


class Trajectories:
    """One run of one dynamic circuit."""

    def __init__(self, evolver: Evolver, circuit: Circuit, request: Request) -> None:
        self._evolver = evolver
        self._circuit = circuit
        self._request = request
        self._body, self._terminal = split_terminal(circuit.ops)
        self._rng, _ = streams(request.seed)
        self._segments: dict[tuple[int, int], tuple[Gate, ...]] = {}
        self._pending: list[_Path] = []
        self._outcomes: dict[str, float] = {}
        self._paulis = paulis(request.observables) if wants_values(request) else []
        self._trajectories: list[Trajectory] = []
        self._shots: list[Rows] = []
        self._ended = 0
        self._followed = 0.0

    def run(self) -> Raw:
        """Follows every branch to its end.

        Raises:
            SimulationError: Too many branches, too much memory, or a loop
                that does not end.
        """
        weight = self._request.shots or 1.0
        self._pending.append(_Path(weight, None, {}, _Frame(self._body, 0, None)))
        while self._pending:
            path = self._pending.pop()
            while path.frame is not None:
                self._step(path)
            self._end(path)
        return self._raw()

    def _step(self, path: _Path) -> None:
        frame = path.frame
        if frame is None:
            return
        if frame.place == len(frame.ops):
            path.frame = frame.after
            return
        op = frame.ops[frame.place]
        if isinstance(op, Gate):
            self._gates(path, frame)
            return
        path.frame = _Frame(frame.ops, frame.place + 1, frame.after, frame.iterations)
        if isinstance(op, Measure):
            self._measure(path, op.qubit, op.clbit)
        elif isinstance(op, Reset):
            self._measure(path, op.qubit, None)
        elif isinstance(op, Store):
            number = op.value.value(path.bits)
            for place, clbit in enumerate(op.clbits):
                path.bits[clbit] = (number >> place) & 1
        elif isinstance(op, Branch):
            chosen = op.then if op.condition.value(path.bits) else op.otherwise
            path.frame = _Frame(chosen, 0, path.frame)
        elif op.condition.value(path.bits):
            self._iterate(path, op, frame)

    def _iterate(self, path: _Path, loop: Loop, frame: _Frame) -> None:
        # Back to the loop itself after its body, which tests the condition again.
        if frame.iterations >= MAX_ITERATIONS:
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"a while loop has not ended after {MAX_ITERATIONS:,} iterations",
            )
        again = _Frame(frame.ops, frame.place, frame.after, frame.iterations + 1)
        path.frame = _Frame(loop.body, 0, again)

    def _gates(self, path: _Path, frame: _Frame) -> None:
        key = (id(frame.ops), frame.place)
        segment = self._segments.get(key)
        if segment is None:
            end = frame.place
            while end < len(frame.ops) and isinstance(frame.ops[end], Gate):
                end += 1
            found: Sequence[Any] = frame.ops[frame.place : end]
            segment = self._segments[key] = tuple(found)
        path.state = self._evolver.evolve(path.state, self._circuit.n_qubits, segment)
        end = frame.place + len(segment)
        path.frame = _Frame(frame.ops, end, frame.after, frame.iterations)

    def _measure(self, path: _Path, qubit: int, clbit: int | None) -> None:
        """Splits a path; with no classical bit, the qubit is put into 0 instead."""
        if path.state is None:
            if clbit is not None:
                path.bits[clbit] = 0
            return
        one = probability_of_one(path.state, qubit)
        weights = self._split(path.weight, one)
        source = path.state
        taken = [outcome for outcome in (0, 1) if weights[outcome] > 0]
        if len(taken) == 2:
            self._check_memory()
            other = _Path(weights[1], source, dict(path.bits), path.frame)
            self._collapse(other, qubit, clbit, 1, one)
            self._pending.append(other)
        if not taken:
            # The last remainder of a loop that may go on for ever.
            path.weight, path.frame = 0, None
            return
        path.weight = weights[taken[0]]
        self._collapse(path, qubit, clbit, taken[0], one)

    def _collapse(
        self, path: _Path, qubit: int, clbit: int | None, outcome: int, one: float
    ) -> None:
        certain = one if outcome else 1 - one
        if path.state is not None and certain < 1:
            path.state = project(path.state, qubit, outcome)
        if clbit is not None:
            path.bits[clbit] = outcome
        elif outcome and path.state is not None:
            path.state = flip(path.state, qubit)

    def _split(self, weight: float, one: float) -> tuple[float, float]:
        if one < _IMPOSSIBLE:
            return weight, 0
        if one > 1 - _IMPOSSIBLE:
            return 0, weight
        if self._request.shots:
            ones = int(self._rng.binomial(int(weight), one))
            return weight - ones, ones
        zero_part, one_part = weight * (1 - one), weight * one
        return zero_part * (zero_part >= NEGLIGIBLE), one_part * (one_part >= NEGLIGIBLE)

    def _check_memory(self) -> None:
        state_bytes = self._evolver.state_bytes_per_amplitude << self._circuit.n_qubits
        peak_bytes = self._evolver.resume_bytes_per_amplitude << self._circuit.n_qubits
        branches = len(self._pending) + 2
        memory.check(
            peak_bytes + branches * state_bytes,
            self._request.memory_limit_bytes,
            f"{branches} branches of a state vector of {self._circuit.n_qubits} qubits",
            f"{memory.FEWER_QUBITS}, or measure less in mid-circuit",
        )

    def _end(self, path: _Path) -> None:
        if not path.weight:
            return
        self._ended += 1
        self._followed += path.weight
        if not self._request.shots and self._ended > MAX_BRANCHES:
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"exact results follow every branch of the measurements in mid-circuit; this"
                f" program has more than {MAX_BRANCHES:,}. Ask for shots",
            )
        if path.state is None:
            path.state = self._evolver.evolve(None, self._circuit.n_qubits, ())
        if wants_measurements(self._request):
            self._measure_finally(path, path.state)
        if wants_values(self._request):
            self._observe(path.weight, path.state)

    def _measure_finally(self, path: _Path, state: State) -> None:
        n_clbits, terminal = self._circuit.n_clbits, self._terminal
        if not self._request.shots:
            found = distribution(state, terminal, n_clbits, path.bits)
            merge(self._outcomes, [(key, path.weight * value) for key, value in found.items()])
            check_outcomes(len(self._outcomes))
            return
        samples = sample(state, int(path.weight), self._rng)
        if wants_outcomes(self._request):
            merge(self._outcomes, count(samples, terminal, n_clbits, path.bits).items())
        if wants_shots(self._request):
            self._shots.append(rows(samples, terminal, n_clbits, path.bits))

    def _observe(self, weight: float, state: State) -> None:
        observables = self._request.observables
        means = exact_values(
            observables, {each: expectation(state, dict(each)) for each in self._paulis}
        )
        variances: tuple[float, ...] = ()
        if wants_variances(self._request):
            pairs = zip(observables, means, strict=True)
            variances = tuple(deviation(state, terms(each), mean) for each, mean in pairs)
        self._trajectories.append(Trajectory(weight, means, variances))

    def _raw(self) -> Raw:
        values = average(self._trajectories, self._request.shots)
        # The order comes last, so that counts do not depend on whether it is asked for.
        shots = shuffled(np.concatenate(self._shots), self._rng) if self._shots else None
        if self._request.shots:
            counts = {key: int(times) for key, times in self._outcomes.items()}
            return Raw(counts=counts, shots=shots, values=values)
        quasi = {key: value / self._followed for key, value in self._outcomes.items()}
        return Raw(quasi=quasi, values=values)


def split_terminal(ops: tuple[Op, ...]) -> tuple[tuple[Op, ...], dict[int, int]]:
    """Takes off the measurements that nothing later depends on.

    Returns:
        The other operations, and classical bit -> qubit of what was taken off.
    """
    kept: list[Op] = []
    terminal: dict[int, int] = {}
    qubits: set[int] = set()
    clbits: set[int] = set()
    for op in reversed(ops):
        # The most of a long circuit first.
        if isinstance(op, Gate):
            kept.append(op)
            qubits.update(op.qubits)
        elif isinstance(op, Measure) and op.qubit not in qubits and op.clbit not in clbits:
            # A later measurement into the same bit has the last word.
            terminal.setdefault(op.clbit, op.qubit)
        else:
            kept.append(op)
            _touch(op, qubits, clbits)
    return tuple(reversed(kept)), terminal


def _touch(op: Op, qubits: set[int], clbits: set[int]) -> None:
    if isinstance(op, Gate):
        qubits.update(op.qubits)
    elif isinstance(op, Measure):
        qubits.add(op.qubit)
        clbits.add(op.clbit)
    elif isinstance(op, Reset):
        qubits.add(op.qubit)
    elif isinstance(op, Store):
        clbits.update(op.clbits, clbits_of(op.value))
    else:
        clbits.update(clbits_of(op.condition))
        inner = op.body if isinstance(op, Loop) else (*op.then, *op.otherwise)
        for each in inner:
            _touch(each, qubits, clbits)


def clbits_of(expression: Expression) -> set[int]:
    """The classical bits that an expression depends on."""
    if isinstance(expression, Bits):
        return set(expression.clbits)
    if isinstance(expression, Operation):
        return {clbit for each in expression.operands for clbit in clbits_of(each)}
    if isinstance(expression, Constant):
        return set()
    raise TypeError(expression)
