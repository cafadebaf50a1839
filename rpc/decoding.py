"""Requests that are no valid messages: an answer that says which field is wrong.

gRPC alone would answer INTERNAL, "Exception deserializing request!".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from qdispatch.errors import InvalidJobError, TooLargeError
from rpc.parts import Parts

# Protobuf's wire type of strings, bytes and messages.
_LENGTH_DELIMITED = 2

#: What a part of a message takes as an object, in bytes, as estimated.
PART_BYTES: Final = 128


class Form:
    """What the requests of one method are like.

    Args:
        decode: Makes one of bytes, as generated code has it.
        most: What one may take, in bytes; None for as much as any message.
    """

    def __init__(self, decode: Any, most: int | None) -> None:
        self._decode: Callable[[bytes], Message] = decode
        self._descriptor: Descriptor = decode.__self__.DESCRIPTOR
        self._parts = Parts(self._descriptor)
        self._most = most

    def check_size(self, size: int) -> None:
        """Refuses what is too large.

        Raises:
            TooLargeError: It is.
        """
        if self._most is not None and size > self._most:
            raise TooLargeError(
                f"the request takes {size} bytes; this call takes at most {self._most}"
            )

    def weigh(self, data: bytes) -> int:
        """What a request takes once it is decoded, in bytes, as estimated.

        Raises:
            RequestError: It has more of something than is allowed.
        """
        return len(data) + PART_BYTES * self._parts.count(data)

    def decode(self, data: bytes) -> Message:
        """The request.

        Raises:
            InvalidJobError: It is none; it says why.
        """
        try:
            return self._decode(data)
        except DecodeError as error:
            raise explain(data, self._descriptor, error) from error


def explain(data: bytes, descriptor: Descriptor, error: Exception) -> InvalidJobError:
    """What is wrong with a message that cannot be decoded.

    Args:
        data: The message.
        descriptor: What it should be.
        error: What the decoder said.
    """
    field = _bad_text(data, descriptor)
    if field is None:
        return InvalidJobError(f"the request is no {descriptor.full_name}: {error}")
    return InvalidJobError("must be text in UTF-8", field=field)


def _bad_text(data: bytes, descriptor: Descriptor) -> str | None:
    """The path of the first string in a message that is not UTF-8."""
    raw: Message = Empty()
    try:
        raw.ParseFromString(data)
    except DecodeError:
        return None
    fields: Any = UnknownFieldSet(raw)
    places: Counter[int] = Counter()
    for unknown in fields:
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type != _LENGTH_DELIMITED:
            continue
        if field.message_type is not None:
            inner = _bad_text(unknown.data, field.message_type)
            if inner is not None:
                place = f"[{places[field.number]}]" if field.is_repeated else ""
                return f"{field.name}{place}.{inner}"
            places[field.number] += 1
        elif field.type == FieldDescriptor.TYPE_STRING:
            try:
                unknown.data.decode()
            except UnicodeDecodeError:
                return str(field.name)
    return None
