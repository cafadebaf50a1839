"""Counts what a request is made of, before protobuf makes objects of it.

A field takes two bytes on the wire, and a hundred and more as an object: a message
within its limit could take all memory. So one that is not small is walked through as
it is on the wire, no further than to the first count that is over its limit.

The wire is that of https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from app.settings import MAX_BATCH_JOBS
from app.validation import MAX_PARAMETERS, MAX_TAGS, MAX_TERMS, at_most
from app.visible_jobs import MAX_CANCELED
from qdispatch.errors import InvalidJobError, RequestError, TooLargeError
from qdispatch.model import ResultType
from qdispatch.v1 import qdispatch_pb2 as pb

#: The most fields and packed whole numbers that one request has, wherever they are in
#: it. Packed values of a sweep, which never become objects, count as one.
MAX_PARTS: Final = 2_000_000

_VARINT, _FIXED64, _LENGTH, _GROUP, _END_GROUP, _FIXED32 = range(6)
_LONGEST_VARINT: Final = 10
# Bytes that do not end a varint.
_CONTINUED: Final = bytes(range(0x80, 0x100))


@dataclass(frozen=True, kw_only=True)
class _Cap:
    """How many there may be of a field: in a job, or else in the request."""

    most: int
    says: str
    kind: type[RequestError] = InvalidJobError
    at: str = ""
    """The field that is at fault in the job, if it is not this one."""


# By the field's full name. The words are those of who checks what is decoded.
_CAPS: Final[Mapping[str, _Cap]] = {
    f"qdispatch.v1.{name}": cap
    for name, cap in {
        "JobSpec.tags": _Cap(most=MAX_TAGS, says=at_most(MAX_TAGS)),
        "JobSpec.result_types": _Cap(most=len(ResultType), says=at_most(len(ResultType))),
        "JobSpec.parameters": _Cap(
            most=MAX_PARAMETERS,
            says=f"more than {MAX_PARAMETERS} parameters; {at_most(MAX_PARAMETERS)}",
        ),
        "JobSpec.observables": _Cap(most=MAX_TERMS, says=at_most(MAX_TERMS)),
        "PauliSum.terms": _Cap(
            most=MAX_TERMS,
            says=f"more than {MAX_TERMS} Pauli terms; {at_most(MAX_TERMS)}",
            at="observables",
        ),
        "CreateJobsRequest.specs": _Cap(
            most=MAX_BATCH_JOBS,
            says=f"more than {MAX_BATCH_JOBS} jobs; a batch has at most {MAX_BATCH_JOBS}"
            " (server.max_batch_jobs): submit several batches",
            kind=TooLargeError,
        ),
        "CancelJobsRequest.ids": _Cap(
            most=MAX_CANCELED,
            says=f"more than {MAX_CANCELED} ids; one call cancels at most {MAX_CANCELED}",
            kind=TooLargeError,
        ),
        "WatchBatchRequest.after": _Cap(
            most=MAX_BATCH_JOBS,
            says=f"more than {MAX_BATCH_JOBS} numbers; a batch has at most {MAX_BATCH_JOBS} jobs",
        ),
    }.items()
}

_TOO_MANY: Final = (
    f"more than {MAX_PARTS} parts, such as jobs, terms and their fields; {at_most(MAX_PARTS)}"
    " in one request: make it several"
)

_JOB: Final = pb.JobSpec.DESCRIPTOR.full_name
# Of whole numbers, which are packed when they are repeated.
_NUMBERS: Final = frozenset(
    {
        FieldDescriptor.TYPE_BOOL,
        FieldDescriptor.TYPE_ENUM,
        FieldDescriptor.TYPE_INT32,
        FieldDescriptor.TYPE_INT64,
        FieldDescriptor.TYPE_SINT32,
        FieldDescriptor.TYPE_SINT64,
        FieldDescriptor.TYPE_UINT32,
        FieldDescriptor.TYPE_UINT64,
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rule:
    """What is to be counted at a field."""

    name: str
    cap: _Cap | None
    inner: _Shape | None = None
    """What is in it, if it is a message."""
    is_packed: bool = False
    is_job: bool = False
    is_repeated: bool = False


#: Of a message: the rules by tag, which is a field's number and how it is on the wire.
_Shape: TypeAlias = dict[int, _Rule]
#: How many there were, by the field's name.
_Counts: TypeAlias = dict[str, int]


class _BrokenError(Exception):
    """It is no message."""


class Parts:
    """Counts the parts of one kind of request.

    Args:
        descriptor: Of its message.
    """

    def __init__(self, descriptor: Descriptor) -> None:
        self._name = descriptor.full_name
        self._shape = _shape(descriptor)

    def count(self, data: bytes) -> int:
        """How many fields and packed whole numbers a request has, in all its messages.

        Raises:
            RequestError: There are too many of a field, which it names, or of all; or
                the request is no such message.
        """
        try:
            return _Walk(data).count(0, len(data), self._shape, {}, 0)
        except (_BrokenError, IndexError):
            raise InvalidJobError(f"the request is no {self._name}: it is cut off") from None


def _shape(descriptor: Descriptor) -> _Shape:
    shape: _Shape = {}
    for field in descriptor.fields:
        cap = _CAPS.get(field.full_name)
        is_packed = field.type in _NUMBERS and field.is_repeated
        message = field.message_type
        if not (cap or is_packed or message):
            continue
        rule = _Rule(
            name=field.name,
            cap=cap,
            inner=None if message is None else _shape(message),
            is_packed=is_packed,
            is_job=message is not None and message.full_name == _JOB,
            is_repeated=bool(field.is_repeated),
        )
        shape[field.number << 3 | _LENGTH] = rule
        if is_packed:
            shape[field.number << 3 | _VARINT] = replace(rule, is_packed=False)
    return shape


class _Walk:
    """A walk through one message."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def count(self, at: int, end: int, shape: _Shape, counts: _Counts, parts: int) -> int:
        """The parts from one place to the end of a message, and those before."""
        data, rule_of, most = self._data, shape.get, MAX_PARTS
        while at < end:
            parts += 1
            if parts > most:
                _check(parts)
            tag = data[at]
            at += 1
            if tag > 0x7F:
                tag, at = _varint(data, at - 1)
            wire = tag & 7
            start = at
            if wire == _LENGTH:
                size = data[at]
                start = at + 1
                if size > 0x7F:
                    size, start = _varint(data, at)
                at = start + size
            elif wire == _VARINT:
                at += 1
                if data[start] > 0x7F:
                    _, at = _varint(data, start)
            else:
                at += _width(wire)
            if at > end:
                raise _BrokenError
            rule = rule_of(tag)
            if rule is not None:
                parts = self._count_field(rule, start, at, counts, parts)
        return parts

    def _count_field(self, rule: _Rule, at: int, end: int, counts: _Counts, parts: int) -> int:
        number = 1
        if rule.is_packed:
            number = len(self._data[at:end].translate(None, _CONTINUED))
            parts += number
        if rule.cap is not None:
            _add(rule, rule.cap, counts, number)
        _check(parts)
        if rule.inner is None:
            return parts
        if not rule.is_job:
            return self.count(at, end, rule.inner, counts, parts)
        try:
            # A field that is not repeated, and comes again, adds to what there was.
            inner = {} if rule.is_repeated else counts
            return self.count(at, end, rule.inner, inner, parts)
        except RequestError as error:
            if not error.field:
                raise
            place = f"[{counts[rule.name] - 1}]" if rule.is_repeated else ""
            raise error.moved(f"{rule.name}{place}.{error.field}") from None


def _check(parts: int) -> None:
    if parts > MAX_PARTS:
        raise InvalidJobError(_TOO_MANY)


def _add(rule: _Rule, cap: _Cap, counts: _Counts, number: int) -> None:
    counts[rule.name] = total = counts.get(rule.name, 0) + number
    if total > cap.most:
        raise cap.kind(cap.says, field=cap.at or rule.name)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    number = shift = 0
    for place in range(at, at + _LONGEST_VARINT):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place + 1
        shift += 7
    raise _BrokenError


def _width(wire: int) -> int:
    if wire == _FIXED64:
        return 8
    if wire == _FIXED32:
        return 4
    # What is in a group is counted like what is around it: no message here has any.
    if wire in (_GROUP, _END_GROUP):
        return 0
    raise _BrokenError
