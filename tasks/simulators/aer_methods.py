"""Which of Aer's methods a circuit runs with.

The choice is never left to Aer: its "automatic" picks a state vector where
only a matrix product state fits, and then fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from qdispatch.model import ErrorKind
from tasks.circuit import Branch, Circuit, Gate, Loop, Op
from tasks.simulators import Request, SimulationError, bonds, memory
from tasks.simulators.clifford import Cliffords, entropy
from tasks.simulators.outcomes import outcome_bytes, outcome_width
from tasks.simulators.results import (
    fewer_outcomes,
    state_bytes,
    wants_measurements,
    wants_outcomes,
    wants_shots,
    wants_state,
    wants_variances,
)
from tasks.simulators.shots import shot_bytes

STATEVECTOR: Final = "statevector"
STABILIZER: Final = "stabilizer"
MPS: Final = "matrix_product_state"
_NAMES: Final = (STATEVECTOR, STABILIZER, MPS)

_ANOTHER: Final = f"{memory.FEWER_QUBITS}, or another method"

#: Up to this many qubits a state vector is at its fastest.
SMALL: Final = 16


def choose(circuit: Circuit, request: Request, *, native: bool) -> str:
    """The method that a circuit runs with.

    Args:
        circuit: What is to run.
        request: Its option "method" decides; "automatic" or nothing leaves it to us.
        native: Whether Aer runs the circuit as a whole; if not, it is a
            state vector.

    Raises:
        SimulationError: OUT_OF_MEMORY if no method fits, UNSUPPORTED if the
            one that was asked for cannot run the circuit.
    """
    wanted = request.options.get("method", "automatic")
    if wanted not in (*_NAMES, "automatic"):
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f'extra: "method" must be one of automatic, {", ".join(_NAMES)}, not {wanted!r}',
        )
    if not native:
        return _as_vector(
            circuit,
            request,
            wanted,
            "with measurements in mid-circuit, exact results, expval, loops and conditions on more"
            " than equality need a state vector",
        )
    if wants_state(request):
        return _as_vector(
            circuit, request, wanted, "statevector and probabilities come from a state vector"
        )
    if wanted == "automatic":
        return _automatic(circuit, request)
    if wanted == STABILIZER:
        _check_clifford(circuit)
        _check_outcomes(circuit, request)
    elif wanted == STATEVECTOR:
        need = statevector_bytes(circuit, request)
        what = f"a state vector of {circuit.n_qubits} qubits"
        memory.check(need, request.memory_limit_bytes, what, _advice(circuit, request, _ANOTHER))
    else:
        need = _product_bytes(circuit, request)
        what = f"a matrix product state of {circuit.n_qubits} qubits"
        memory.check(need, request.memory_limit_bytes, what, _advice(circuit, request, _ANOTHER))
    return str(wanted)


def _as_vector(circuit: Circuit, request: Request, wanted: object, reason: str) -> str:
    if wanted in (STABILIZER, MPS):
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"{wanted} cannot run this as asked: {reason}. Leave the method out",
        )
    need = statevector_bytes(circuit, request)
    what = f"a state vector of {circuit.n_qubits} qubits"
    memory.check(need, request.memory_limit_bytes, what, _advice(circuit, request))
    return STATEVECTOR


def _automatic(circuit: Circuit, request: Request) -> str:
    limit = request.memory_limit_bytes
    vector = statevector_bytes(circuit, request)
    if circuit.n_qubits <= SMALL and memory.fits(vector, limit):
        return STATEVECTOR
    if Cliffords().takes(all_gates(circuit.ops)):
        _check_outcomes(circuit, request)
        return STABILIZER
    if memory.fits(vector, limit):
        return STATEVECTOR
    product = _product_bytes(circuit, request)
    if memory.fits(product, limit):
        return MPS
    raise memory.refusal(
        f"about {memory.text(vector)} as a state vector of {circuit.n_qubits} qubits, or up to"
        f" {memory.text(product)} as a matrix product state",
        limit,
        _advice(circuit, request, f"{memory.FEWER_QUBITS}, or less entanglement"),
    )


def _check_clifford(circuit: Circuit) -> None:
    cliffords = Cliffords()
    for gate in all_gates(circuit.ops):
        if cliffords.rewrite(gate) is None:
            angles = f"({', '.join(f'{angle:g}' for angle in gate.params)})" if gate.params else ""
            raise SimulationError(
                ErrorKind.UNSUPPORTED,
                f"stabilizer cannot run {gate.name}{angles}: it is not a Clifford gate",
            )


def statevector_bytes(circuit: Circuit, request: Request) -> int:
    """Estimate of the peak of a state vector run, in bytes."""
    need = 16 << circuit.n_qubits
    if wants_outcomes(request) and not request.shots and circuit.terminal is not None:
        need += 24 << outcome_width(circuit)
    need += state_bytes(circuit.n_qubits, request)
    if wants_variances(request) and not request.shots and circuit.terminal is not None:
        # A copy of the state, and blocks of it.
        need += 32 << circuit.n_qubits
    return need + _outcomes(circuit, request)


def _product_bytes(circuit: Circuit, request: Request) -> int:
    state = bonds.memory_bytes(circuit.n_qubits, all_gates(circuit.ops))
    return state + _outcomes(circuit, request)


def _advice(circuit: Circuit, request: Request, otherwise: str = memory.FEWER_QUBITS) -> str:
    """What helps: fewer outcomes if they alone are too much."""
    alone = _outcomes(circuit, request)
    return otherwise if memory.fits(alone, request.memory_limit_bytes) else fewer_outcomes(request)


def _outcomes(circuit: Circuit, request: Request, width: int | None = None) -> int:
    """What Aer samples, a bit for each measured one and bookkeeping, and its outcomes."""
    if not wants_measurements(request):
        return 0
    width = outcome_width(circuit) if width is None else width
    sample = request.shots * (64 + max(circuit.n_qubits, circuit.n_clbits) // 8)
    if wants_shots(request):
        # Each is a string of hexadecimal digits as well, here and in Aer.
        sample += request.shots * (160 + circuit.n_clbits) + shot_bytes(
            circuit.n_clbits, request.shots
        )
    return sample + outcome_bytes(width, circuit.n_clbits, request.shots)


def _check_outcomes(circuit: Circuit, request: Request) -> None:
    """Holds a stabilizer run's memory against the limit.

    Its tableau is small, but outcomes are as wide as it likes. How many there
    can be is worked out only if there may be too many.
    """
    # 2n rows of 2n bits, each of them a byte where the entropy is worked out, twice.
    tableau = 8 * circuit.n_qubits**2
    outcomes = _outcomes(circuit, request)
    if circuit.terminal is not None and not memory.fits(
        tableau + outcomes, request.memory_limit_bytes
    ):
        outcomes = _outcomes(circuit, request, entropy(circuit))
    what = f"a stabilizer state of {circuit.n_qubits} qubits and its outcomes"
    advice = fewer_outcomes(request) if outcomes > tableau else memory.FEWER_QUBITS
    memory.check(tableau + outcomes, request.memory_limit_bytes, what, advice)


def all_gates(ops: Iterable[Op]) -> Iterator[Gate]:
    """Every gate, whether it will run or not."""
    for op in ops:
        if isinstance(op, Gate):
            yield op
        elif isinstance(op, Branch):
            yield from all_gates(op.then)
            yield from all_gates(op.otherwise)
        elif isinstance(op, Loop):
            yield from all_gates(op.body)
