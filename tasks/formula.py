"""Formulas in a program's inputs: what a gate's parameter is before it is bound.

Formulas share their parts, so a small one may stand for an expression of any
length. Hence each has a digest of its structure, by which two are compared,
and nothing here walks one recursively.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from hashlib import blake2b
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

#: What a formula may compute, on arrays of float64.
FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "%": np.mod,
    "**": np.power, "minus": np.negative, "sum": lambda *terms: reduce(np.add, terms),
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "arcsin": np.arcsin, "arccos": np.arccos,
    "arctan": np.arctan, "exp": np.exp, "log": np.log, "sqrt": np.sqrt, "ceiling": np.ceil,
    "floor": np.floor, "mod": np.mod,
}  # fmt: skip

_DIGEST_BYTES: Final = 16


class Formula:
    """A number that depends on inputs. It calculates like one."""

    __slots__ = ()

    digest: bytes
    """Of the whole structure; equal for equal formulas."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"<formula in {', '.join(self.names())}>"

    def __add__(self, other: Param) -> Applied:
        return Applied("+", (self, other))

    def __radd__(self, other: float) -> Applied:
        return Applied("+", (other, self))

    def __sub__(self, other: Param) -> Applied:
        return Applied("-", (self, other))

    def __rsub__(self, other: float) -> Applied:
        return Applied("-", (other, self))

    def __mul__(self, other: Param) -> Applied:
        return Applied("*", (self, other))

    def __rmul__(self, other: float) -> Applied:
        return Applied("*", (other, self))

    def __truediv__(self, other: Param) -> Applied:
        return Applied("/", (self, other))

    def __rtruediv__(self, other: float) -> Applied:
        return Applied("/", (other, self))

    def __pow__(self, other: Param) -> Applied:
        return Applied("**", (self, other))

    def __rpow__(self, other: float) -> Applied:
        return Applied("**", (other, self))

    def __neg__(self) -> Applied:
        return Applied("minus", (self,))

    def names(self) -> list[str]:
        """The inputs that it depends on, in alphabetical order."""
        return sorted({part.name for part in parts([self]) if isinstance(part, Input)})

    def values(self, inputs: Mapping[str, Floats]) -> Floats:
        """Its values at many points at once.

        Args:
            inputs: Of each input, float64 of shape (n_points,).

        Returns:
            float64 of shape (n_points,); not finite where it is not defined.
        """
        return evaluate([self], inputs)[0]


#: What a gate's parameter is: a number, or a formula until it is bound.
Param: TypeAlias = float | Formula


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Input(Formula):
    """An input variable of the program."""

    name: str
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", _digest(f"input {self.name}", ()))


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Applied(Formula):
    """A function out of `FUNCTIONS` of numbers and formulas."""

    function: str
    operands: tuple[Param, ...]
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        numbers = tuple(
            each if isinstance(each, Formula) else float(each) for each in self.operands
        )
        object.__setattr__(self, "operands", numbers)
        object.__setattr__(self, "digest", _digest(self.function, numbers))


def _digest(head: str, operands: Iterable[Param]) -> bytes:
    found = blake2b(head.encode(), digest_size=_DIGEST_BYTES)
    for each in operands:
        found.update(each.digest if isinstance(each, Formula) else struct.pack("<d", each))
    return found.digest()


def total(number: float, formulas: Sequence[Formula]) -> Param:
    """The sum of a number and formulas, however many they are."""
    return Applied("sum", (number, *formulas)) if formulas else number


def parts(formulas: Iterable[Formula]) -> Iterator[Formula]:
    """Some formulas and all that they consist of: each once, and after its own parts."""
    seen: set[Formula] = set()
    for formula in formulas:
        stack = [(formula, False)]
        while stack:
            part, is_ready = stack.pop()
            if is_ready:
                yield part
            elif part not in seen:
                seen.add(part)
                stack.append((part, True))
                if isinstance(part, Applied):
                    stack += [(each, False) for each in part.operands if isinstance(each, Formula)]


def evaluate(formulas: Sequence[Formula], inputs: Mapping[str, Floats]) -> list[Floats]:
    """The values of many formulas, with what they share computed once; see `Formula.values`."""
    known: dict[Formula, Any] = {}
    with np.errstate(all="ignore"):
        for part in parts(formulas):
            if isinstance(part, Applied):
                operands = [
                    known[each] if isinstance(each, Formula) else each for each in part.operands
                ]
                known[part] = FUNCTIONS[part.function](*operands)
            elif isinstance(part, Input):
                known[part] = inputs[part.name]
    return [known[each] for each in formulas]
