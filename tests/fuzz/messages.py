"""Messages made after their descriptors: valid ones, odd ones, and everything between."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any, Final

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from qdispatch.codec import encode_spec
from qdispatch.model import PauliSum, PauliTerm, ProgramFormat, ResultType
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.known import Known
from tests.specs import bell

_F = FieldDescriptor

UINT32: Final = (0, 1, 2, 3, 7, 100, 1000, 10_001, 2**31 - 1, 2**31, 2**32 - 1)
UINT64: Final = (*UINT32, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
INT32: Final = (0, 1, -1, 10, -10, 11, -11, 2**31 - 1, -(2**31))
INT64: Final = (*INT32, 253_402_300_799, 253_402_300_800, -62_135_596_801, 2**63 - 1, -(2**63))
DOUBLES: Final = (
    *(0.0, -0.0, 1.0, 0.5, -1.0, 1e-9, 3600.0, 5e-324, 1e308, -1e308),
    *(float("inf"), float("-inf"), float("nan"), struct.unpack("<d", b"\1" * 8)[0]),
)
TEXTS: Final = (
    *("", " ", "a", "aer", "cirq", "\0", "a\0b", "\n", "\r\n", "\t", "\x1b[31m", "\x7f", "-"),
    *("é", "ß" * 50, "\U0001f300", "\u202e\u2066", "\ufeff", "\ufffe", "e\u0301", "\U0010ffff"),
    *("%s%n{}{0.__class__}", "' OR 1=1 --", "../../../etc/passwd", "null", "NaN", "[]", "{}"),
    *("a" * 200, "a" * 201, "x" * 5_000, "\u2028", "00000000-0000-0000-0000-000000000000"),
    *("{" * 5_000, '{"a":' * 2_000, '{"method":"statevector"}', '{"a":1e999}', "9" * 5_000),
    *("ada", "bob", "root", "anonymous", "X", "XYZI", "theta", "def", "theta" * 60),
)

_SWEEP: Final = (
    "OPENQASM 3.0;\ninput float theta;\nqubit[1] q;\nbit[1] c;\nU(theta,0,0) q[0];\nc = measure q;"
)


def _specs() -> tuple[bytes, ...]:
    sweep = {
        "program": _SWEEP,
        "program_format": ProgramFormat.OPENQASM3,
        "parameters": ("theta",),
        "n_qubits": 1,
    }
    observed = (PauliSum(terms=(PauliTerm(paulis="ZX", qubits=None, coefficient=0.5),)),)
    some = (
        bell(),
        bell(target="", seed=3, tags=("a", "b"), priority=4),
        bell(cache=False, time_limit_s=2.0, extra='{"method": "statevector"}'),
        bell(target="cirq", result_types=(ResultType.EXPVAL,), shots=0, observables=observed),
        bell(**sweep, parameter_values=((0.1,), (0.2,))),
    )
    return tuple(encode_spec(each).SerializeToString() for each in some)


class Maker:
    """Makes messages.

    Args:
        chance: Draws.
        known: What hits.
    """

    def __init__(self, chance: random.Random, known: Known) -> None:
        self._chance = chance
        self._known = known
        self._valid_specs = _specs()
        self._numbers = 0
        self._owner = ""
        self._scalars: dict[int, Callable[[], Any]] = {
            _F.TYPE_UINT32: lambda: self._edge(UINT32, 2**32),
            _F.TYPE_UINT64: lambda: self._edge(UINT64, 2**64),
            _F.TYPE_INT32: lambda: chance.choice(INT32),
            _F.TYPE_SINT32: lambda: chance.choice(INT32),
            _F.TYPE_INT64: lambda: chance.choice(INT64),
            _F.TYPE_DOUBLE: lambda: chance.choice(DOUBLES),
            _F.TYPE_BOOL: lambda: chance.random() < 0.5,
            _F.TYPE_ENUM: lambda: self._edge((0, 1, 2, 3, 5, 7, 8, -1, 2**31 - 1), 8),
            _F.TYPE_STRING: lambda: chance.choice(TEXTS),
            _F.TYPE_BYTES: self._bytes,
        }

    def make(self, descriptor: Descriptor, owner: str) -> Message:
        """A message of this kind, as a caller of this name would send it, or not."""
        self._owner = owner
        message = message_factory.GetMessageClass(descriptor)()
        self._fill(message, 0)
        return message

    def _fill(self, message: Message, depth: int) -> None:
        if isinstance(message, pb.JobSpec) and self._chance.random() < 0.9:
            message.MergeFromString(self._chance.choice(self._valid_specs))
            if self._chance.random() < 0.35:
                return
            changes = self._chance.choice((1, 1, 1, 2, 4))
            for field in self._chance.sample(list(message.DESCRIPTOR.fields), changes):
                message.ClearField(field.name)
                self._set(message, field, depth)
            return
        for field in message.DESCRIPTOR.fields:
            if self._chance.random() < (0.9 if depth == 0 and not _is_filter(message) else 0.4):
                self._set(message, field, depth)

    def _set(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        if field.is_repeated:
            self._repeat(message, field, depth)
        elif field.message_type is not None:
            inner = getattr(message, field.name)
            inner.SetInParent()
            if depth < 6:
                self._fill(inner, depth + 1)
        else:
            setattr(message, field.name, self._value(message, field))

    def _repeat(self, message: Message, field: FieldDescriptor, depth: int) -> None:
        many = getattr(message, field.name)
        most = 2 if field.message_type is not None else 12
        number = self._chance.randrange(1, most + 1)
        if self._chance.random() < 0.01:
            number = 60 if field.message_type is not None else 3_000
        for _ in range(number):
            if field.message_type is not None:
                if depth < 6:
                    self._fill(many.add(), depth + 1)
            else:
                many.append(self._value(message, field))

    def _value(self, message: Message, field: FieldDescriptor) -> Any:
        if field.type == _F.TYPE_STRING and self._chance.random() < 0.85:
            fitting = self._fitting(message, field.name)
            if fitting:
                return fitting
        return self._scalars[field.type]()

    def _fitting(self, message: Message, name: str) -> str:
        if name == "request_id":
            return self._request_id()
        if name in {"id", "ids"}:
            kind = "batch" if "Batch" in message.DESCRIPTOR.name else "job"
            # Ids of the other kind are ids, too.
            if self._chance.random() < 0.03:
                kind = "job" if kind == "batch" else "batch"
            return self._known.draw(kind, self._owner)
        if name == "batch_id":
            return self._known.draw("batch", self._owner)
        if name == "page_token":
            return self._known.draw("page", self._owner)
        return self._chance.choice(("", "aer", "cirq", "pennylane")) if name == "target" else ""

    def _request_id(self) -> str:
        # One that was used, with another content or the same.
        if self._chance.random() < 0.1:
            return self._known.draw("request", self._owner)
        self._numbers += 1
        text = f"fuzz-{self._numbers}"
        if self._chance.random() < 0.1:
            self._known.learn("request", text, self._owner)
        return text

    def _edge(self, edges: tuple[int, ...], end: int) -> int:
        if self._chance.random() < 0.8:
            return self._chance.choice(edges)
        return self._chance.randrange(end)

    def _bytes(self) -> bytes:
        kind = self._chance.randrange(5)
        if kind == 0:
            return self._chance.randbytes(self._chance.randrange(200))
        if kind == 1:
            return b"OPENQASM 3.0;\n" + b"x q;\n" * self._chance.choice((1, 100, 50_000))
        if kind == 2:
            return b"\xff\xfe\0" + b"OPENQASM 2.0;"
        return self._chance.choice(TEXTS).encode()


def _is_filter(message: Message) -> bool:
    return isinstance(message, pb.ListJobsRequest)
