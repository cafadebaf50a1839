"""OpenQASM text to the neutral form of a circuit."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import Final

from qdispatch.model import ProgramFormat
from tasks.circuit import Circuit
from tasks.lowering import MAX_CLBITS, drop_idle_resets, invalid, too_many_bits, unsupported
from tasks.simulators import SimulationError

#: How deep parentheses and blocks may nest. Parsers recurse into them.
MAX_NESTING: Final = 100

# What native parsers raise where they end without an error of their own; it can neither
# be imported nor is it an Exception.
_PANIC: Final = "PanicException"

#: How long a chain of operators may be; parsers recurse into these as well.
_CHAIN: Final = re.compile(r"(?:[-+*/^!~][\w.\s]*+){1000}")
#: What may stand between the operators of a chain, as bytes, and operators without it.
_OPERANDS: Final = bytes(
    each for each in range(256) if each > 127 or re.fullmatch(r"[\w.\s]", chr(each))
)
_OPERATORS: Final = re.compile(rb"[-+*/^!~]{1000}")
#: Brackets as steps up and down, in signed bytes, and all that are none.
_STEPS: Final = bytes.maketrans(b"([{)]}", b"\x01\x01\x01\xff\xff\xff")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"()[]{}"))
_COMMENTS: Final = re.compile(r"//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
#: Words are searched for as they are, which is quick, and looked at from behind whether
#: another word ends there.
_REGISTERS: Final = tuple(
    (word[0] == "q", re.compile(rf"{word}(?<!\w{word}){size}"))
    for word, size in (
        ("qreg", r"\s+\w+\s*\[\s*(\d+)\s*\]"),
        ("creg", r"\s+\w+\s*\[\s*(\d+)\s*\]"),
        ("qubit", r"\s*\[\s*(\d+)\s*\]"),
        ("bit", r"\s*\[\s*(\d+)\s*\]"),
    )
)


def warm_up() -> None:
    """Imports the parsers of all formats, which each does by itself at its first use."""
    parse("OPENQASM 2.0; qreg q[1];", ProgramFormat.OPENQASM2, max_qubits=1)
    parse("OPENQASM 3.0; qubit[1] q;", ProgramFormat.OPENQASM3, max_qubits=1)


def parse(program: str, program_format: ProgramFormat, *, max_qubits: int) -> Circuit:
    """Parses a program.

    Args:
        program: The text. Nothing but the language's own gate library can be
            included; no file is opened for it.
        program_format: Its language.
        max_qubits: The most qubits that it may declare.

    Raises:
        SimulationError: PROGRAM_INVALID, with the line where it is known, or
            UNSUPPORTED, with the name of the construct.
    """
    text = _COMMENTS.sub(_blank, program)
    _check_registers(text, max_qubits)
    _check_nesting(text)
    try:
        circuit = _PARSERS[program_format](text, max_qubits)
    except SimulationError:
        raise
    except RecursionError as error:
        raise invalid("the program is nested too deeply") from error
    except ArithmeticError as error:
        text = str(error) or type(error).__name__
        raise invalid(f"the program cannot be computed: {text}") from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # Parsers let such errors through on programs that break a rule.
        raise invalid(f"the program cannot be parsed: {error}") from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        # What it says is about the inside of the parser.
        raise invalid("the program cannot be parsed: the parser gave up on it") from error
    if not circuit.n_qubits:
        raise invalid("the program declares no qubits")
    if circuit.n_qubits > max_qubits:
        raise unsupported(_too_wide(str(circuit.n_qubits), max_qubits))
    return replace(circuit, ops=drop_idle_resets(circuit.ops))


def _blank(comment: re.Match[str]) -> str:
    # Lines keep their numbers.
    return "\n" * comment[0].count("\n") or " "


def _check_registers(text: str, max_qubits: int) -> None:
    """Refuses wide registers before a parser allocates them."""
    sums = {"q": 0, "c": 0}
    for quantum, pattern in _REGISTERS:
        for found in pattern.finditer(text):
            digits = found[1].lstrip("0")
            if len(digits) > 12:
                digits = "9" * 12
            sums["q" if quantum else "c"] += int(digits or 0)
    if sums["q"] > max_qubits:
        raise unsupported(_too_wide(str(sums["q"]), max_qubits))
    if sums["c"] > MAX_CLBITS:
        raise too_many_bits(sums["c"])


def _too_wide(declared: str, max_qubits: int) -> str:
    return f"the program declares {declared} qubits; this target takes at most {max_qubits}"


def _check_nesting(text: str) -> None:
    """Refuses what parsers would recurse into too deeply; a quick look finds most innocent."""
    plain = text.encode(errors="replace")
    steps = memoryview(plain.translate(_STEPS, _NO_BRACKETS)).cast("b")
    if max(accumulate(steps), default=0) > MAX_NESTING:
        raise invalid(f"line {_deepest(text)}: nested more than {MAX_NESTING} deep")
    if _OPERATORS.search(plain.translate(None, _OPERANDS)) is None:
        return
    if (chain := _CHAIN.search(text)) is not None:
        line = text.count("\n", 0, chain.start()) + 1
        raise invalid(f"line {line}: an expression has more than 1000 operators")


def _deepest(text: str) -> int:
    """The line from which a program is nested too deeply."""
    depth = line = 0
    for found in re.finditer(r"[(){}\[\]]", text):
        depth += 1 if found[0] in "({[" else -1
        if depth > MAX_NESTING:
            line = text.count("\n", 0, found.start()) + 1
            break
    return line


def _parse_openqasm2(text: str, _max_qubits: int) -> Circuit:
    from tasks.openqasm2 import read

    return read(text)


def _parse_openqasm3(text: str, max_qubits: int) -> Circuit:
    from tasks.openqasm3 import read

    return read(text, max_qubits)


_PARSERS: Final = {
    ProgramFormat.OPENQASM2: _parse_openqasm2,
    ProgramFormat.OPENQASM3: _parse_openqasm3,
}
