"""OpenQASM 3 text to a syntax tree."""

from __future__ import annotations

from typing import Any

from tasks.lowering import invalid


def tree(text: str) -> Any:
    """The program as the reference parser's tree.

    Raises:
        SimulationError: PROGRAM_INVALID, with the line.
    """
    import openqasm3
    from openqasm3.parser import QASM3ParsingError

    try:
        return openqasm3.parse(text)
    except QASM3ParsingError as error:
        raise invalid(_complaint(error)) from error


def _complaint(error: BaseException) -> str:
    message = str(error)
    if message.startswith("L"):
        place, _, rest = message.partition(": ")
        return f"line {place[1:].partition(':')[0]}: {rest}"
    cause: Any = error
    while cause is not None:
        # The parser keeps the offending token deep in the causes.
        nested = [cause, *(each for each in getattr(cause, "args", ()))]
        for each in nested:
            token = getattr(each, "offendingToken", None)
            if token is not None:
                return f"line {token.line}: syntax error at {token.text!r}"
        cause = cause.__cause__ or cause.__context__
    return message or "syntax error"
