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
from tasks.simulators.clifford import Cliffords
from tasks.simulators.outcomes import outcome_bytes, outcome_width
from tasks.simulators.results import wants_outcomes

STATEVECTOR: Final = "statevector"
STABILIZER: Final = "stabilizer"
MPS: Final = "matrix_product_state"
_NAMES: Final = (STATEVECTOR, STABILIZER, MPS)

#: Up to this many qubits a state vector is at its fastest.
_SMALL: Final = 16


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
        return _branching(circuit, request, wanted)
    if wanted == "automatic":
        return _automatic(circuit, request)
    if wanted == STABILIZER:
        _check_clifford(circuit)
        _check_outcomes(circuit, request)
    elif wanted == STATEVECTOR:
        need = statevector_bytes(circuit, request)
        what = f"a state vector of {circuit.n_qubits} qubits"
        memory.check(need, request.memory_limit_bytes, what, "another method")
    else:
        need = bonds.memory_bytes(circuit.n_qubits, all_gates(circuit.ops))
        need += _outcomes(circuit, request)
        what = f"a matrix product state of {circuit.n_qubits} qubits"
        memory.check(need, request.memory_limit_bytes, what, "another method")
    return str(wanted)


def _branching(circuit: Circuit, request: Request, wanted: object) -> str:
    if wanted in (STABILIZER, MPS):
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"{wanted} cannot run this program: with measurements in mid-circuit, exact results,"
            " expval, loops and conditions on more than equality need a state vector",
        )
    need = statevector_bytes(circuit, request)
    what = f"a state vector of {circuit.n_qubits} qubits"
    memory.check(need, request.memory_limit_bytes, what)
    return STATEVECTOR


def _automatic(circuit: Circuit, request: Request) -> str:
    limit = request.memory_limit_bytes
    vector = statevector_bytes(circuit, request)
    if circuit.n_qubits <= _SMALL and memory.fits(vector, limit):
        return STATEVECTOR
    if Cliffords().rewrite_all(all_gates(circuit.ops)) is not None:
        _check_outcomes(circuit, request)
        return STABILIZER
    if memory.fits(vector, limit):
        return STATEVECTOR
    product = bonds.memory_bytes(circuit.n_qubits, all_gates(circuit.ops))
    product += _outcomes(circuit, request)
    if memory.fits(product, limit):
        return MPS
    raise memory.refusal(
        f"about {memory.text(vector)} as a state vector of {circuit.n_qubits} qubits, or up to"
        f" {memory.text(product)} as a matrix product state",
        limit,
        "less entanglement",
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
    return need + 64 * request.shots + _outcomes(circuit, request)


def _outcomes(circuit: Circuit, request: Request) -> int:
    if not wants_outcomes(request):
        return 0
    return outcome_bytes(outcome_width(circuit), circuit.n_clbits, request.shots)


def _check_outcomes(circuit: Circuit, request: Request) -> None:
    """Holds a stabilizer run's memory against the limit; its tableau has 4 n**2 bits."""
    if request.shots:
        need = circuit.n_qubits**2 // 2 + _outcomes(circuit, request)
        what = f"{request.shots} samples of {circuit.n_clbits} bits"
        memory.check(need, request.memory_limit_bytes, what, "fewer shots")


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
