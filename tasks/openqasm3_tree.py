"""OpenQASM 3 text to a syntax tree.

The reference parser takes about half a millisecond for a gate. Programs are
mostly gates and measurements, one to a line or several, after a few declarations; so
these are read by regular expressions, and the reference parser gets what is between
them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from functools import cache, lru_cache
from io import StringIO
from typing import Any, Final

from tasks.lowering import invalid
from tasks.openqasm3_values import CONSTANTS

_OPERAND: Final = r"(?:[A-Za-z_]\w*(?:\[\d+\])?)"
_GATE: Final = re.compile(
    rf"\s*(?P<name>[A-Za-z_]\w*)\s*(?:\((?P<params>[^()]*)\))?\s+"
    rf"(?P<qubits>{_OPERAND}(?:\s*,\s*{_OPERAND})*)\s*;\s*"
)
_MEASUREMENT: Final = re.compile(
    rf"\s*(?P<target>{_OPERAND})\s*=\s*measure\s+(?P<qubit>{_OPERAND})\s*;\s*"
)
_VERSION: Final = re.compile(r"\s*OPENQASM\s+3(?:\.\d+)?\s*;\s*")
_INCLUDE: Final = re.compile(r"\s*include\s*\"(?P<file>[\w.]+)\"\s*;\s*")
_REGISTER: Final = re.compile(
    r"\s*(?P<kind>qubit|bit)(?:\s*\[\s*(?P<size>\d+)\s*\]\s*|\s+)(?P<name>[A-Za-z_]\w*)\s*;\s*"
)
_BARRIER: Final = re.compile(rf"\s*barrier(?:\s+{_OPERAND}(?:\s*,\s*{_OPERAND})*)?\s*;\s*")
_FACTOR: Final = r"(?:pi|\d+\.\d*(?:[eE][-+]?\d+)?|\d+[eE][-+]?\d+)"
_PARAM: Final = re.compile(rf"\s*(-?)\s*({_FACTOR}|\d+)\s*(?:([*/])\s*({_FACTOR}|\d+)\s*)?")
#: A variable, maybe scaled and shifted: -2*theta/3 + pi.
_AFFINE: Final = re.compile(
    rf"\s*(?P<minus>-?)\s*(?:(?P<factor>{_FACTOR}|\d+)\s*\*\s*)?(?P<name>[A-Za-z_]\w*)\s*"
    rf"(?:(?P<scale>[*/])\s*(?P<by>{_FACTOR}|\d+)\s*)?"
    rf"(?:(?P<shift>[-+])\s*(?P<offset>{_FACTOR}|\d+)\s*)?"
)
#: Longer lines are left to the reference parser; expressions are slow on them.
_MAX_LINE: Final = 500
_PLACE: Final = re.compile(r"^line (\d+)")

#: What has a line taken as a whole: blocks, and what ends with its line.
_WHOLE: Final = re.compile(r"[{}@#]|\bpragma\b")
_STATEMENT: Final = re.compile(r"[^;]*;|[^;]+\Z")

#: Words that begin other statements than a gate.
_KEYWORDS: Final = frozenset({
    "OPENQASM", "include", "qubit", "qreg", "bit", "creg", "int", "uint", "float", "angle",
    "bool", "complex", "array", "duration", "stretch", "const", "mutable", "readonly", "input",
    "output", "gate", "opaque", "def", "defcal", "cal", "defcalgrammar", "extern", "let", "if",
    "else", "for", "while", "switch", "case", "default", "in", "return", "break", "continue",
    "end", "measure", "reset", "barrier", "delay", "box", "gphase", "ctrl", "negctrl", "inv",
    "pow", "pragma", "nop",
})  # fmt: skip

#: Words in expressions that are no variables.
_NO_VARIABLES: Final = frozenset({*CONSTANTS, "true", "false"})

#: Statements that are not run, and what they are called in OpenQASM.
UNSUPPORTED: Final = {
    "SubroutineDefinition": "a subroutine (def)",
    "ExternDeclaration": "extern",
    "CalibrationStatement": "cal",
    "CalibrationDefinition": "defcal",
    "CalibrationGrammarDeclaration": "defcalgrammar",
    "BreakStatement": "break",
    "ContinueStatement": "continue",
    "ReturnStatement": "return",
    "ExpressionStatement": "an expression as a statement",
}

#: Statements that change nothing in an ideal simulation.
IDLE: Final = frozenset({"QuantumBarrier", "DelayInstruction", "Pragma", "CalibrationGrammar"})


def tree(text: str) -> list[Any]:
    """The statements of a program as nodes of the reference parser.

    Args:
        text: Without comments.

    Raises:
        SimulationError: PROGRAM_INVALID, with the line.
    """
    statements: list[Any] = []
    for first_line, chunk, node in _pieces(text):
        statements += [node] if node is not None else _parse(chunk, first_line)
    return statements


def _pieces(text: str) -> Iterator[tuple[int, str, Any]]:
    """Simple statements as nodes, and the text between them with its first line from 0."""
    pending: list[str] = []
    start = depth = 0
    begun, complete = False, True
    for number, line in enumerate(text.split("\n")):
        several = not depth and complete and line.count(";") > 1
        for part in _parts(line) if several else (line,):
            if not begun and _VERSION.fullmatch(part):
                # Only what comes before everything else is a version; it is no statement.
                pending, begun, start = [], True, number
                continue
            begun = begun or not (not part or part.isspace())
            if not depth and complete and (node := _simple(part, number + 1)) is not None:
                if pending:
                    yield start, "".join(pending), None
                pending, start = [], number
                yield number, "", node
                continue
            pending.append(part)
            depth += part.count("{") - part.count("}")
            stripped = part.strip()
            complete = stripped.endswith((";", "}")) if stripped else complete
        if pending:
            pending.append("\n")
        else:
            start = number + 1
    if pending:
        yield start, "".join(pending), None


def _parts(line: str) -> Sequence[str]:
    """The statements of a line outside of all blocks, where they can be told apart."""
    return (line,) if _WHOLE.search(line) else _STATEMENT.findall(line)


@cache
def _nodes() -> Any:
    """The kinds of nodes; imported when the first program needs them."""
    from openqasm3 import ast

    return ast


def _parse(text: str, first_line: int) -> list[Any]:
    import openqasm3
    from openqasm3.parser import QASM3ParsingError

    if not text.strip():
        return []
    try:
        # ANTLR's listeners print the program's text to the engine's stderr.
        with redirect_stderr(StringIO()):
            statements = openqasm3.parse(text).statements
    except QASM3ParsingError as error:
        message = _complaint(error)
        raise invalid(_PLACE.sub(lambda m: f"line {int(m[1]) + first_line}", message)) from error
    if first_line:
        for statement in statements:
            _shift(statement, first_line)
    return list(statements)


def _shift(node: Any, lines: int) -> None:
    """Moves the spans of a node, and of all in it, down."""
    if isinstance(node, list | tuple):
        for each in node:
            _shift(each, lines)
    elif hasattr(node, "span"):
        for name, value in vars(node).items():
            if name == "span" and value is not None:
                node.span = type(value)(
                    value.start_line + lines,
                    value.start_column,
                    value.end_line + lines,
                    value.end_column,
                )
            else:
                _shift(value, lines)


def _simple(line: str, number: int) -> Any:
    """The node of a line with one gate or another plain statement, or None for any other."""
    if len(line) > _MAX_LINE:
        return None
    if (found := _GATE.fullmatch(line)) is not None and found["name"] not in _KEYWORDS:
        node = _gate(found)
    elif (found := _MEASUREMENT.fullmatch(line)) is not None:
        measurement = _nodes().QuantumMeasurement(_operand(found["qubit"]))
        node = _nodes().QuantumMeasurementStatement(measurement, _operand(found["target"]))
    else:
        node = _plain(line)
    if node is not None:
        node.span = _nodes().Span(number, 0, number, len(line))
    return node


def _gate(found: re.Match[str]) -> Any:
    params = [_param(each) for each in found["params"].split(",")] if found["params"] else []
    if None in params:
        return None
    qubits = [_operand(each.strip()) for each in found["qubits"].split(",")]
    return _nodes().QuantumGate([], _nodes().Identifier(found["name"]), params, qubits)


def _plain(line: str) -> Any:
    """The node of a line that declares a register, includes a file or is a barrier."""
    ast = _nodes()
    if (found := _REGISTER.fullmatch(line)) is not None:
        name = found["name"]
        if name in _KEYWORDS or name in _NO_VARIABLES:
            return None
        size = found["size"] and ast.IntegerLiteral(int(found["size"]))
        if found["kind"] == "qubit":
            return ast.QubitDeclaration(ast.Identifier(name), size)
        return ast.ClassicalDeclaration(ast.BitType(size), ast.Identifier(name), None)
    if (found := _INCLUDE.fullmatch(line)) is not None:
        return ast.Include(found["file"])
    # What it keeps apart does not matter here.
    return ast.QuantumBarrier([]) if _BARRIER.fullmatch(line) else None


@lru_cache(maxsize=4096)
def _operand(text: str) -> Any:
    ast = _nodes()
    name, bracket, index = text.rstrip("]").partition("[")
    if not bracket:
        return ast.Identifier(name)
    return ast.IndexedIdentifier(ast.Identifier(name), [[ast.IntegerLiteral(int(index))]])


def _param(text: str) -> Any:
    """A number, or a product or quotient of two with pi or a point in it, or an affine form."""
    found = _PARAM.fullmatch(text)
    if found is None:
        return _affine(text)
    minus, first, symbol, second = found.groups()
    if symbol and first.isdigit() and second.isdigit():
        return None  # whole numbers divide differently
    value = _number(first)
    if symbol:
        other = _number(second)
        if symbol == "/" and not other:
            return None
        value = value * other if symbol == "*" else value / other
    return _nodes().FloatLiteral(-value if minus else value)


@lru_cache(maxsize=4096)
def _affine(text: str) -> Any:
    """The node of a variable, scaled and shifted or not, or None for anything else."""
    ast = _nodes()
    found = _AFFINE.fullmatch(text)
    if found is None or found["name"] in _NO_VARIABLES:
        return None
    node: Any = ast.Identifier(found["name"])
    if found["factor"]:
        node = ast.BinaryExpression(ast.BinaryOperator["*"], _literal(found["factor"]), node)
    if found["scale"]:
        operator = ast.BinaryOperator[found["scale"]]
        node = ast.BinaryExpression(operator, node, _literal(found["by"]))
    if found["minus"]:
        node = ast.UnaryExpression(ast.UnaryOperator["-"], node)
    if found["shift"]:
        operator = ast.BinaryOperator[found["shift"]]
        node = ast.BinaryExpression(operator, node, _literal(found["offset"]))
    return node


def _literal(text: str) -> Any:
    ast = _nodes()
    return ast.IntegerLiteral(int(text)) if text.isdigit() else ast.FloatLiteral(_number(text))


def _number(text: str) -> float:
    return math.pi if text == "pi" else float(text)


def _complaint(error: BaseException) -> str:
    message = str(error)
    if message.startswith("L"):
        place, _, rest = message.partition(": ")
        return f"line {place[1:].partition(':')[0]}: {rest}"
    cause: Any = error
    while cause is not None:
        # The parser keeps the offending token deep in the causes.
        for each in (cause, *getattr(cause, "args", ())):
            token = getattr(each, "offendingToken", None)
            if token is not None:
                return f"line {token.line}: syntax error at {token.text!r}"
        cause = cause.__cause__ or cause.__context__
    return message or "syntax error"
