"""OpenQASM files: their language, how many qubits they have, and how deep they are.

The server parses a program; here it is only looked at, because a job says
beforehand how many qubits it has. What cannot be told at a look is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias

from qdispatch.circuits.custom import CustomCircuit
from qdispatch.circuits.form import longest_path
from qdispatch.cli.exits import InputError
from qdispatch.model import ProgramFormat

# The qubits and bits of one operation, each a register's name and an index.
_Touched: TypeAlias = list[tuple[str, int]]

# Text in quotes is kept whole: a path in an include may have slashes.
_COMMENT: Final = re.compile(r'("[^"\n]*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_VERSION: Final = re.compile(r"\s*OPENQASM\s+(\d+)(?:\.\d+)?\s*;")
_CONSTANT: Final = re.compile(r"\bconst\s+u?int(?:\s*\[\s*\d+\s*\])?\s+(\w+)\s*=\s*(\d+)\s*;")
_OLD: Final = re.compile(r"\bqreg\s+(?P<name>\w+)\s*(?:\[\s*(?P<size>[^\]]*?)\s*\])?\s*;")
_NEW: Final = re.compile(r"\bqubit\s*(?:\[\s*(?P<size>[^\]]*?)\s*\])?\s+(?P<name>\w+)\s*;")
_INPUT: Final = re.compile(r"\binput\s+\w+(?:\s*\[[^\]]*\])?\s+(\w+)\s*;")
_PHYSICAL: Final = re.compile(r"\$(\d+)")
_DEFINITION: Final = re.compile(r"\bgate\s+[^{;]*\{[^{}]*\}")
_OPERAND: Final = re.compile(r"(\$\d+|\b[A-Za-z_]\w*)\s*(?:\[\s*(\d+)\s*\])?")
_ANGLES: Final = re.compile(r"\([^()]*\)")
_NO_OPERATIONS: Final = re.compile(
    r"(OPENQASM|include|qreg|creg|qubit|bit|input|output|const|opaque|barrier|pragma|gphase)\b|$"
)
# Reading more than this for a mere figure would keep the user waiting.
_MOST_CHARACTERS: Final = 2_000_000
_MOST_TOUCHED: Final = 5_000_000
# Nobody's register is as large as a number of more digits.
_MOST_DIGITS: Final = 9


def read_program(text: str, *, n_qubits: int | None = None) -> CustomCircuit:
    """A program as a circuit.

    Args:
        text: OpenQASM 2 or 3.
        n_qubits: Its qubits, if the user says how many.

    Raises:
        InputError: It has no header, or its qubits cannot be counted.
    """
    plain = _COMMENT.sub(lambda match: match[1] or " ", text)
    version = _VERSION.match(plain.removeprefix("\ufeff"))
    if version is None or version[1] not in ("2", "3"):
        raise InputError("does not begin with OPENQASM 2.0; or OPENQASM 3.0;")
    registers = _registers(plain)
    counted = n_qubits if n_qubits is not None else _count(plain, registers)
    return CustomCircuit(
        program=text.removeprefix("\ufeff"),
        program_format=ProgramFormat.OPENQASM2 if version[1] == "2" else ProgramFormat.OPENQASM3,
        n_qubits=counted,
        depth=_depth(plain, registers),
        framework="openqasm",
        parameters=tuple(match[1] for match in _INPUT.finditer(plain)) if version[1] == "3" else (),
    )


def _registers(plain: str) -> dict[str, int]:
    """Quantum register -> size; 0 where it cannot be told."""
    constants = {match[1]: _number(match[2]) for match in _CONSTANT.finditer(plain)}
    sizes = {}
    for match in chain(_OLD.finditer(plain), _NEW.finditer(plain)):
        size = match["size"]
        sizes[match["name"]] = (
            1 if size is None else _number(size) if size.isdecimal() else constants.get(size, 0)
        )
    return sizes


def _count(plain: str, registers: dict[str, int]) -> int:
    physical = max((_number(match[1]) + 1 for match in _PHYSICAL.finditer(plain)), default=0)
    unknown = [name for name, size in registers.items() if not size]
    if unknown:
        raise InputError(f"cannot tell the size of {unknown[0]}; say --qubits, for all of it")
    if not registers and not physical:
        raise InputError("declares no qubits (qreg, qubit); if it does, say --qubits")
    return sum(registers.values()) or physical


def _depth(plain: str, registers: dict[str, int]) -> int:
    """The depth of a program that is a list of operations; 0, unknown, of any other."""
    body = _DEFINITION.sub(" ", plain)
    if len(body) > _MOST_CHARACTERS or "{" in body or not all(registers.values()):
        return 0
    sizes = registers | {
        match[1]: _number(match[2] or "1")
        for match in re.finditer(r"\bcreg\s+(\w+)\s*\[\s*(\d+)\s*\]", body)
    }
    sizes |= {
        match[2]: _number(match[1] or "1")
        for match in re.finditer(r"\bbit\s*(?:\[\s*(\d+)\s*\])?\s+(\w+)", body)
    }
    statements = (each.strip() for each in body.split(";"))
    operations = (each for each in statements if not _NO_OPERATIONS.match(each))
    try:
        return longest_path(_all_touched(operations, sizes))
    except _TooManyError:
        return 0


class _TooManyError(Exception):
    """More is done to qubits than a mere figure is worth."""


def _all_touched(statements: Iterable[str], sizes: dict[str, int]) -> Iterator[_Touched]:
    """The qubits and bits of each operation of all statements."""
    number = 0
    for statement in statements:
        operands = _operands(statement, sizes)
        width = max((sizes.get(name, 1) for name, index in operands if index is None), default=1)
        # Before any is gone through: a register may be of any size.
        number += width
        if number > _MOST_TOUCHED:
            raise _TooManyError
        for k in range(width):
            # Registers are gone through together, single qubits stand still.
            yield [(name, k if index is None else index) for name, index in operands]


def _number(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise InputError(f"has a number of {len(digits)} digits where it declares or names qubits")
    return int(digits)


def _operands(statement: str, sizes: dict[str, int]) -> list[tuple[str, int | None]]:
    """The qubits and bits that a statement names; without an index, the whole register."""
    bare = statement
    while _ANGLES.search(bare):
        bare = _ANGLES.sub(" ", bare)
    return [
        (match[1], None if match[2] is None else _number(match[2]))
        for match in _OPERAND.finditer(bare)
        if match[1] in sizes or match[1].startswith("$")
    ]
