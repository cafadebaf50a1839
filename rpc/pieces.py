"""Large results and long lists, cut to fit messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

from google.protobuf.message import Message

from qdispatch.codec import varint
from qdispatch.v1 import qdispatch_pb2 as pb

M = TypeVar("M", bound=Message)

#: What one message carries, in bytes, unless it may carry less. Of each stream that
#: nobody reads from, one waits in the server.
PIECE_BYTES: Final = 2**16

# Of ResultSet.results: field 1, length-delimited.
_KEY: Final = b"\x0a"
# What stands before a message in another one, at the most: its key and its length.
_HEAD_BYTES: Final = 6


def framed(values: Sequence[bytes]) -> list[bytes]:
    """A ResultSet of results, each a serialized qdispatch.v1.Result, in parts."""
    return [part for value in values for part in (_KEY + varint(len(value)), value)]


def pieces(
    values: Sequence[bytes], offset: int, most: int = PIECE_BYTES
) -> Iterator[pb.GetResultResponse]:
    """The answers that carry a ResultSet.

    Args:
        values: Its results, each a serialized qdispatch.v1.Result.
        offset: How many bytes of the set to leave out.
        most: What one answer carries, in bytes.
    """
    parts = framed(values)
    size = sum(map(len, parts))
    yield pb.GetResultResponse(size=size)
    waiting = bytearray()
    for part in parts:
        if offset >= len(part):
            offset -= len(part)
            continue
        rest = memoryview(part)[offset:]
        offset = 0
        while rest:
            room = most - len(waiting)
            waiting += rest[:room]
            rest = rest[room:]
            if len(waiting) == most:
                yield pb.GetResultResponse(data=bytes(waiting))
                waiting.clear()
    if waiting:
        yield pb.GetResultResponse(data=bytes(waiting))


class Room(Generic[M]):
    """The messages that one answer carries.

    Args:
        most: What it carries, in bytes.

    Attributes:
        messages: Those that it has taken.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self.messages: list[M] = []

    def take(self, message: M) -> bool:
        """Takes a message, if there is room for it; the first one in any case."""
        self._left -= message.ByteSize() + _HEAD_BYTES
        if self.messages and self._left < 0:
            return False
        self.messages.append(message)
        return True
