"""From raw numbers to the results that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from qdispatch.arrays import Memory, Probabilities, Statevector
from qdispatch.model import ErrorKind, Result, ResultType
from tasks.circuit import Branch, Circuit, Loop, Measure, Op
from tasks.simulators import Request, SimulationError, memory
from tasks.simulators.amplitudes import State, normalised, probabilities
from tasks.simulators.shots import Rows, row_bytes
from tasks.simulators.values import Values, paulis

#: What a result takes beside its values, in bytes; about ten are used.
_ENVELOPE: Final = 32

#: An amplitude, and a probability of a basis state, in bytes.
_AMPLITUDE: Final = 16
_PROBABILITY: Final = 8


@dataclass(frozen=True, kw_only=True)
class Raw:
    """What a simulation found, before it is dressed as results."""

    counts: Mapping[str, int] | None = None
    """Outcome -> samples, at shots > 0."""
    quasi: Mapping[str, float] | None = None
    """Outcome -> exact probability, at shots = 0."""
    shots: Rows | None = None
    """Single shots in a random order, if they are asked for; see `tasks.simulators.shots`."""
    state: State | None = None
    """Before the final measurements, without the circuit's global phase."""
    values: Values = field(default_factory=Values)
    """Of the observables."""


def wants_outcomes(request: Request) -> bool:
    """Whether counts or quasi are asked for."""
    return ResultType.COUNTS in request.result_types or ResultType.QUASI in request.result_types


def wants_shots(request: Request) -> bool:
    """Whether single shots are asked for."""
    return ResultType.MEMORY in request.result_types


def wants_measurements(request: Request) -> bool:
    """Whether anything is asked for that comes from measurements."""
    return wants_outcomes(request) or wants_shots(request)


def wants_values(request: Request) -> bool:
    """Whether expectation values or variances are asked for."""
    return ResultType.EXPVAL in request.result_types or wants_variances(request)


def wants_variances(request: Request) -> bool:
    """Whether variances are asked for."""
    return ResultType.VARIANCE in request.result_types


def wants_state(request: Request) -> bool:
    """Whether the state, or the probabilities of all its basis states, are asked for."""
    return not {ResultType.STATEVECTOR, ResultType.PROBABILITIES}.isdisjoint(request.result_types)


def check(circuit: Circuit, request: Request) -> None:
    """Refuses what no simulator can answer.

    Raises:
        SimulationError: Outcomes of a program that measures nothing, counts
            or memory without shots, an observable beyond the last qubit, the
            state of a dynamic circuit, or more than may be returned.
    """
    if wants_measurements(request) and not (circuit.n_clbits and _measures(circuit.ops)):
        raise SimulationError(
            ErrorKind.PROGRAM_INVALID,
            "the program measures nothing; add measurements or ask for expval,"
            " statevector or probabilities",
        )
    if ResultType.COUNTS in request.result_types and request.shots == 0:
        raise SimulationError(ErrorKind.UNSUPPORTED, "counts need shots > 0; ask for quasi instead")
    if wants_shots(request) and request.shots == 0:
        raise SimulationError(
            ErrorKind.UNSUPPORTED, "memory needs shots > 0; ask for quasi instead"
        )
    for pauli in paulis(request.observables):
        if pauli[-1][0] >= circuit.n_qubits:
            raise SimulationError(
                ErrorKind.PROGRAM_INVALID,
                f"an observable acts on qubit {pauli[-1][0]};"
                f" the program has {circuit.n_qubits} qubits",
            )
    if wants_state(request) and circuit.terminal is None:
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            "statevector and probabilities are those before the final measurements, of which this"
            " program has no single ones: it measures, resets or decides in mid-circuit. Ask for"
            " quasi, expval or variance, or take these operations out",
        )
    _check_size(circuit, request)


def _check_size(circuit: Circuit, request: Request) -> None:
    """Refuses long results before they are simulated."""
    # Beyond 2**900 the exact number matters to nobody, and no float holds it.
    n_states = 1 << min(circuit.n_qubits, 900)
    sizes = {
        ResultType.STATEVECTOR: (_AMPLITUDE * n_states, "Use fewer qubits, or ask for expval"),
        ResultType.PROBABILITIES: (_PROBABILITY * n_states, "Use fewer qubits, or ask for counts"),
        ResultType.MEMORY: (
            request.shots * row_bytes(circuit.n_clbits),
            "Use fewer shots, or declare fewer classical bits",
        ),
    }
    asked = {kind: sizes[kind] for kind in request.result_types if kind in sizes}
    need = sum(size + _ENVELOPE for size, _ in asked.values())
    if request.max_result_bytes is not None and need > request.max_result_bytes:
        kind = max(asked, key=lambda each: asked[each][0])
        raise SimulationError(
            ErrorKind.UNSUPPORTED,
            f"{' and '.join(asked)} of this program take {memory.text(need)}; results of at most"
            f" {memory.text(request.max_result_bytes)} are kept. {asked[kind][1]}; whoever runs the"
            " service can raise jobs.max_result_bytes",
        )


def state_bytes(n_qubits: int, request: Request) -> int:
    """Estimate of what statevector and probabilities take, in bytes.

    Each is there up to four times while it is encoded, by the measured peak.
    """
    each = {ResultType.STATEVECTOR: _AMPLITUDE, ResultType.PROBABILITIES: _PROBABILITY}
    return sum(4 * each.get(kind, 0) for kind in request.result_types) << n_qubits


def _measures(ops: Iterable[Op]) -> bool:
    for op in ops:
        if isinstance(op, Measure):
            return True
        if isinstance(op, Branch) and (_measures(op.then) or _measures(op.otherwise)):
            return True
        if isinstance(op, Loop) and _measures(op.body):
            return True
    return False


def streams(seed: int | None) -> tuple[np.random.Generator, np.random.Generator]:
    """Two independent sources of randomness: for outcomes and for values.

    They are apart so that a job's counts do not depend on whether expval was
    asked for as well.

    Args:
        seed: Any non-negative integer; None draws entropy.
    """
    entropy = np.random.SeedSequence().entropy if seed is None else seed
    return _stream(entropy, 0), _stream(entropy, 1)


def stream_of_values(seed: int | None) -> np.random.Generator:
    """The second of `streams`, for who has outcomes from elsewhere."""
    return _stream(seed, 1)


def _stream(seed: Any, number: int) -> np.random.Generator:
    # What SeedSequence.spawn makes, in half the time.
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(number,))))


def fewer_outcomes(request: Request) -> str:
    """The way out if outcomes are what takes the memory."""
    if request.shots:
        return "Use fewer shots, or measure fewer bits"
    return "Measure fewer bits, or declare fewer classical bits"


def dress(circuit: Circuit, request: Request, raw: Raw) -> tuple[Result, ...]:
    """The results, in the order asked for."""
    return tuple(_DRESSED[kind](circuit, request, raw) for kind in request.result_types)


def _expval(_circuit: Circuit, _request: Request, raw: Raw) -> Result:
    means, errors = raw.values.means, raw.values.errors
    return Result(type=ResultType.EXPVAL, expval=means, standard_errors=errors)


def _variance(_circuit: Circuit, _request: Request, raw: Raw) -> Result:
    return Result(type=ResultType.VARIANCE, variance=raw.values.variances)


def _counts(circuit: Circuit, _request: Request, raw: Raw) -> Result:
    counts = ordered(raw.counts or {})
    return Result(type=ResultType.COUNTS, n_bits=circuit.n_clbits, counts=counts)


def _quasi(circuit: Circuit, request: Request, raw: Raw) -> Result:
    quasi = raw.quasi
    if quasi is None:
        quasi = {key: times / request.shots for key, times in (raw.counts or {}).items()}
    return Result(type=ResultType.QUASI, n_bits=circuit.n_clbits, quasi=ordered(quasi))


def _memory(circuit: Circuit, _request: Request, raw: Raw) -> Result:
    packed = b"" if raw.shots is None else raw.shots.tobytes()
    shots = Memory(packed, n_bits=circuit.n_clbits)
    return Result(type=ResultType.MEMORY, n_bits=circuit.n_clbits, memory=shots)


def _statevector(circuit: Circuit, _request: Request, raw: Raw) -> Result:
    # A number: what is simulated is bound.
    phase: Any = circuit.global_phase
    amplitudes = normalised(_state(raw), phase).astype("<c16", copy=False)
    state = Statevector(amplitudes.tobytes())
    return Result(type=ResultType.STATEVECTOR, statevector=state)


def _probabilities(_circuit: Circuit, _request: Request, raw: Raw) -> Result:
    values = Probabilities(probabilities(_state(raw)).astype("<f8", copy=False).tobytes())
    return Result(type=ResultType.PROBABILITIES, probabilities=values)


def _state(raw: Raw) -> State:
    if raw.state is None:
        raise ValueError("the simulator gave no state")
    return raw.state


_DRESSED: Final[Mapping[ResultType, Callable[[Circuit, Request, Raw], Result]]] = {
    ResultType.COUNTS: _counts,
    ResultType.QUASI: _quasi,
    ResultType.EXPVAL: _expval,
    ResultType.MEMORY: _memory,
    ResultType.STATEVECTOR: _statevector,
    ResultType.PROBABILITIES: _probabilities,
    ResultType.VARIANCE: _variance,
}


def ordered(outcomes: Mapping[str, Any]) -> dict[str, Any]:
    """By ascending outcome."""
    return dict(sorted(outcomes.items()))
