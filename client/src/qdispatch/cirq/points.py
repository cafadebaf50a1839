"""A circuit of Cirq at some values of its symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cirq
import sympy

from qdispatch.circuits.cirq import describe
from qdispatch.circuits.form import CircuitForm
from qdispatch.errors import CircuitError


@dataclass(frozen=True, kw_only=True)
class Points:
    """A circuit at each of its points: as one sweep, or as one circuit for each."""

    resolvers: tuple[Any, ...]
    """A ``cirq.ParamResolver`` for each point."""
    forms: tuple[CircuitForm, ...]
    """The one of a sweep, or one for each point."""
    values: tuple[tuple[float, ...], ...] = ()
    """Of a sweep: at each point, the value of each of the form's parameters."""

    def form(self, index: int) -> CircuitForm:
        """The form that a point belongs to."""
        return self.forms[0 if self.values else index]


def points_of(program: Any, params: Any) -> Points:
    """A circuit at each point of a ``cirq.Sweepable``.

    It is a sweep if there is more than one point, all values are real, and
    the circuit can be carried with its symbols.

    Raises:
        ValueError: A symbol has no value at some point.
        CircuitError: The circuit cannot be carried.
    """
    resolvers = tuple(cirq.to_resolvers(params))
    if not cirq.is_parameterized(program):
        form = describe(program, leave_inverted=True)
        return Points(resolvers=resolvers, forms=(form,) * len(resolvers))
    if len(resolvers) > 1:
        sweep = _sweep(program, resolvers)
        if sweep is not None:
            return sweep
    bound = [cirq.resolve_parameters(program, each) for each in resolvers]
    return Points(resolvers=resolvers, forms=tuple(map(_described, bound)))


def _described(bound: Any) -> CircuitForm:
    missing = sorted(cirq.parameter_names(bound))
    if missing:
        raise ValueError(
            f"Circuit contains symbols that have no value in the sweep: {', '.join(missing)}"
        )
    return describe(bound, leave_inverted=True)


def _sweep(program: Any, resolvers: Sequence[Any]) -> Points | None:
    try:
        form = describe(program, parametric=True, leave_inverted=True)
    except CircuitError:
        # With values in place of the symbols there may be a way.
        return None
    symbol_of = {
        variable: sympy.Symbol(name)
        for name, variable in form.parameter_of.items()
        if isinstance(name, str)
    }
    symbols = [symbol_of[variable] for variable in form.parameters]
    values = [_real_values(resolver, symbols) for resolver in resolvers]
    real = tuple(each for each in values if each is not None)
    if not symbols or len(real) < len(resolvers):
        return None
    return Points(resolvers=tuple(resolvers), forms=(form,), values=real)


def _real_values(resolver: Any, symbols: Sequence[Any]) -> tuple[float, ...] | None:
    try:
        numbers = [complex(resolver.value_of(each)) for each in symbols]
    except TypeError:
        # A symbol without a value stays a symbol.
        return None
    sound = all(each.imag == 0 and math.isfinite(each.real) for each in numbers)
    return tuple(each.real for each in numbers) if sound else None
