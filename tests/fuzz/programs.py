"""Programs to begin with: all that the repository's own tests and examples have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]
_FOLDERS: Final = ("tests/conformance", "tests/unit", "tests/e2e", "tests/integration", "examples")
_MOST_CHARACTERS: Final = 3_000

#: Of both languages; for mutations, and for the dictionary of a fuzzer.
WORDS: Final = (
    *("OPENQASM 2.0;", "OPENQASM 3.0;", "OPENQASM", 'include "qelib1.inc";', "include"),
    *('include "stdgates.inc";', "qreg", "creg", "qubit", "bit", "gate", "opaque", "measure"),
    *("reset", "barrier", "if", "else", "for", "while", "in", "switch", "case", "default"),
    *("break", "continue", "end", "return", "def", "extern", "const", "input", "output", "let"),
    *("ctrl @", "negctrl @", "inv @", "pow(", "gphase(", "U(", "CX", "cx", "h", "rz(", "ccx"),
    *("int[32]", "uint[8]", "float[64]", "angle[20]", "bool", "complex", "duration", "stretch"),
    *("array[int, 2]", "delay[10ns]", "box", "cal", "defcal", "defcalgrammar", "pragma", "#dim"),
    *("pi", "euler", "tau", "sin(", "arccos(", "sqrt(", "exp(", "popcount(", "rotl(", "mod("),
    *("->", "==", "!=", "<<", ">>", "&&", "||", "**", "++", "+=", "<=", "=", "~", "!", "%", "^"),
    *("q[0]", "c[0]", "$0", "q[0:2]", "{", "}", "[", "]", "(", ")", ";", ",", ":", "@", '"'),
    *("/*", "*/", "//", "\n", "0x1F", "0b101", '"0101"', "1e9", "1e309", "1.5im", "10ns", "9" * 40),
    *("-1", "0", "65537", "4294967296", "18446744073709551616", "true", "false", "\0", "\u03c0"),
)


@cache
def programs(version: int) -> tuple[str, ...]:
    """Programs in a version of OpenQASM, each once."""
    found: dict[str, None] = {}
    for folder in _FOLDERS:
        for path in sorted((_ROOT / folder).glob("*.py")):
            for text in _texts(ast.parse(path.read_text())):
                whole = _whole(text, version)
                if whole is not None:
                    found[whole] = None
    return tuple(found)


def _texts(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _whole(text: str, version: int) -> str | None:
    if ";" not in text or len(text) > _MOST_CHARACTERS:
        return None
    if text.lstrip().startswith("OPENQASM"):
        return text if f"OPENQASM {version}" in text else None
    old = "qreg" in text or "creg" in text
    if not any(word in text for word in ("qreg", "qubit", "gate ", " q[", "bit[")):
        return None
    if old != (version == 2):
        return None
    return (
        f'OPENQASM 2.0;\ninclude "qelib1.inc";\n{text}'
        if old
        else (f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{text}')
    )
