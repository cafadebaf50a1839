"""What processes import, and what they leave alone: time at every start, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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


_OF_PROCESSES = """
import os, sys
from app.forked import share
from app.up import SHARED
share(SHARED)
print(len(os.listdir("/proc/self/task")))
shared = set(sys.modules)
import rpc.__main__, tasks.__main__, tasks.sweep
mine = ("app", "qdispatch", "rpc", "tasks")
print(*sorted({name.partition(".")[0] for name in set(sys.modules) - shared} - {*mine}))
print(*(name for name in ("alembic", "flower", "prompt_toolkit", "redis", "numpy", "qiskit")
        if name in sys.modules))
"""


def test_the_processes_of_the_service_share_their_imports_and_have_no_others(
    tmp_path: Path,
) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _OF_PROCESSES],
        cwd=PROJECT,
        env=os.environ | {"QDISPATCH_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    threads, not_shared, needless = ran.stdout.splitlines()
    # It is forked.
    assert threads == "1"
    # What reads the settings, which each does for itself.
    assert not_shared == "tomllib"
    assert needless == ""
