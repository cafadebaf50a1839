"""Which of Aer's methods a circuit runs with.

The choice is never left to Aer: its "automatic" picks a state vector where
only a matrix product state fits, and then fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from app.options import METHODS_OF_AER, MPS, STABILIZER, STATEVECTOR
from tasks.circuit import Branch, Circuit, Gate, Loop, Op
from tasks.simulators import Request, SimulationError, bonds, memory
from tasks.simulators.clifford import Cliffords
from tasks.simulators.methods import (
    ASKED,
    CLIFFORD,
    FASTEST,
    OF_STATE,
    Choice,
    asked,
    corrects,
    is_small,
    no_stabilizer,
    refuse_unless_vector,
)
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
from tasks.simulators.stabilizer_circuit import NotStabilizerError, convert

_ANOTHER: Final = f"{memory.FEWER_QUBITS}, or another method"

#: log2 of the bonds up to which a matrix product state is quick.
_FEW_BOND_BITS: Final = 4

#: What a sample of one qubit takes, in gates on one amplitude of a state vector.
_GATES_OF_A_SAMPLE: Final = 5_000

_BY_VECTOR: Final = (
    "with measurements in mid-circuit, exact results, expval, loops and conditions on more than"
    " equality need a state vector"
)


def choose(circuit: Circuit, request: Request, *, native: bool) -> Choice:
    """The method that a circuit runs with.

    Args:
        circuit: What is to run.
        request: Its option "method" decides; "automatic" or nothing leaves it to us.
        native: Whether Aer runs the circuit as a whole; if not, it is a state
            vector, or a stabilizer state by stim.

    Raises:
        SimulationError: OUT_OF_MEMORY if no method fits, UNSUPPORTED if the
            one that was asked for cannot run the circuit.
    """
    wanted = asked(request, METHODS_OF_AER)
    if wants_state(request):
        refuse_unless_vector(wanted, OF_STATE)
        return _as_vector(circuit, request, ASKED if wanted == STATEVECTOR else OF_STATE)
    if wanted == STATEVECTOR:
        return _as_vector(circuit, request, ASKED, _ANOTHER)
    if wanted == MPS:
        return _as_product(circuit, request, native=native)
    if wanted == STABILIZER:
        return _as_stabilizer(circuit, request, ASKED, native=native)
    return _automatic(circuit, request, native=native)


def _as_vector(
    circuit: Circuit, request: Request, reason: str, otherwise: str = memory.FEWER_QUBITS
) -> Choice:
    need = statevector_bytes(circuit, request)
    what = f"a state vector of {circuit.n_qubits} qubits"
    memory.check(need, request.memory_limit_bytes, what, _advice(circuit, request, otherwise))
    return Choice(method=STATEVECTOR, reason=reason)


def _as_product(circuit: Circuit, request: Request, *, native: bool) -> Choice:
    if not native:
        refuse_unless_vector(MPS, _BY_VECTOR)
    need = _product_bytes(circuit, request)
    what = f"a matrix product state of {circuit.n_qubits} qubits"
    memory.check(need, request.memory_limit_bytes, what, _advice(circuit, request, _ANOTHER))
    return Choice(method=MPS, reason=ASKED)


def _as_stabilizer(circuit: Circuit, request: Request, reason: str, *, native: bool) -> Choice:
    """By stim, or by Aer's own stabilizers where only these know the conditions."""
    try:
        return Choice(
            method=STABILIZER, reason=reason, clifford=convert(circuit, corrects=corrects(request))
        )
    except NotStabilizerError as error:
        cliffords = Cliffords()
        gates = all_gates(circuit.ops)
        if error.is_gate or not native or any(cliffords.rewrite(each) is None for each in gates):
            raise no_stabilizer(error) from error
        _check_tableau(circuit, request)
        return Choice(method=STABILIZER, reason=f"{reason}; by Aer, since {error}")


def _automatic(circuit: Circuit, request: Request, *, native: bool) -> Choice:
    limit = request.memory_limit_bytes
    vector = statevector_bytes(circuit, request)
    if is_small(circuit, request, vector):
        return Choice(method=STATEVECTOR, reason=FASTEST)
    try:
        return _as_stabilizer(circuit, request, CLIFFORD, native=native)
    except SimulationError as error:
        if not isinstance(error.__cause__, NotStabilizerError):
            raise
        why = str(error.__cause__)
    if not native:
        return _as_vector(circuit, request, f"{why}, and {_BY_VECTOR}")
    product = _product_bytes(circuit, request)
    if memory.fits(vector, limit):
        if memory.fits(product, limit) and _product_is_faster(circuit, request):
            reason = f"{why}, and there is so little entanglement that it is fastest"
            return Choice(method=MPS, reason=reason)
        return Choice(method=STATEVECTOR, reason=f"{why}, and a state vector fits")
    if memory.fits(product, limit):
        reason = f"{why}, and a state vector would take {memory.text(vector)}"
        return Choice(method=MPS, reason=reason)
    raise memory.refusal(
        f"about {memory.text(vector)} as a state vector of {circuit.n_qubits} qubits, or up to"
        f" {memory.text(product)} as a matrix product state",
        limit,
        _advice(circuit, request, f"{memory.FEWER_QUBITS}, or less entanglement"),
    )


def _product_is_faster(circuit: Circuit, request: Request) -> bool:
    """Whether a matrix product state is quicker than a state vector that fits.

    Measured for chains and brickwork of 22 to 60 qubits: a sample takes up to 5 us
    for each qubit while bonds are at most 16, a gate of a state vector at
    least 1 ns for each amplitude.
    """
    if not request.shots:
        return False
    gates = list(all_gates(circuit.ops))
    sampling = _GATES_OF_A_SAMPLE * request.shots * circuit.n_qubits
    if sampling >= len(gates) << circuit.n_qubits:
        return False
    return max(bonds.bits(circuit.n_qubits, gates), default=0) <= _FEW_BOND_BITS


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


def _outcomes(circuit: Circuit, request: Request) -> int:
    """What Aer samples, a bit for each measured one and bookkeeping, and its outcomes."""
    if not wants_measurements(request):
        return 0
    width = outcome_width(circuit)
    sample = request.shots * (64 + max(circuit.n_qubits, circuit.n_clbits) // 8)
    if wants_shots(request):
        # Each is a string of hexadecimal digits as well, here and in Aer.
        sample += request.shots * (160 + circuit.n_clbits) + shot_bytes(
            circuit.n_clbits, request.shots
        )
    return sample + outcome_bytes(width, circuit.n_clbits, request.shots)


def _check_tableau(circuit: Circuit, request: Request) -> None:
    """Holds a run of Aer's own stabilizers against the limit, with its outcomes."""
    # 2n rows of 2n bits.
    tableau = circuit.n_qubits**2
    outcomes = _outcomes(circuit, request)
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
