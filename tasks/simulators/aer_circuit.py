"""What Aer is told of a circuit, by whichever way, and what of it Aer can be left to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.options import MPS, STABILIZER
from qdispatch.model import ErrorKind
from tasks.circuit import (
    Bits,
    Branch,
    Circuit,
    Constant,
    Expression,
    Gate,
    Measure,
    Op,
    Operation,
    Reset,
)
from tasks.simulators import SimulationError
from tasks.simulators.amplitudes import State
from tasks.simulators.clifford import Cliffords
from tasks.simulators.methods import splits
from tasks.simulators.values import Pauli

#: Gates that a method has no name for; they go in as matrices.
_AS_MATRIX: Final = {MPS: frozenset({"ch", "crx", "cry", "crz", "cu", "ccz"})}
_AS_MATRIX_DEFAULT: Final = frozenset({"ch"})

#: What going on from a state costs Aer, in shots of a dynamic circuit.
_SHOTS_OF_A_SEGMENT: Final = 4


@dataclass(frozen=True, kw_only=True)
class Setup:
    """How Aer is to run a circuit."""

    method: str
    """One of `tasks.simulators.aer_methods`."""
    shots: int
    """At least 1; a circuit without measurements needs one."""
    seed: int
    """From 0 to 2**63 - 1."""
    threads: int
    """OpenMP threads."""
    memory: bool
    """Whether the outcome of each shot is wanted."""
    truncate: bool
    """Whether Aer may leave out qubits that nothing measured or saved depends on."""


class AerCircuit(Protocol):
    """A circuit in the making, in a form that Aer takes."""

    def add(self, ops: Iterable[Op], /) -> None:
        """Appends operations that `is_native` has passed."""

    def measure(self, qubit: int, clbit: int, /) -> None:
        """Appends a measurement."""

    def start_from(self, state: State, /) -> None:
        """Has it begin in a state, qubit 0 in the least significant bit."""

    def save_state(self, label: str, /) -> None:
        """Saves the state vector, complex128 of shape (2**n_qubits,)."""

    def save_paulis(self, strings: Sequence[tuple[Pauli, float]], label: str, /) -> None:
        """Saves the expectation value of some strings, each with its coefficient, in sum."""

    def save_probabilities(self, qubits: list[int], label: str, *, listed: bool) -> None:
        """Saves the probabilities of outcomes; the first qubit is the lowest bit.

        As float64 of shape (2**len(qubits),), or listed: as a dict of those
        that are not 0.
        """


class Aer(Protocol):
    """A way to have Aer run circuits."""

    def circuit(self, n_qubits: int, n_clbits: int, method: str, /) -> AerCircuit:
        """An empty circuit, for one of Aer's methods."""

    def run(self, circuit: Any, setup: Setup, /) -> Mapping[str, Any]:
        """What a circuit has saved, and `counts` and `memory` by hexadecimal outcomes.

        Raises:
            SimulationError: Aer could not run it.
        """


def refused(status: str) -> SimulationError:
    """Aer raises nothing: a run that failed says so in its status."""
    kind = ErrorKind.OUT_OF_MEMORY if "memory" in status.lower() else ErrorKind.UNSUPPORTED
    return SimulationError(kind, f"Aer could not run this: {' '.join(status.split())}")


class Forms:
    """What gates go into a circuit as, for one method."""

    def __init__(self, method: str) -> None:
        self._cliffords = Cliffords() if method == STABILIZER else None
        self.as_matrix = _AS_MATRIX.get(method, _AS_MATRIX_DEFAULT)
        """Gates that go in as matrices, with the first qubit in the least significant bit."""

    def of(self, gate: Gate) -> Sequence[Gate]:
        """The gates that stand for one."""
        if self._cliffords is None:
            return (gate,)
        rewritten = self._cliffords.rewrite(gate)
        # Nothing is left of an identity such as rz(2 * pi).
        return (gate,) if rewritten is None else rewritten


def label_of(strings: Sequence[Pauli]) -> tuple[list[int], list[str]]:
    """The qubits that some Pauli strings act on, and each as letters for all of these.

    The last qubit is on the left.
    """
    qubits = sorted({qubit for string in strings for qubit, _ in string})
    letters = [dict(string) for string in strings]
    return qubits, ["".join(each.get(q, "I") for q in reversed(qubits)) for each in letters]


def is_native(circuit: Circuit) -> bool:
    """Whether Aer can be given a dynamic circuit as a whole.

    It can if every condition is an equality that has no else. Loops are not
    left to Aer, which would never end one.
    """
    return all(map(_is_native, circuit.ops))


def branching_pays(circuit: Circuit, shots: int) -> bool:
    """Whether following a dynamic circuit's branches is quicker than simulating every shot.

    Aer simulates a dynamic circuit once for each shot; branches share what they
    have in common. m measurements and resets make at most 2**k branches after
    the k-th, and never more than there are shots. Going on from a state costs
    Aer about as much as four shots: 2 ms against 0.4 ms at 10 qubits, 47 ms
    against 27 ms at 16.
    """
    segments = 1
    for split in range(1, splits(circuit) + 1):
        segments += min(2**split, shots)
        if _SHOTS_OF_A_SEGMENT * segments >= shots:
            return False
    return _SHOTS_OF_A_SEGMENT * segments < shots


def reached(circuit: Circuit) -> set[int]:
    """The qubits that the measurements of a static circuit may depend on."""
    found = set((circuit.terminal or {}).values())
    for gate in reversed(tuple(circuit.gates())):
        if not found.isdisjoint(gate.qubits):
            found.update(gate.qubits)
    return found


def _is_native(op: Op) -> bool:
    # The most of a long circuit first.
    if isinstance(op, Gate):
        return True
    if isinstance(op, Branch):
        return (
            not op.otherwise
            and equalities(op.condition) is not None
            and all(map(_is_native, op.then))
        )
    if isinstance(op, Measure):
        return op.clbit >= 0
    return isinstance(op, Reset)


def equalities(condition: Expression) -> list[tuple[int, int]] | None:
    """`bits == number` as (classical bit, value) pairs that must all hold."""
    if isinstance(condition, Bits) and len(condition.clbits) == 1:
        return [(condition.clbits[0], 1)]
    if not isinstance(condition, Operation):
        return None
    if condition.operator == "!":
        inner = condition.operands[0]
        if isinstance(inner, Bits) and len(inner.clbits) == 1:
            return [(inner.clbits[0], 0)]
        return None
    if condition.operator != "==":
        return None
    bits, number = condition.operands
    if not isinstance(bits, Bits) or not isinstance(number, Constant):
        return None
    if min(bits.clbits) < 0 or number.number >> len(bits.clbits):
        return None
    return [(clbit, (number.number >> place) & 1) for place, clbit in enumerate(bits.clbits)]
