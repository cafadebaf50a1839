"""Control flow of Qiskit's circuits, in the few forms that its parser reads back.

A ``switch`` becomes a chain of ``if``, an expression nested tests of bits; a
``for`` whose body uses its variable is unrolled, so that angles are computed
here and survive; a box is its content.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from qiskit.circuit import (
    CASE_DEFAULT,
    BoxOp,
    BreakLoopOp,
    ClassicalRegister,
    Clbit,
    ContinueLoopOp,
    ForLoopOp,
    IfElseOp,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr, types

from qdispatch.circuits.writer import ProgramWriter
from qdispatch.errors import CircuitError

if TYPE_CHECKING:
    from qdispatch.circuits.qiskit import Emit, Scope

_UNARY: Final[Mapping[str, Callable[[int], int]]] = {
    "BIT_NOT": lambda a: ~a, "LOGIC_NOT": lambda a: int(not a), "NEGATE": lambda a: -a,
}  # fmt: skip

_BINARY: Final[Mapping[str, Callable[[int, int], int]]] = {
    "BIT_AND": lambda a, b: a & b, "BIT_OR": lambda a, b: a | b, "BIT_XOR": lambda a, b: a ^ b,
    "LOGIC_AND": lambda a, b: int(bool(a) and bool(b)),
    "LOGIC_OR": lambda a, b: int(bool(a) or bool(b)),
    "EQUAL": lambda a, b: int(a == b), "NOT_EQUAL": lambda a, b: int(a != b),
    "LESS": lambda a, b: int(a < b), "LESS_EQUAL": lambda a, b: int(a <= b),
    "GREATER": lambda a, b: int(a > b), "GREATER_EQUAL": lambda a, b: int(a >= b),
    "SHIFT_LEFT": lambda a, b: a << b, "SHIFT_RIGHT": lambda a, b: a >> b,
    "ADD": lambda a, b: a + b, "SUB": lambda a, b: a - b, "MUL": lambda a, b: a * b,
}  # fmt: skip


def emit(writer: ProgramWriter, operation: Any, scope: Scope, block: Emit) -> bool:
    """Adds an operation if it is control flow.

    Args:
        writer: Takes the statements.
        operation: Any operation.
        scope: Where its bits are.
        block: Adds a circuit that is bound to a scope.

    Returns:
        Whether it was.

    Raises:
        CircuitError: It cannot be carried; ``gate`` names it.
    """
    if isinstance(operation, IfElseOp):
        bodies = [*operation.blocks, None][:2]
        then, otherwise = (_body(writer, each, scope, block) for each in bodies)
        _if(writer, operation.condition, scope, then, otherwise)
    elif isinstance(operation, SwitchCaseOp):
        cases = [
            (labels, _body(writer, body, scope, block))
            for labels, body in operation.cases_specifier()
        ]
        _switch(writer, operation.target, scope, cases)
    elif isinstance(operation, WhileLoopOp):
        _while(writer, operation, scope, block)
    elif isinstance(operation, ForLoopOp):
        _for(writer, operation, scope, block)
    elif isinstance(operation, BoxOp):
        block(writer, operation.blocks[0], scope)
    elif isinstance(operation, BreakLoopOp | ContinueLoopOp):
        raise CircuitError(
            f"'{operation.name}' cannot be carried, as no target runs it; "
            "end the loop by its condition",
            gate=operation.name,
        )
    else:
        return False
    return True


def _body(writer: ProgramWriter, body: Any, scope: Scope, block: Emit) -> Callable[[], None]:
    return lambda: None if body is None else block(writer, body, scope)


def _lift(condition: Any) -> Any:
    return condition if isinstance(condition, expr.Expr) else expr.lift_legacy_condition(condition)


def _bits(variable: Any, scope: Scope) -> tuple[int, ...]:
    """The bits of a variable, lowest first."""
    if isinstance(variable, Clbit):
        return (scope.clbit_of[variable],)
    if isinstance(variable, ClassicalRegister):
        return tuple(scope.clbit_of[bit] for bit in variable)
    raise CircuitError(
        "a condition looks at a classical variable, which cannot be carried; "
        "use classical registers",
        gate="if_else",
    )


def _value(node: Any, scope: Scope, bits: Mapping[int, int]) -> int:
    if isinstance(node, expr.Value):
        return int(node.value)
    if isinstance(node, expr.Var):
        places = _bits(node.var, scope)
        return sum(bits[clbit] << place for place, clbit in enumerate(places))
    if isinstance(node, expr.Index):
        return _value(node.target, scope, bits) >> _value(node.index, scope, bits) & 1
    if isinstance(node, expr.Cast | expr.Unary):
        result = _value(node.operand, scope, bits)
        result = _UNARY[node.op.name](result) if isinstance(node, expr.Unary) else result
    elif isinstance(node, expr.Binary) and node.op.name in _BINARY:
        left, right = _value(node.left, scope, bits), _value(node.right, scope, bits)
        result = _BINARY[node.op.name](left, right)
    else:
        raise CircuitError(f"a condition cannot be carried: {node}", gate="if_else")
    if isinstance(node.type, types.Uint):
        return result & int((1 << node.type.width) - 1)
    # The bitwise complement of a bool is a bool, too.
    return result & 1 if isinstance(node, expr.Unary) else int(bool(result))


def _equality(node: Any, scope: Scope) -> tuple[tuple[int, ...], int] | None:
    """The bits and the value of a condition that is a plain comparison, else None."""
    if isinstance(node, expr.Var):
        return _bits(node.var, scope), 1
    if isinstance(node, expr.Unary) and node.op.name == "LOGIC_NOT":
        inner = node.operand
        return (_bits(inner.var, scope), 0) if isinstance(inner, expr.Var) else None
    if isinstance(node, expr.Binary) and node.op is expr.Binary.Op.EQUAL:
        pair = (node.left, node.right)
        for variable, value in (pair, pair[::-1]):
            if isinstance(variable, expr.Var) and isinstance(value, expr.Value):
                return _bits(variable.var, scope), int(value.value)
    return None


def _simple(writer: ProgramWriter, condition: Any, scope: Scope) -> str | None:
    """The condition as OpenQASM 3 has it, if it has."""
    equality = _equality(condition, scope)
    if equality is None or equality[1] >> len(equality[0]):
        return None
    return writer.register_is(*equality)


def _if(
    writer: ProgramWriter,
    condition: Any,
    scope: Scope,
    then: Callable[[], None],
    otherwise: Callable[[], None],
) -> None:
    condition = _lift(condition)
    simple = _simple(writer, condition, scope)
    if simple is not None:
        writer.branch(simple, then, otherwise)
        return
    clbits = [bit for variable in expr.iter_vars(condition) for bit in _bits(variable.var, scope)]
    writer.choose(
        clbits,
        lambda bits: bool(_value(condition, scope, bits)),
        then,
        otherwise,
        gate="if_else",
    )


def _switch(
    writer: ProgramWriter,
    target: Any,
    scope: Scope,
    cases: Sequence[tuple[Sequence[Any], Callable[[], None]]],
) -> None:
    """Adds the first case that fits; the cases are tested one after the other."""
    target = expr.lift(target)

    def chain(tests: Sequence[tuple[Any, Callable[[], None]]]) -> None:
        if not tests:
            return
        (label, body), rest = tests[0], tests[1:]
        if label is CASE_DEFAULT:
            body()
            return
        value = expr.lift(label, target.type) if not isinstance(label, expr.Expr) else label
        _if(writer, expr.equal(target, value), scope, body, lambda: chain(rest))

    chain([(label, body) for labels, body in cases for label in labels])


def _while(writer: ProgramWriter, operation: Any, scope: Scope, block: Emit) -> None:
    condition = _simple(writer, _lift(operation.condition), scope)
    if condition is None:
        raise CircuitError(
            "the condition of 'while_loop' must be one bit, or one register compared with a number",
            gate="while_loop",
        )
    writer.loop_while(condition, _body(writer, operation.blocks[0], scope, block))


def _for(writer: ProgramWriter, operation: Any, scope: Scope, block: Emit) -> None:
    values, parameter, body = operation.params
    if not isinstance(values, range):
        values = tuple(values)
    if any(isinstance(each, expr.Expr) for each in (values, parameter)):
        raise CircuitError(
            "the range and the variable of 'for_loop' must be constants", gate="for_loop"
        )
    if parameter is None or parameter not in body.parameters:
        if values:
            writer.loop_for(values, _body(writer, body, scope, block))
        return
    for value in values:
        block(writer, body.assign_parameters({parameter: value}), scope)
