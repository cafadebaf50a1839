"""What processes import, and what they leave alone: time at every start, and memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.stack import PROJECT

_SIMULATE = """
import sys
from qdispatch.model import ProgramFormat, ResultType
from tasks import simulators
from tasks.parse import parse
from tasks.postponed import is_postponed
simulator = simulators.load({name!r}, postponing=True)
text = "OPENQASM 3.0; include 'stdgates.inc'; qubit[2] q; h q[0]; rx(0.3) q[1]; cx q[0], q[1];"
circuit = parse(text, ProgramFormat.OPENQASM3, max_qubits=2)
request = simulators.Request(
    result_types=(ResultType.PROBABILITIES, ResultType.STATEVECTOR),
    shots=0, seed=1,
)
print(len(simulator.simulate(circuit, request).results), "results")
print(*(name for name in {names} if is_postponed(name)))
"""


@pytest.mark.parametrize(
    ("name", "postponed"),
    [("cirq", "matplotlib matplotlib.pyplot"), ("pennylane", "matplotlib cirq")],
    ids=["cirq", "pennylane"],
)
def test_an_engine_never_runs_what_its_sdk_draws_and_converts_with(
    name: str, postponed: str
) -> None:
    code = _SIMULATE.format(name=name, names=postponed.split())
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["2 results", postponed]
