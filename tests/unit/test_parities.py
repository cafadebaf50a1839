"""Classical bits as parities of measurements, held against all values of these."""

from __future__ import annotations

from itertools import product

import pytest

from tasks.circuit import Bits, Constant, Expression, Operation
from tasks.simulators.parities import ONE, ZERO, Parity, evaluate, of_record, parts, truth

A, B, C = Bits((0,)), Bits((1,)), Bits((2,))
#: Bits 0 to 2 are measured, 3 is the parity of 0 and 1, 4 the negation of 0, 5 is 1.
MEASURED = {number: of_record(number) for number in range(3)}
BITS = MEASURED | {3: of_record(0) ^ of_record(1), 4: of_record(0) ^ ONE, 5: ONE}


def op(operator: str, *operands: Expression) -> Operation:
    return Operation(operator, operands)


def of(parity: Parity, records: tuple[int, ...]) -> int:
    measurements, negated = parts(parity)
    return (sum(records[each] for each in measurements) + negated) % 2


def named(expressions: dict[str, Expression]) -> list[object]:
    return [pytest.param(each, id=name) for name, each in expressions.items()]


@pytest.mark.parametrize(
    "expression",
    named(
        {
            "bit": A,
            "register": Bits((0, 1, 2, 3, 9)),
            "xor": op("^", Bits((0, 1)), Bits((2, 4))),
            "not": op("!", A),
            "equal to a number": op("==", Bits((0, 5)), Constant(3)),
            "never equal": op("==", Bits((0, 9)), Constant(2)),
            "equal to a bit": op("==", A, B),
            "not equal": op("!=", op("^", A, B), C),
            "and with a mask": op("&", Bits((0, 1, 2)), Constant(2)),
            "and with itself": op("&&", A, A),
            "and with its negation": op("&&", A, Bits((4,))),
            "or with its negation": op("||", A, Bits((4,))),
            "or with 1": op("||", A, op("==", Bits((0, 1)), Bits((0, 1)))),
            "computed from numbers": op("+", Constant(3), Constant(4)),
        }
    ),
)
def test_what_is_a_parity_is_evaluated_as_one(expression: Expression) -> None:
    found = evaluate(expression, BITS)
    assert found is not None
    for records in product((0, 1), repeat=3):
        values = {clbit: of(parity, records) for clbit, parity in BITS.items()}
        number = sum(of(parity, records) << place for place, parity in enumerate(found))
        assert number == expression.value(values)


@pytest.mark.parametrize(
    "expression",
    named(
        {
            "and": op("&&", A, B),
            "or": op("||", A, B),
            "equal to a number": op("==", Bits((0, 1)), Constant(3)),
            "sum": op("+", A, B),
            "bitwise and": op("&", A, B),
        }
    ),
)
def test_what_is_no_parity_is_none(expression: Expression) -> None:
    assert evaluate(expression, BITS) is None


def test_truth() -> None:
    assert truth([]) == truth([ZERO]) == ZERO
    assert truth([ZERO, of_record(1)]) == of_record(1)
    assert truth([of_record(1), of_record(1) ^ ONE]) == ONE
    assert truth([of_record(1), of_record(2)]) is None
    assert truth([of_record(1), of_record(2), ONE]) == ONE
