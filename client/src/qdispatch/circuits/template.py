"""Programs that differ in nothing but angles, as one program with parameters.

It works on the texts that `qdispatch.circuits.writer` makes, one statement a
line. A number is never computed with: what a program says is what its point of
the sweep says, to the last bit.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from qdispatch.circuits.writer import DEFINITIONS

_CALL: Final = re.compile(r"^\w+\(([^()\n]+)\)", re.MULTILINE)
_NUMBER: Final = re.compile(r"(?:(?<=\()|(?<=, ))-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?=[,)])")
_OPENQASM2: Final = 'OPENQASM 2.0;\ninclude "qelib1.inc";\n'
_OPENQASM3: Final = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
_REGISTER: Final = re.compile(r"^([qc])reg (\w+)\[(\d+)\];", re.MULTILINE)
_QUBITS: Final = re.compile(r"^qubit\[", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Dissected:
    """A program taken apart; programs with the same ``frame`` differ only in angles."""

    frame: tuple[str, ...]
    """What stands before, between and behind the angles."""
    angles: tuple[str, ...]
    """The numbers, as they are written; one fewer than the pieces of the frame."""


@dataclass(frozen=True, kw_only=True)
class Template:
    """A program with parameters, and the values that give back each of some programs.

    If those are all the same, there are no parameters.
    """

    program: str
    """In OpenQASM 3."""
    parameters: tuple[str, ...]
    """Its ``input`` variables."""
    values: tuple[tuple[float, ...], ...]
    """Of each program, the value of each parameter."""


def dissect(program: str) -> Dissected:
    """Takes the angles of gates out of a program."""
    frame, angles, end = [], [], 0
    for call in _CALL.finditer(program):
        # The brackets belong to it, as what a number may stand next to.
        for found in _NUMBER.finditer(program, call.start(1) - 1, call.end(1) + 1):
            frame.append(program[end : found.start()])
            angles.append(found[0])
            end = found.end()
    return Dissected(frame=(*frame, program[end:]), angles=tuple(angles))


def merge(programs: Sequence[Dissected]) -> Template:
    """One program for all of some that have the same frame.

    Angles that differ become parameters, those that always agree with each
    other the same one; the others stay as they are.

    Args:
        programs: One or more.
    """
    frame = programs[0].frame
    prefix = _free_prefix("".join(frame))
    names: dict[tuple[str, ...], str] = {}
    shown: list[str] = []
    for column in zip(*(each.angles for each in programs), strict=True):
        if len(set(column)) == 1:
            shown.append(column[0])
        else:
            shown.append(names.setdefault(column, f"{prefix}{len(names)}"))
    pieces = itertools.chain.from_iterable(zip(frame, [*shown, ""], strict=True))
    rows = zip(*names, strict=True) if names else itertools.repeat((), len(programs))
    return Template(
        program=_with_inputs("".join(pieces), names.values()),
        parameters=tuple(names.values()),
        values=tuple(tuple(map(float, row)) for row in rows),
    )


def _free_prefix(text: str) -> str:
    prefix = "p"
    while re.search(rf"\b{prefix}\d", text):
        prefix += "p"
    return prefix


def _with_inputs(program: str, names: Iterable[str]) -> str:
    """The program in OpenQASM 3, with these variables declared."""
    declared = "".join(f"input float[64] {name};\n" for name in names)
    if not program.startswith(_OPENQASM2):
        return _QUBITS.sub(rf"{declared}\g<0>", program, count=1)
    rest = _REGISTER.sub(_new_register, program.removeprefix(_OPENQASM2))
    defined = "".join(
        f"{definition}\n"
        for name, definition in sorted(DEFINITIONS.items())
        if re.search(rf"^{name}\b", rest, re.MULTILINE)
    )
    return f"{_OPENQASM3}{defined}{declared}{rest}"


def _new_register(found: re.Match[str]) -> str:
    kind = "qubit" if found[1] == "q" else "bit"
    return f"{kind}[{found[3]}] {found[2]};"
