"""Serialized messages, damaged: bit by bit, piece by piece, and by the grammar of the wire."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

from qdispatch.codec import varint

_LONG: Final = (0, 1, 127, 128, 2**16, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1)
_WIRE_TYPES: Final = 8

#: Tags of groups nested deeper than any decoder allows.
DEEP_GROUPS: Final = b"\x0b" * 5_000
_ENDLESS: Final = b"\xff" * 11


class Mutator:
    """Damages bytes.

    Args:
        chance: Draws.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._ways: Sequence[Callable[[bytes], bytes]] = (
            self._flip,
            self._flip,
            self._cut,
            self._splice,
            self._repeat,
            self._retype,
            self._unknown,
            self._lengthen,
            self._replace,
        )

    def mutate(self, data: bytes) -> bytes:
        """The bytes, with one to three damages."""
        for _ in range(self._chance.choice((1, 1, 2, 3))):
            data = self._chance.choice(self._ways)(data)
        return data

    def _place(self, data: bytes) -> int:
        return self._chance.randrange(len(data) + 1)

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return b"\1"
        flipped = bytearray(data)
        flipped[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
        return bytes(flipped)

    def _cut(self, data: bytes) -> bytes:
        return data[: self._place(data)]

    def _splice(self, data: bytes) -> bytes:
        start, end = sorted((self._place(data), self._place(data)))
        place = self._place(data)
        return data[:place] + data[start:end] + data[place:]

    def _repeat(self, data: bytes) -> bytes:
        # Of a field that comes twice, the last one counts.
        return data * self._chance.choice((2, 2, 3, 20))

    def _retype(self, data: bytes) -> bytes:
        if not data:
            return data
        return bytes([data[0] & ~7 | self._chance.randrange(_WIRE_TYPES)]) + data[1:]

    def _unknown(self, data: bytes) -> bytes:
        kind = self._chance.randrange(5)
        number = self._chance.choice((0, 15, 16, 100, 19_000, 2**29 - 1, 2**29))
        if kind == 0:
            return data + varint(number << 3) + varint(self._chance.choice(_LONG))
        if kind == 1:
            return data + varint(number << 3 | 2) + varint(5) + b"hello"
        if kind == 2:
            return data + varint(number << 3 | 1) + b"\0" * 8
        if kind == 3:
            return data + _ENDLESS
        return data + (DEEP_GROUPS if self._chance.random() < 0.1 else b"\x0b\x0c")

    def _lengthen(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + varint(self._chance.choice(_LONG)) + data[place + 1 :]

    def _replace(self, data: bytes) -> bytes:
        place = self._place(data)
        return data[:place] + self._chance.randbytes(4) + data[place + 4 :]
