"""Parameter expressions of Qiskit as expressions of OpenQASM 3.

They are read through ``ParameterExpression.sympify``, Qiskit's public form of
them. Every number is written as a real one, with all its digits: whole
numbers would divide as whole numbers in OpenQASM 3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from qiskit.circuit import ParameterExpression

from qdispatch.circuits.writer import Angle, Expression, number
from qdispatch.errors import CircuitError

#: Function of SymPy -> OpenQASM 3, specification "Built-in constants and functions".
_FUNCTIONS: Final[Mapping[str, str]] = {
    "sin": "sin", "cos": "cos", "tan": "tan",
    "asin": "arcsin", "acos": "arccos", "atan": "arctan", "exp": "exp", "log": "log",
}  # fmt: skip


def angle(value: Any, inputs: Mapping[str, str], gate: str) -> Angle:
    """A parameter of a gate, as the writer takes it.

    Args:
        value: A number, or an expression of parameters.
        inputs: Parameter -> its name in the program.
        gate: Name of the gate, for the error.

    Raises:
        CircuitError: It is not real, or OpenQASM 3 has no such function.
    """
    if isinstance(value, ParameterExpression) and value.parameters:
        if value.is_symbol():
            return Expression(inputs[next(iter(value.parameters)).name])
        return Expression(_Printer(inputs, value, gate).text(value.sympify()))
    try:
        return float(value)
    except TypeError as error:
        raise CircuitError(
            f"gate '{gate}' has the parameter {value}; a real number is needed", gate=gate
        ) from error


class _Printer:
    """Writes one expression."""

    def __init__(self, inputs: Mapping[str, str], whole: Any, gate: str) -> None:
        self._inputs = inputs
        self._whole = whole
        self._gate = gate

    def text(self, node: Any) -> str:
        """A node; in parentheses if it is more than a name or a call."""
        if getattr(node, "is_Symbol", False):
            return self._inputs[node.name]
        if getattr(node, "is_Rational", False):
            return _quotient([number(node.p, self._gate)], [number(node.q)] if node.q != 1 else [])
        if getattr(node, "is_number", False) and node.is_real:
            text = number(node, self._gate)
            return f"({text})" if text.startswith("-") else text
        name = type(node).__name__
        if name == "Add":
            return f"({' + '.join(map(self.text, node.args))})"
        if name == "Mul":
            return self._product(node.args)
        if name == "Pow":
            return self._power(*node.args)
        if name in _FUNCTIONS:
            return f"{_FUNCTIONS[name]}({self.text(node.args[0])})"
        if name == "conjugate":
            # All parameters are real.
            return self.text(node.args[0])
        if name == "Abs":
            return f"sqrt({self.text(node.args[0])} ** 2.0)"
        if name == "sign":
            # Inputs take part in no comparison. The small number gives 0 its sign, 0.
            inner = self.text(node.args[0])
            return f"({inner} / sqrt({inner} ** 2.0 + 1e-300))"
        raise CircuitError(
            f"gate '{self._gate}' has the parameter {self._whole}, which OpenQASM 3 cannot say; "
            "bind it, or put a parameter of its own in its place",
            gate=self._gate,
        )

    def _product(self, factors: Any) -> str:
        above: list[str] = []
        below: list[str] = []
        for each in factors:
            if each.is_Rational:
                above += [number(each.p)] if each.p != 1 else []
                below += [number(each.q)] if each.q != 1 else []
            elif each.is_Pow and each.exp == -1:
                below.append(self.text(each.base))
            else:
                above.append(self.text(each))
        return _quotient(above, below)

    def _power(self, base: Any, exponent: Any) -> str:
        if exponent == -1:
            return _quotient([], [self.text(base)])
        return f"({self.text(base)} ** {self.text(exponent)})"


def _quotient(above: list[str], below: list[str]) -> str:
    text = " * ".join(above) or "1.0"
    for each in below:
        text = f"{text} / {each}"
    return f"({text})"
