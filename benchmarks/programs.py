"""The circuits that are run, as OpenQASM text."""

from __future__ import annotations

import os
from itertools import count
from typing import Final

from qdispatch import CustomCircuit

#: The small job of most rows.
BELL: Final = (
    'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[2];\ncreg c[2];\n'
    "h q[0];\ncx q[0],q[1];\nmeasure q -> c;\n"
)
#: Of a small job.
SHOTS: Final = 1000

_numbers = count()


def custom(program: str, n_qubits: int, *, depth: int = 1) -> CustomCircuit:
    """A program of OpenQASM 2 as the client takes it.

    Args:
        program: The text.
        n_qubits: How many qubits it declares.
        depth: Its longest path, in operations.
    """
    return CustomCircuit(
        program=program,
        program_format="openqasm2",
        n_qubits=n_qubits,
        depth=depth,
        framework="benchmark",
    )


def bell() -> CustomCircuit:
    """The Bell circuit, measured; whoever runs it again and again may keep what it has parsed."""
    return custom(BELL, 2, depth=3)


def fresh(program: str) -> str:
    """The same program as a text that nobody has seen before.

    For programs that a baseline parses: nobody is to be helped by having parsed it before.

    Args:
        program: OpenQASM.
    """
    return f"{program}// {os.getpid()}.{next(_numbers)}\n"
