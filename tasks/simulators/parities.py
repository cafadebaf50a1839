"""Classical bits as parities of measurements.

A stabilizer simulator runs many shots at once as long as every classical bit
is an exclusive or of measurements, and every condition too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final, TypeAlias

from tasks.circuit import OPERATORS, Bits, Constant, Expression

#: The measurements whose exclusive or a bit is, by their number from 0; `_TRUE`
#: stands for one that is always 1.
Parity: TypeAlias = frozenset[int]

_TRUE: Final = -1
ZERO: Final[Parity] = frozenset()
ONE: Final[Parity] = frozenset({_TRUE})


def of_record(number: int) -> Parity:
    """The bit that a measurement gives."""
    return frozenset({number})


def parts(parity: Parity) -> tuple[list[int], bool]:
    """The measurements in a parity, ascending, and whether their exclusive or is negated."""
    return sorted(parity - ONE), _TRUE in parity


def truth(bits: Sequence[Parity]) -> Parity | None:
    """Whether any of some bits is 1; None if that is no parity."""
    distinct = set(bits) - {ZERO}
    if ONE in distinct or any(each ^ ONE in distinct for each in distinct):
        return ONE
    if len(distinct) > 1:
        return None
    return distinct.pop() if distinct else ZERO


def evaluate(expression: Expression, bits: Mapping[int, Parity]) -> Sequence[Parity] | None:
    """The value of an expression, from its lowest bit on.

    Args:
        expression: What to evaluate.
        bits: The classical bits that were written.

    Returns:
        A parity for each bit, or None if one is none.
    """
    if isinstance(expression, Bits):
        return [bits.get(clbit, ZERO) for clbit in expression.clbits]
    if isinstance(expression, Constant):
        return _constant(expression.number)
    operands = [evaluate(each, bits) for each in expression.operands]
    known = [each for each in operands if each is not None]
    if len(known) < len(operands):
        return None
    numbers = [_number(each) for each in known]
    if None not in numbers:
        return _constant(OPERATORS[expression.operator](*numbers))
    return _combine(expression.operator, known)


def _combine(operator: str, operands: Sequence[Sequence[Parity]]) -> Sequence[Parity] | None:
    if operator in ("!", "==", "!="):
        found = truth(list(_differences(operands)))
        if found is None:
            return None
        return [found if operator == "!=" else found ^ ONE]
    if operator == "^":
        return list(_differences(operands))
    if operator == "&&":
        return _both(*(truth(each) for each in operands))
    if operator == "||":
        negated = [truth(each) for each in operands]
        found_not = _both(*(None if each is None else each ^ ONE for each in negated))
        return None if found_not is None else [found_not[0] ^ ONE]
    if operator == "&":
        pairs = zip_longest(*operands, fillvalue=ZERO)
        both = [_both(*pair) for pair in pairs]
        return None if None in both else [each[0] for each in both if each is not None]
    return None


def _differences(operands: Sequence[Sequence[Parity]]) -> Iterator[Parity]:
    """The exclusive or of all operands, bit by bit."""
    for each in zip_longest(*operands, fillvalue=ZERO):
        found = ZERO
        for parity in each:
            found ^= parity
        yield found


def _both(one: Parity | None, other: Parity | None) -> list[Parity] | None:
    """The product of two bits, where it is a parity."""
    if ZERO in (one, other):
        return [ZERO]
    if one is None or other is None:
        return None
    if one in (ONE, other):
        return [other]
    if other == ONE:
        return [one]
    return [ZERO] if one ^ other == ONE else None


def _number(bits: Sequence[Parity]) -> int | None:
    if any(each not in (ZERO, ONE) for each in bits):
        return None
    return sum(1 << place for place, each in enumerate(bits) if each == ONE)


def _constant(number: int) -> list[Parity]:
    return [ONE if number >> place & 1 else ZERO for place in range(number.bit_length())]
