"""Long results, and the points of sweeps, kept as the bytes that they came in.

They are sequences of Python's own values, so that a client needs no numpy; and
numpy takes each of them as an array, without a copy: ``numpy.asarray(memory)``.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, overload

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_T = TypeVar("_T")
_Number = TypeVar("_Number", int, float)

_COMPLEX: Final = Struct("<dd")
_REAL: Final = Struct("<d")

#: What is turned into text, or back, at a time, in bytes; more leaves the processor's caches.
_AT_ONCE: Final = 2**14
#: From so many bytes on numpy is asked, if it is there.
_LONG: Final = 2**10


def pack_outcomes(outcomes: Sequence[str], n_bits: int) -> bytes:
    """Outcomes as bytes: ceil(n_bits / 8) each, big-endian, without separators.

    Args:
        outcomes: Strings of "0" and "1", the highest classical bit on the left.
        n_bits: Classical bits of an outcome.
    """
    width = (n_bits + 7) // 8
    if n_bits == 0 or not {n_bits}.issuperset(map(len, outcomes)):
        return b"".join(int(each or "0", 2).to_bytes(width, "big") for each in outcomes)
    # As one long number each time, which is many times as quick as one by one.
    lead = "0" * (8 * width - n_bits)
    number = max(1, _AT_ONCE // width)
    pieces = (outcomes[at : at + number] for at in range(0, len(outcomes), number))
    return b"".join(
        int(lead.join(piece), 2).to_bytes(width * len(piece), "big") for piece in pieces
    )


def unpack_outcomes(packed: bytes, n_bits: int) -> list[str]:
    """The reverse of `pack_outcomes`, for at least one bit."""
    width = (n_bits + 7) // 8
    found: list[str] = []
    size = width * max(1, _AT_ONCE // width)
    for at in range(0, len(packed), size):
        text = _digits(packed[at : at + size])
        step, lead = 8 * width, 8 * width - n_bits
        found += [text[start + lead : start + step] for start in range(0, len(text), step)]
    return found


def _digits(packed: bytes) -> str:
    """The bits of some bytes, the highest of each byte on its left."""
    # Whoever has long results has numpy most often, which takes half as long.
    if len(packed) < _LONG or "numpy" not in sys.modules:
        return format(int.from_bytes(packed, "big"), f"0{8 * len(packed)}b")
    import numpy as np

    text: bytes = _texts()[np.frombuffer(packed, np.uint8)].tobytes()
    return text.decode("ascii")


@cache
def _texts() -> npt.NDArray[np.uint64]:
    """The eight digits of each byte, as they lie in memory."""
    import numpy as np

    return np.frombuffer(b"".join(b"%08d" % int(f"{byte:b}") for byte in range(256)), np.uint64)


class _Packed(Sequence[_T]):
    """Values of one size each, one after the other."""

    def __init__(self, packed: bytes, size: int) -> None:
        self.packed = packed
        self._size = size
        if len(packed) % size:
            raise ValueError(f"{len(packed)} bytes are no whole number of values of {size} bytes")

    def _read(self, at: int) -> _T:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.packed) // self._size

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __getitem__(self, index: int | slice) -> _T | Sequence[_T]:
        if isinstance(index, slice):
            return [self._read(each * self._size) for each in range(len(self))[index]]
        return self._read(range(len(self))[index] * self._size)

    def __iter__(self) -> Iterator[_T]:
        return (self._read(at) for at in range(0, len(self.packed), self._size))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)):
            return self.packed == other.packed
        return list(self) == other if isinstance(other, list | tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.packed)

    def __repr__(self) -> str:
        shown = ", ".join(repr(each) for each in self[:4])
        more = f", ... {len(self)} in all" if len(self) > 4 else ""
        return f"{type(self).__name__}([{shown}{more}])"


class Memory(_Packed[str]):
    """The outcome of each shot, in order.

    As a sequence: strings of "0" and "1", the highest classical bit on the
    left. As an array: uint8 of shape (shots, ceil(n_bits / 8)), big-endian,
    classical bit 0 in the lowest bit of the last column; it is what Qiskit's
    ``BitArray`` takes.

    Attributes:
        n_bits: Classical bits of an outcome.
        packed: The array's bytes.
    """

    def __init__(self, packed: bytes, *, n_bits: int) -> None:
        if n_bits < 1:
            raise ValueError("an outcome has at least one bit")
        super().__init__(packed, (n_bits + 7) // 8)
        self.n_bits = n_bits
        self._form = f"0{n_bits}b"

    @classmethod
    def of(cls, outcomes: Iterable[str], n_bits: int) -> Self:
        """Packs outcomes given as strings."""
        return cls(pack_outcomes(list(outcomes), n_bits), n_bits=n_bits)

    def _read(self, at: int) -> str:
        return format(int.from_bytes(self.packed[at : at + self._size], "big"), self._form)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return _array(self.packed, "u1", dtype, copy).reshape(len(self), self._size)


class PackedOutcomes(Mapping[str, _Number]):
    """Outcomes, each with a number, as they go over the wire.

    As a mapping: outcome -> number, the highest classical bit on the left.

    Attributes:
        packed: The outcomes, as `pack_outcomes` has them, ascending.
        numbers: One for each outcome.
        n_bits: Classical bits of an outcome, at least 1.
    """

    def __init__(self, packed: bytes, numbers: Sequence[_Number], n_bits: int) -> None:
        if n_bits < 1 or len(packed) != (n_bits + 7) // 8 * len(numbers):
            raise ValueError(
                f"{len(numbers)} outcomes of {n_bits} bits do not fit {len(packed)} bytes"
            )
        self.packed = packed
        self.numbers: Sequence[_Number] = numbers
        self.n_bits = n_bits

    @cached_property
    def _items(self) -> dict[str, _Number]:
        return dict(zip(unpack_outcomes(self.packed, self.n_bits), self.numbers, strict=True))

    def __getitem__(self, outcome: str) -> _Number:
        return self._items[outcome]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        return repr(self._items)


class Statevector(_Packed[complex]):
    """The amplitudes of a state; qubit 0 in the least significant bit of the index.

    As an array: complex128 of shape (2**n_qubits,).

    Attributes:
        packed: The array's bytes, little-endian.
    """

    def __init__(self, packed: bytes) -> None:
        super().__init__(packed, _COMPLEX.size)

    @classmethod
    def of(cls, amplitudes: Iterable[complex]) -> Self:
        """Packs amplitudes."""
        return cls(b"".join(_COMPLEX.pack(each.real, each.imag) for each in amplitudes))

    @property
    def n_qubits(self) -> int:
        """Qubits of the state."""
        return len(self).bit_length() - 1

    def _read(self, at: int) -> complex:
        return complex(*_COMPLEX.unpack_from(self.packed, at))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return _array(self.packed, "<c16", dtype, copy)


class Probabilities(_Packed[float]):
    """The probability of each basis state; qubit 0 in the least significant bit of the index.

    As an array: float64 of shape (2**n_qubits,), summing to 1.

    Attributes:
        packed: The array's bytes, little-endian.
    """

    def __init__(self, packed: bytes) -> None:
        super().__init__(packed, _REAL.size)

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Packs probabilities."""
        return cls(b"".join(map(_REAL.pack, values)))

    @property
    def n_qubits(self) -> int:
        """Qubits of the state."""
        return len(self).bit_length() - 1

    def _read(self, at: int) -> float:
        return float(_REAL.unpack_from(self.packed, at)[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return _array(self.packed, "<f8", dtype, copy)


class PackedPoints(_Packed[tuple[float, ...]]):
    """The points of a sweep, each the value of each parameter.

    As a sequence: tuples of floats; it equals a tuple of the same ones. As an
    array: float64 of shape (points, parameters).

    Attributes:
        packed: The array's bytes, little-endian.
        width: How many parameters there are, at least 1.
    """

    def __init__(self, packed: bytes, width: int) -> None:
        if width < 1:
            raise ValueError("a point has at least one value")
        super().__init__(packed, width * _REAL.size)
        self.width = width
        self._point = Struct(f"<{width}d")

    @property
    def values(self) -> Sequence[float]:
        """All values, point by point."""
        values = array("d", self.packed)
        if sys.byteorder == "big":
            values.byteswap()
        return values

    def _read(self, at: int) -> tuple[float, ...]:
        return self._point.unpack_from(self.packed, at)

    def __iter__(self) -> Iterator[tuple[float, ...]]:
        return self._point.iter_unpack(self.packed)

    @overload
    def __getitem__(self, index: int) -> tuple[float, ...]: ...
    @overload
    def __getitem__(self, index: slice) -> PackedPoints: ...
    def __getitem__(self, index: int | slice) -> tuple[float, ...] | PackedPoints:
        if not isinstance(index, slice):
            return super().__getitem__(index)
        starts = (each * self._size for each in range(len(self))[index])
        some = b"".join(self.packed[at : at + self._size] for at in starts)
        return PackedPoints(some, self.width)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PackedPoints | tuple):
            return NotImplemented
        return tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return _array(self.packed, "<f8", dtype, copy).reshape(len(self), self.width)


def pack_points(points: Sequence[Sequence[float]]) -> bytes:
    """The values of points as `PackedPoints` has them."""
    if isinstance(points, PackedPoints):
        return points.packed
    return pack_values(chain.from_iterable(points))


def pack_values(values: Iterable[float]) -> bytes:
    """Doubles as little-endian bytes."""
    table = array("d", values)
    if sys.byteorder == "big":
        table.byteswap()
    return table.tobytes()


def _array(packed: bytes, kind: str, dtype: Any, copy: bool | None) -> npt.NDArray[Any]:
    import numpy as np

    array = np.frombuffer(packed, kind)
    if dtype is not None and array.dtype != np.dtype(dtype):
        if copy is False:
            raise ValueError(f"cannot give {kind} as {dtype} without a copy")
        return array.astype(dtype)
    return array.copy() if copy else array
