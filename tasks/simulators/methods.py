"""How a circuit is simulated, and why so: what all targets have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from app.options import AUTOMATIC, METHODS, STABILIZER, STATEVECTOR, unlike
from qdispatch.model import ErrorKind
from tasks.circuit import Branch, Circuit, Measure, Op, Reset
from tasks.simulators import Request, SimulationError, memory
from tasks.simulators.results import wants_state, wants_values
from tasks.simulators.stabilizer_circuit import NotStabilizerError, StabilizerCircuit, convert
from tasks.simulators.trajectories import split_terminal

#: Up to this many qubits a state vector is at its fastest.
SMALL: Final = 16

#: Each measurement in mid-circuit may double the work of a state vector.
_FEW_SPLITS: Final = 4

#: Reasons for a method.
ASKED: Final = "extra asks for it"
CLIFFORD: Final = "every gate is a Clifford gate"
OF_STATE: Final = "statevector and probabilities come from a state vector"
FASTEST: Final = f"up to {SMALL} qubits a state vector is fastest"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The method that a circuit runs with."""

    method: str
    reason: str
    """For a person."""
    clifford: StabilizerCircuit | None = None
    """The circuit for `tasks.simulators.stabilizer`, if that is to run it."""


def choose(circuit: Circuit, request: Request, *, vector_bytes: int) -> Choice:
    """The method on a target that has state vectors, and stabilizer states by stim.

    Args:
        circuit: What is to run.
        request: Its option "method" decides; "automatic" or nothing leaves it to us.
        vector_bytes: Estimate of the peak as a state vector.

    Raises:
        SimulationError: OUT_OF_MEMORY if neither can run it for its width,
            UNSUPPORTED if the one that was asked for cannot.
    """
    wanted = asked(request, METHODS)
    if wanted == STATEVECTOR:
        return Choice(method=STATEVECTOR, reason=ASKED)
    if wants_state(request):
        refuse_unless_vector(wanted, OF_STATE)
        return Choice(method=STATEVECTOR, reason=OF_STATE)
    if wanted == AUTOMATIC and is_small(circuit, request, vector_bytes):
        return Choice(method=STATEVECTOR, reason=FASTEST)
    try:
        made = convert(circuit, corrects=corrects(request))
    except NotStabilizerError as error:
        if wanted == STABILIZER:
            raise no_stabilizer(error) from error
        if not memory.fits(8 << circuit.n_qubits, request.memory_limit_bytes):
            raise too_wide(circuit, request, vector_bytes, str(error)) from error
        return Choice(method=STATEVECTOR, reason=f"{error}, and a state vector fits")
    reason = ASKED if wanted == STABILIZER else CLIFFORD
    return Choice(method=STABILIZER, reason=reason, clifford=made)


def asked(request: Request, offered: Sequence[str]) -> str:
    """The method that a job's extra names.

    Raises:
        SimulationError: UNSUPPORTED if the target does not offer it.
    """
    wanted = request.options.get("method", AUTOMATIC)
    if told := unlike(wanted, offered):
        raise SimulationError(ErrorKind.UNSUPPORTED, f'extra: "method" {told}')
    return str(wanted)


def corrects(request: Request) -> bool:
    """Whether Pauli gates under any condition can be run on stabilizer states."""
    return request.shots > 0 and not wants_values(request)


def is_small(circuit: Circuit, request: Request, vector_bytes: int) -> bool:
    """Whether a state vector is certainly the best way."""
    return (
        circuit.n_qubits <= SMALL
        and (circuit.terminal is not None or splits(circuit) <= _FEW_SPLITS)
        and memory.fits(vector_bytes, request.memory_limit_bytes)
    )


def refuse_unless_vector(wanted: str, reason: str) -> None:
    """Refuses what only a state vector can do, if another method was asked for."""
    if wanted not in (AUTOMATIC, STATEVECTOR):
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"{wanted} cannot run this as asked: {reason}. Leave the method out",
        )


def no_stabilizer(error: NotStabilizerError) -> SimulationError:
    """A refusal of the method stabilizer."""
    return SimulationError(
        ErrorKind.UNSUPPORTED, f"stabilizer cannot run this: {error}. Leave the method out"
    )


def too_wide(circuit: Circuit, request: Request, vector_bytes: int, why: str) -> SimulationError:
    """A refusal of a circuit that is too wide for a state vector, and not Clifford."""
    return memory.refusal(
        f"about {memory.text(vector_bytes)} as a state vector of {circuit.n_qubits} qubits"
        f" (a stabilizer state would need little, but {why})",
        request.memory_limit_bytes,
        f"{memory.FEWER_QUBITS}, or Clifford gates only",
    )


def splits(circuit: Circuit) -> int:
    """Measurements and resets in mid-circuit, both arms of a branch counted."""
    return _splits(split_terminal(circuit.ops)[0])


def _splits(ops: Iterable[Op]) -> int:
    number = 0
    for op in ops:
        if isinstance(op, Measure | Reset):
            number += 1
        elif isinstance(op, Branch):
            number += _splits(op.then) + _splits(op.otherwise)
    return number
