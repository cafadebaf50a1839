"""What an engine may answer.

It ran a stranger's program, and may say anything; but what it says is stored by its
slot, and must not break that, nor whoever reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from google.protobuf.message import DecodeError

from app.jobs import EncodedResult, Failed, Finished
from qdispatch.errors import QDispatchError
from qdispatch.model import ErrorKind, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb

# Larger results are copied to be looked at, which would take as much memory again.
_LOOKED_AT_BYTES: Final = 2**20
_TYPES: Final = frozenset(kind.value for kind in ResultType)
# More than the setting jobs.max_result_bytes may be.
_MOST_BYTES: Final = 2**31
_MOST_INTEGER: Final = 2**63 - 1
_MOST_POINT: Final = 2**31 - 1

#: What whoever reads an answer raises if it is none.
NONSENSE: Final = (ValueError, LookupError, TypeError, AttributeError, RuntimeError)


class AnswerError(QDispatchError):
    """An engine's answer is none."""


def check_answer(answer: Finished | Failed) -> None:
    """Refuses what cannot be stored, or read again.

    Raises:
        AnswerError: A part of it is of another kind than it must be, or out of range.
    """
    _check(isinstance(answer.simulator_version, str), "simulator_version")
    _check(_is_whole(answer.peak_memory_bytes, _MOST_INTEGER), "peak_memory_bytes")
    _check(_is_time(answer.cpu_s), "cpu_s")
    for name in ("parsing_s", "simulating_s"):
        value = getattr(answer, name)
        may_lack = isinstance(answer, Failed) and value is None
        _check(may_lack or _is_time(value), name)
    if isinstance(answer, Failed):
        _check(isinstance(answer.kind, ErrorKind), "kind")
        _check(isinstance(answer.message, str), "message")
        return
    _check(isinstance(answer.method, str), "method")
    _check(isinstance(answer.method_reason, str), "method_reason")
    for each in answer.results:
        _check_result(each)


def check_points(points_done: object) -> None:
    """Refuses what is no number of points.

    Raises:
        AnswerError: It is none.
    """
    _check(_is_whole(points_done, _MOST_POINT), "progress")


def size_of(sizes: Sequence[object]) -> int:
    """What results take together, in bytes.

    Raises:
        AnswerError: These are no sizes, or it is more than any engine may send.
    """
    _check(all(_is_whole(each, _MOST_BYTES) for each in sizes), "results.sizes")
    total = sum(each for each in sizes if isinstance(each, int))
    _check(total <= _MOST_BYTES, "results.sizes")
    return total


def _check_result(result: EncodedResult) -> None:
    _check(result.result_type in _TYPES, "results.types")
    _check(_is_whole(result.point, _MOST_POINT), "results.points")
    if len(result.value) > _LOOKED_AT_BYTES:
        return
    try:
        pb.Result.FromString(result.value)
    except DecodeError as error:
        raise AnswerError("the engine's answer has a result that is none") from error


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _is_time(value: object) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and 0 <= value <= _MOST_INTEGER
        and math.isfinite(value)
    )


def _check(fits: bool, name: str) -> None:
    if not fits:
        raise AnswerError(f"the engine's answer has something else for {name}")
