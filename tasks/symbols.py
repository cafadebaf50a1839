"""Formulas on their way through Qiskit, which knows how to modify and expand gates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tasks.formula import Formula, Param
from tasks.lowering import needs_number


class Symbols:
    """Stands a parameter of Qiskit in for each formula, and back."""

    def __init__(self) -> None:
        self._parameters: dict[Formula, Any] = {}
        self._formulas: dict[Any, Formula] = {}

    def enter(self, param: Param) -> Any:
        """What Qiskit is given: a number, or a parameter."""
        from qiskit.circuit import Parameter

        if not isinstance(param, Formula):
            return param
        if param not in self._parameters:
            parameter = Parameter(f"formula{len(self._parameters)}")
            self._parameters[param] = parameter
            self._formulas[parameter] = param
        return self._parameters[param]

    def leave(self, expression: Any) -> Param:
        """What Qiskit has made of it: a number, or a formula.

        Gates' definitions scale their parameters and add them up, so a
        gradient that is a number, and the value at zero, tell all.

        Raises:
            TypeError: It is of another form.
        """
        parameters = getattr(expression, "parameters", ())
        if not parameters:
            return float(expression)
        found: Param = float(expression.bind(dict.fromkeys(parameters, 0.0)))
        for parameter in sorted(parameters, key=lambda each: each.name):
            slope = float(expression.gradient(parameter))
            term = self._formulas[parameter]
            scaled = term if slope == 1 else slope * term
            found = scaled if found == 0 else found + scaled
        return found


@contextmanager
def refused(what: str, params: Iterator[Param]) -> Iterator[None]:
    """Refuses what Qiskit cannot do to a gate before its parameters are known.

    Args:
        what: It.
        params: All parameters of the gate.
    """
    from qiskit.exceptions import QiskitError

    try:
        yield
    except (QiskitError, TypeError) as error:
        formula = next((each for each in params if isinstance(each, Formula)), None)
        if formula is None:
            raise
        raise needs_number(what, formula) from error
