"""Formulas: what they compute, how they are compared, and how long they may be."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from tasks.formula import FUNCTIONS, Applied, Formula, Input, evaluate, parts, total

A, B = Input("a"), Input("b")
VALUES = {"a": np.array([0.25, -2.0, 3.0]), "b": np.array([0.5, 3.0, 2.0])}


@pytest.mark.parametrize(
    ("formula", "calculate"),
    [
        (A + B, lambda a, b: a + b),
        (1 - A * 2, lambda a, b: 1 - a * 2),
        (1 / B - A / 4, lambda a, b: 1 / b - a / 4),
        (-(A**B) + 2**B, lambda a, b: -(a**b) + 2**b if a > 0 or b == 3 else math.nan),
        (3 + (A - 1) - (2 - B), lambda a, b: 3 + (a - 1) - (2 - b)),
        (Applied("mod", (A, 2)), lambda a, b: a % 2),
        (Applied("sin", (Applied("arctan", (A,)),)), lambda a, b: math.sin(math.atan(a))),
        (total(0.5, [A, B, A]), lambda a, b: 0.5 + a + b + a),
    ],
    ids=["add", "scale", "divide", "power", "subtract", "mod", "functions", "sum"],
)
def test_a_formula_calculates_like_numbers(
    formula: Formula, calculate: Callable[[float, float], float]
) -> None:
    expected = [calculate(a, b) for a, b in zip(VALUES["a"], VALUES["b"], strict=True)]
    found = formula.values(VALUES)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@pytest.mark.parametrize(
    "name", sorted(name for name in FUNCTIONS if name.isalpha() and name != "mod")
)
def test_every_function_is_that_of_the_language(name: str) -> None:
    known = {"arcsin": "asin", "arccos": "acos", "arctan": "atan", "ceiling": "ceil"}
    other: Callable[[float], float] = {
        "minus": lambda value: -value,
        "sum": lambda value: value,
    }.get(name) or getattr(math, known.get(name, name))
    (found,) = Applied(name, (A,)).values({"a": np.array([0.7])})
    assert found == pytest.approx(other(0.7), rel=1e-15)


def test_where_a_formula_is_not_defined_it_is_not_finite() -> None:
    inputs = {"a": np.array([0.0, -1.0, 1.0])}
    for formula, defined in (
        (1 / A, [False, True, True]),
        (Applied("log", (A,)), [False, False, True]),
        (Applied("exp", (A * 1e9,)), [True, True, False]),
    ):
        assert np.isfinite(formula.values(inputs)).tolist() == defined


def test_formulas_are_the_same_if_they_look_the_same() -> None:
    assert 2 * Input("a") + 1 == 2 * A + 1
    assert len({2 * A, 2.0 * A, A * 2, 2 * B}) == 3
    assert A != "a"
    assert (A - B).names() == ["a", "b"]
    assert repr(A - B) == "<formula in a, b>"


def test_what_formulas_share_is_computed_once() -> None:
    first: Formula = A
    second: Formula = Input("a")
    for _ in range(2000):
        first, second = first + first, second + second
    # 2**2000 terms, and as deep as no recursion goes.
    assert first == second
    assert len(list(parts([first, second]))) == 2001
    (found,) = evaluate([first], {"a": np.array([2.0**-2000 * 0])})
    assert found.tolist() == [0.0]


def test_a_sum_without_formulas_is_a_number() -> None:
    assert total(0.5, []) == 0.5
