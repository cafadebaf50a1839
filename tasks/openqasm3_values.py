"""Expressions of OpenQASM 3: numbers now, or conditions on classical bits later."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NoReturn, TypeAlias

from tasks.circuit import OPERATORS, Bits, Constant, Expression, Operation
from tasks.formula import FUNCTIONS, Applied, Formula, Param
from tasks.lowering import invalid, needs_number, unsupported
from tasks.simulators import SimulationError

#: Bits that a whole number may have before it is refused.
_MAX_INT_BITS: Final = 4096


@dataclass(frozen=True, slots=True)
class Qubits:
    """A qubit, or several of them."""

    indices: tuple[int, ...]
    is_register: bool


@dataclass(frozen=True, slots=True)
class Clbits:
    """A classical bit, or several of them, or a variable made of hidden ones."""

    indices: tuple[int, ...]
    is_register: bool

    @property
    def expression(self) -> Bits:
        """Their value at the time it is asked for."""
        return Bits(self.indices)


Number: TypeAlias = int | float
Value: TypeAlias = Any
"""A number, a `Formula`, `Qubits`, `Clbits`, an `Expression`, a range or a list of numbers."""

CONSTANTS: Final[Mapping[str, float]] = {
    "pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e,
}  # fmt: skip

_FUNCTIONS: Final[Mapping[str, Callable[..., Number]]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "arcsin": math.asin,
    "arccos": math.acos, "arctan": math.atan, "exp": math.exp, "log": math.log,
    "sqrt": math.sqrt, "ceiling": math.ceil, "floor": math.floor, "mod": operator.mod,
}  # fmt: skip


def _divide(left: Number, right: Number) -> Number:
    if isinstance(left, int) and isinstance(right, int):
        # Whole numbers divide as in C: towards zero.
        quotient = abs(left) // abs(right)
        return quotient if (left < 0) == (right < 0) else -quotient
    return left / right


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int):
        if exponent >= 0 and base.bit_length() * exponent > _MAX_INT_BITS:
            raise OverflowError("a power is too large")
        return base**exponent  # type: ignore[no-any-return]
    return math.pow(base, exponent)


def _multiply(left: Number, right: Number) -> Number:
    whole = isinstance(left, int) and isinstance(right, int)
    if whole and int(left).bit_length() + int(right).bit_length() > _MAX_INT_BITS:
        raise OverflowError("a product is too large")
    return left * right


def _shift_left(number: int, places: int) -> int:
    if number.bit_length() + places > _MAX_INT_BITS:
        raise OverflowError("a shifted number is too large")
    return number << places


_NUMERIC: Final[Mapping[str, Callable[..., Any]]] = {
    "+": operator.add, "-": operator.sub, "*": _multiply, "/": _divide, "%": operator.mod,
    "**": _power, "<<": _shift_left, ">>": operator.rshift, "&": operator.and_,
    "|": operator.or_, "^": operator.xor, "==": operator.eq, "!=": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "&&": lambda a, b: bool(a) and bool(b), "||": lambda a, b: bool(a) or bool(b),
}  # fmt: skip


def fail(node: Any, message: str) -> NoReturn:
    """Refuses the program at a node."""
    raise invalid(at(node) + message)


def at(node: Any) -> str:
    """The line as a prefix, such as "line 3: ", or nothing where it is not known."""
    span = getattr(node, "span", None)
    return f"line {span.start_line}: " if span is not None else ""


@cache
def method_name(kind: str) -> str:
    """The method for a kind of node: "_io_declaration" for "IODeclaration"."""
    return "_" + re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind).lower()


class Evaluator:
    """Evaluates expressions.

    Args:
        lookup: Finds what a name stands for, or None.
        select: Told of how many qubits or bits are taken together, before they are.
    """

    def __init__(self, lookup: Callable[[str], Value], select: Callable[[Any, int], None]) -> None:
        self._lookup = lookup
        self._select = select

    def value(self, node: Any) -> Value:
        """What an expression stands for.

        Raises:
            SimulationError: It is wrong, or of a kind that is not supported.
        """
        kind = type(node).__name__
        method = getattr(self, method_name(kind), None)
        if method is None:
            raise unsupported(f"{at(node)}{kind} is not supported")
        try:
            return method(node)
        except (ArithmeticError, ValueError, TypeError, IndexError) as error:
            fail(node, str(error) or type(error).__name__)

    def param(self, node: Any) -> Param:
        """A number that is known now, or at each point of a sweep."""
        value = self.value(node)
        if isinstance(value, Formula):
            return value
        if not isinstance(value, int | float):
            fail(node, "a number that is known before the run is needed here")
        return float(value)

    def number(self, node: Any, what: str) -> float:
        """A number that is known now.

        Args:
            node: The expression.
            what: What needs it.
        """
        value = self.param(node)
        if isinstance(value, Formula):
            raise _needs_number(node, what, value)
        return value

    def integer(self, node: Any) -> int:
        """A whole number that is known now."""
        value = self.value(node)
        if isinstance(value, Formula):
            raise _needs_number(node, "a size, an index or a range", value)
        if not isinstance(value, int):
            fail(node, "a whole number that is known before the run is needed here")
        return value

    def expression(self, node: Any) -> Expression:
        """A value to be computed during the run."""
        return as_expression(node, self.value(node))

    def _identifier(self, node: Any) -> Value:
        value = self._lookup(node.name)
        if value is None:
            fail(node, f"{node.name!r} is not defined")
        return value

    def _integer_literal(self, node: Any) -> int:
        return int(node.value)

    def _float_literal(self, node: Any) -> float:
        return float(node.value)

    def _boolean_literal(self, node: Any) -> bool:
        return bool(node.value)

    def _bitstring_literal(self, node: Any) -> int:
        return int(node.value)

    def _unary_expression(self, node: Any) -> Value:
        value, symbol = self.value(node.expression), node.op.name
        if isinstance(value, int | float):
            if symbol == "!":
                return not value
            return -value if symbol == "-" else ~int(value)
        if isinstance(value, Formula):
            if symbol == "-":
                return -value
            raise _needs_number(node, f"operator {symbol}", value)
        if symbol == "!":
            return Operation("!", (as_expression(node, value),))
        if symbol == "~" and isinstance(value, Clbits):
            mask = (1 << len(value.indices)) - 1
            return Operation("^", (value.expression, Constant(mask)))
        raise unsupported(f"{at(node)}operator {symbol} on classical bits is not supported")

    def _binary_expression(self, node: Any) -> Value:
        left, right = self.value(node.lhs), self.value(node.rhs)
        symbol = node.op.name
        if isinstance(left, int | float) and isinstance(right, int | float):
            return _NUMERIC[symbol](left, right)
        if isinstance(left, Formula) or isinstance(right, Formula):
            return _applied(node, symbol, f"operator {symbol}", [left, right])
        if symbol not in OPERATORS:
            raise unsupported(f"{at(node)}operator {symbol} on classical bits is not supported")
        return Operation(symbol, (as_expression(node.lhs, left), as_expression(node.rhs, right)))

    def _function_call(self, node: Any) -> Value:
        name = node.name.name
        arguments = [self.value(each) for each in node.arguments]
        if any(isinstance(each, Formula) for each in arguments):
            if name not in {*_FUNCTIONS, "pow", "popcount"}:
                raise unsupported(f"{at(node)}function {name} is not supported")
            symbol = "**" if name == "pow" else name
            return _applied(node, symbol, f"function {name}", arguments)
        if not all(isinstance(each, int | float) for each in arguments):
            raise unsupported(f"{at(node)}function {name} of classical bits is not supported")
        if name == "pow":
            return _power(*arguments)
        if name == "popcount":
            return int(arguments[0]).bit_count()
        if name not in _FUNCTIONS:
            raise unsupported(f"{at(node)}function {name} is not supported")
        return _FUNCTIONS[name](*arguments)

    def _cast(self, node: Any) -> Value:
        value, kind = self.value(node.argument), type(node.type).__name__
        if isinstance(value, Formula):
            if kind in {"FloatType", "AngleType"}:
                return value
            raise _needs_number(node, f"{type_name(node.type)}()", value)
        if not isinstance(value, int | float):
            if kind == "BoolType":
                return Operation("!=", (as_expression(node, value), Constant(0)))
            return value
        if kind in {"FloatType", "AngleType"}:
            return float(value)
        return bool(value) if kind == "BoolType" else int(value)

    def _range_definition(self, node: Any) -> range:
        if node.start is None or node.end is None:
            fail(node, "a range of numbers needs a start and an end")
        step = 1 if node.step is None else self.integer(node.step)
        # Both ends of OpenQASM's ranges are inside.
        end = self.integer(node.end) + (1 if step > 0 else -1)
        return range(self.integer(node.start), end, step)

    def _discrete_set(self, node: Any) -> list[int]:
        return [self.integer(each) for each in node.values]

    def _concatenation(self, node: Any) -> Value:
        left, right = self.value(node.lhs), self.value(node.rhs)
        for kind in (Qubits, Clbits):
            if isinstance(left, kind) and isinstance(right, kind):
                self._select(node, len(left.indices) + len(right.indices))
                return kind(left.indices + right.indices, is_register=True)
        fail(node, "only qubits with qubits, or bits with bits, can be concatenated")

    def _size_of(self, node: Any) -> int:
        value = self.value(node.target)
        return len(value.indices if isinstance(value, Qubits | Clbits) else value)

    def _index_expression(self, node: Any) -> Value:
        return self._index(node, self.value(node.collection), node.index)

    def _indexed_identifier(self, node: Any) -> Value:
        value = self.value(node.name)
        for index in node.indices:
            value = self._index(node, value, index)
        return value

    def _index(self, node: Any, value: Value, index: Any) -> Value:
        if not isinstance(value, Qubits | Clbits):
            raise unsupported(f"{at(node)}only qubits and bits can be indexed")
        if isinstance(index, list):
            if len(index) != 1:
                raise unsupported(f"{at(node)}only one index is supported")
            index = index[0]
        size = len(value.indices)
        if type(index).__name__ == "RangeDefinition":
            chosen: Any = self._slice(index, size)
        else:
            chosen = self.value(index)
        if isinstance(chosen, Formula):
            raise _needs_number(node, "an index", chosen)
        if not isinstance(chosen, int | list | range):
            raise unsupported(f"{at(node)}an index that depends on a measurement is not supported")
        places = [chosen] if isinstance(chosen, int) else chosen
        # Of a range, which may be of any length, the ends say it all.
        for place in (places[:1], places[-1:]) if isinstance(places, range) else (places,):
            _check_places(node, place, size)
        if len(places) > 1:
            self._select(node, len(places))
        picked = tuple(value.indices[place] for place in places)
        return type(value)(picked, is_register=not isinstance(chosen, int))

    def _slice(self, node: Any, size: int) -> range:
        step = 1 if node.step is None else self.integer(node.step)
        first, last = (0, size - 1) if step > 0 else (size - 1, 0)
        start = first if node.start is None else self.integer(node.start)
        end = last if node.end is None else self.integer(node.end)
        start, end = (place + size if place < 0 else place for place in (start, end))
        return range(start, end + (1 if step > 0 else -1), step)


def _check_places(node: Any, places: Sequence[int], size: int) -> None:
    for place in places:
        if not -size <= place < size:
            text = f"index {place}" if abs(place) < 10**12 else "an index"
            fail(node, f"{text} is out of range; there are {size}")


def type_name(node: Any) -> str:
    """What a type is called in OpenQASM: "int" for an "IntType"."""
    return type(node).__name__.removesuffix("Type").removesuffix("Reference").lower()


def _needs_number(node: Any, what: str, formula: Formula) -> SimulationError:
    return needs_number(at(node) + what, formula)


#: Takes as many operands, where it is not one.
_TWO_OPERANDS: Final = frozenset({"+", "-", "*", "/", "%", "**", "mod"})


def _applied(node: Any, function: str, what: str, operands: Sequence[Value]) -> Formula:
    """A function of values one of which is a formula."""
    formula = next(each for each in operands if isinstance(each, Formula))
    if function not in FUNCTIONS:
        raise _needs_number(node, what, formula)
    if not all(isinstance(each, int | float | Formula) for each in operands):
        raise unsupported(f"{at(node)}{what} of an input and classical bits is not supported")
    if len(operands) != (2 if function in _TWO_OPERANDS else 1):
        fail(node, f"{what} does not take {len(operands)} arguments")
    return Applied(function, tuple(operands))


def as_expression(node: Any, value: Value) -> Expression:
    """A value in the form that is computed during the run."""
    if isinstance(value, Formula):
        raise _needs_number(node, "a condition or a variable", value)
    if isinstance(value, Clbits):
        return value.expression
    if isinstance(value, Bits | Constant | Operation):
        return value
    if isinstance(value, int):
        if value < 0:
            raise unsupported(f"{at(node)}negative numbers are not supported in conditions")
        return Constant(int(value))
    raise unsupported(f"{at(node)}this is not supported in a condition")


def any_of(value: Expression, numbers: Sequence[int]) -> Expression:
    """Whether a value is one of some numbers, of which there is at least one."""
    tests: list[Expression] = [Operation("==", (value, Constant(each))) for each in numbers]
    found = tests[0]
    for test in tests[1:]:
        found = Operation("||", (found, test))
    return found
