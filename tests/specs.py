"""A job that every test may submit, in the client's vocabulary alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from qdispatch.model import JobSpec, ProgramFormat

BELL: Final = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0],q[1];
measure q -> c;
"""

_SPEC: Final = JobSpec(
    program=BELL,
    program_format=ProgramFormat.OPENQASM2,
    framework="custom",
    n_qubits=2,
    depth=3,
    target="aer",
    shots=100,
)


def bell(**changes: Any) -> JobSpec:
    """A job that everybody accepts, but for the changes."""
    return replace(_SPEC, **changes)
