"""Results, between the vocabulary and the wire."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from qdispatch.arrays import (
    Memory,
    PackedOutcomes,
    Probabilities,
    Statevector,
    pack_outcomes,
    unpack_outcomes,
)
from qdispatch.codec import RESULT_TYPE, decode_job, member
from qdispatch.model import JobInfo, Result, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb

_Number = TypeVar("_Number", int, float)


def _pack_outcomes(
    message: pb.Outcomes, outcomes: Mapping[str, _Number], n_bits: int
) -> Sequence[_Number]:
    """Fills in some outcomes, ascending; returns the numbers that belong to them."""
    message.n_bits = n_bits
    if isinstance(outcomes, PackedOutcomes):
        message.packed = outcomes.packed
        numbers: Sequence[_Number] = outcomes.numbers
        return numbers
    keys = sorted(outcomes)
    message.packed = pack_outcomes(keys, n_bits)
    return [outcomes[key] for key in keys]


def _unpack_outcomes(message: pb.Outcomes, size: int) -> Sequence[str]:
    n_bits, packed = message.n_bits, message.packed
    width = (n_bits + 7) // 8
    if len(packed) != width * size:
        raise ValueError(f"{size} outcomes of {n_bits} bits do not fit {len(packed)} bytes")
    return unpack_outcomes(packed, n_bits) if n_bits else [""] * size


def encode_result(result: Result, point: int | None = None) -> pb.Result:
    """The wire form of a result; outcomes of counts and quasi are sorted on the way.

    Args:
        result: The result.
        point: Index of its sweep point; the result's own if not given.
    """
    place = result.point if point is None else point
    message = pb.Result(type=RESULT_TYPE[result.type], point=place)  # type: ignore[arg-type]
    _ENCODERS[result.type](message, result)
    return message


def _encode_counts(message: pb.Result, result: Result) -> None:
    numbers = _pack_outcomes(message.counts.outcomes, result.counts or {}, result.n_bits)
    message.counts.counts.extend(numbers)


def _encode_quasi(message: pb.Result, result: Result) -> None:
    numbers = _pack_outcomes(message.quasi.outcomes, result.quasi or {}, result.n_bits)
    message.quasi.probabilities.extend(numbers)


def _encode_expval(message: pb.Result, result: Result) -> None:
    message.expval.values.extend(result.expval or ())
    message.expval.standard_errors.extend(result.standard_errors or ())


def _encode_memory(message: pb.Result, result: Result) -> None:
    packed = b"" if result.memory is None else result.memory.packed
    message.memory.outcomes.n_bits = result.n_bits
    message.memory.outcomes.packed = packed


def _encode_statevector(message: pb.Result, result: Result) -> None:
    state = result.statevector or Statevector.of([1])
    message.statevector.n_qubits = state.n_qubits
    message.statevector.amplitudes = state.packed


def _encode_probabilities(message: pb.Result, result: Result) -> None:
    values = result.probabilities or Probabilities.of([1])
    message.probabilities.n_qubits = values.n_qubits
    message.probabilities.values = values.packed


def _encode_variance(message: pb.Result, result: Result) -> None:
    message.variance.values.extend(result.variance or ())


_ENCODERS: Final[Mapping[ResultType, Callable[[pb.Result, Result], None]]] = {
    ResultType.COUNTS: _encode_counts,
    ResultType.QUASI: _encode_quasi,
    ResultType.EXPVAL: _encode_expval,
    ResultType.MEMORY: _encode_memory,
    ResultType.STATEVECTOR: _encode_statevector,
    ResultType.PROBABILITIES: _encode_probabilities,
    ResultType.VARIANCE: _encode_variance,
}


def decode_result(message: pb.Result) -> Result:
    """The result in a wire message.

    Raises:
        ValueError: What is packed in it does not fit its size.
    """
    kind = message.type
    if kind not in _BY_NUMBER:
        # Says which ones there are.
        member(RESULT_TYPE, kind, "type")
    return _BY_NUMBER[kind](message)


def _decode_counts(message: pb.Result) -> Result:
    outcomes, counts = message.counts.outcomes, message.counts.counts
    keys = _unpack_outcomes(outcomes, len(counts))
    return Result(
        type=ResultType.COUNTS,
        point=message.point,
        n_bits=outcomes.n_bits,
        counts=dict(zip(keys, counts, strict=True)),
    )


def _decode_quasi(message: pb.Result) -> Result:
    outcomes, probabilities = message.quasi.outcomes, message.quasi.probabilities
    keys = _unpack_outcomes(outcomes, len(probabilities))
    return Result(
        type=ResultType.QUASI,
        point=message.point,
        n_bits=outcomes.n_bits,
        quasi=dict(zip(keys, probabilities, strict=True)),
    )


def _decode_expval(message: pb.Result) -> Result:
    expval = message.expval
    return Result(
        type=ResultType.EXPVAL,
        point=message.point,
        expval=tuple(expval.values),
        standard_errors=tuple(expval.standard_errors),
    )


def _decode_memory(message: pb.Result) -> Result:
    outcomes = message.memory.outcomes
    return Result(
        type=ResultType.MEMORY,
        point=message.point,
        n_bits=outcomes.n_bits,
        memory=Memory(outcomes.packed, n_bits=outcomes.n_bits),
    )


def _decode_statevector(message: pb.Result) -> Result:
    state = Statevector(message.statevector.amplitudes)
    _check_length(len(state), message.statevector.n_qubits)
    return Result(type=ResultType.STATEVECTOR, point=message.point, statevector=state)


def _decode_probabilities(message: pb.Result) -> Result:
    values = Probabilities(message.probabilities.values)
    _check_length(len(values), message.probabilities.n_qubits)
    return Result(type=ResultType.PROBABILITIES, point=message.point, probabilities=values)


def _decode_variance(message: pb.Result) -> Result:
    values = tuple(message.variance.values)
    return Result(type=ResultType.VARIANCE, point=message.point, variance=values)


_DECODERS: Final[Mapping[ResultType, Callable[[pb.Result], Result]]] = {
    ResultType.COUNTS: _decode_counts,
    ResultType.QUASI: _decode_quasi,
    ResultType.EXPVAL: _decode_expval,
    ResultType.MEMORY: _decode_memory,
    ResultType.STATEVECTOR: _decode_statevector,
    ResultType.PROBABILITIES: _decode_probabilities,
    ResultType.VARIANCE: _decode_variance,
}

_BY_NUMBER: Final = {RESULT_TYPE[kind]: decode for kind, decode in _DECODERS.items()}


def _check_length(length: int, n_qubits: int) -> None:
    if n_qubits > 60 or length != 1 << n_qubits:
        raise ValueError(f"{length} values do not belong to {n_qubits} qubits")


def decode_whole_job(message: pb.Job) -> JobInfo:
    """The job in a wire message, with its results.

    Raises:
        ValueError: What is packed in a result does not fit its size.
    """
    return replace(decode_job(message), results=tuple(map(decode_result, message.results)))
