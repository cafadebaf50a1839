"""Angles of Cirq, with or without symbols, as OpenQASM 3."""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping
from typing import Any, Final

import sympy

from qdispatch.circuits.writer import Angle, Expression
from qdispatch.errors import CircuitError

_FUNCTIONS: Final[Mapping[Any, str]] = {
    sympy.sin: "sin", sympy.cos: "cos", sympy.tan: "tan",
    sympy.asin: "arcsin", sympy.acos: "arccos", sympy.atan: "arctan",
    sympy.exp: "exp", sympy.log: "log",
    sympy.floor: "floor", sympy.ceiling: "ceiling", sympy.Mod: "mod",
}  # fmt: skip


def pi_times(*factors: Any) -> Any:
    """Pi times some factors, exact as long as one of them is symbolic."""
    symbolic = any(isinstance(each, sympy.Basic) for each in factors)
    product = sympy.pi if symbolic else math.pi
    for each in factors:
        product = product * each
    return product


def angle(value: Any, inputs: Mapping[str, str]) -> Angle:
    """An angle for the writer.

    Args:
        value: A number or an expression of sympy, in radians.
        inputs: Name of each symbol -> input variable of the program.

    Raises:
        CircuitError: OpenQASM has no word for a part of it; ``gate`` names it.
    """
    if not getattr(value, "free_symbols", None):
        return float(value)
    return Expression(_Printer(value, inputs).text(value))


def phase_of(coefficient: Any) -> Any:
    """The angle of a number of modulus 1, or None where that is not to be seen.

    Args:
        coefficient: A complex number, or an expression of sympy: a product of
            powers of numbers, as Cirq makes them for global phases.
    """
    if not isinstance(coefficient, sympy.Basic) or not coefficient.free_symbols:
        return cmath.phase(complex(coefficient))
    total: Any = 0
    for factor in sympy.Mul.make_args(coefficient):
        base, exponent = factor.as_base_exp()
        if base.free_symbols:
            return None
        # Of the exponent of a number other than e, only a real one turns it.
        turn = exponent / sympy.I if base == sympy.E else cmath.phase(complex(base)) * exponent
        if turn.has(sympy.I):
            return None
        total += turn
    return total


class _Printer:
    """Writes whole numbers with a point: OpenQASM divides the others as C does."""

    def __init__(self, whole: Any, inputs: Mapping[str, str]) -> None:
        self._whole = whole
        self._inputs = inputs

    def text(self, part: Any) -> str:
        """A part of the expression, in parentheses where it needs them."""
        if isinstance(part, sympy.Symbol):
            return self._inputs[part.name]
        if part == sympy.pi:
            return "pi"
        if not part.free_symbols:
            return self._number(part)
        if isinstance(part, sympy.Add):
            return f"({' + '.join(map(self.text, part.args))})"
        if isinstance(part, sympy.Mul):
            return f"({' * '.join(map(self.text, part.args))})"
        return self._call(part)

    def _call(self, part: Any) -> str:
        if part.func not in {sympy.Pow, sympy.Abs, *_FUNCTIONS}:
            raise self._unknown(part)
        words = [self.text(each) for each in part.args]
        if isinstance(part, sympy.Pow):
            return f"(1.0 / {words[0]})" if part.exp == -1 else f"({words[0]} ** {words[1]})"
        if isinstance(part, sympy.Abs):
            return f"sqrt({words[0]} * {words[0]})"
        return f"{_FUNCTIONS[part.func]}({', '.join(words)})"

    def _number(self, part: Any) -> str:
        try:
            value = float(part)
        except TypeError as error:
            raise self._unknown(part) from error
        return f"({value!r})" if value < 0 else repr(value)

    def _unknown(self, part: Any) -> CircuitError:
        return CircuitError(
            f"the expression '{self._whole}' cannot be carried: OpenQASM has no word for '{part}'; "
            "use cirq.flatten, which puts a symbol in its place, or bind it",
            gate=str(part),
        )
