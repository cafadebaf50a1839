"""No line of any process has a program, or what else a caller wrote."""

from __future__ import annotations

import json
from typing import Final

import pytest

from qdispatch import Client
from qdispatch.circuits import CustomCircuit
from qdispatch.errors import JobFailedError
from tests.e2e.circuits import OPENQASM2
from tests.e2e.conftest import IN_JSON
from tests.e2e.stack import Stack
from tests.services.process import wait_until

CANARY: Final = "c4n4ry"


@pytest.mark.parametrize("target", ["aer", "cirq"])
def test_no_line_has_what_a_caller_wrote(client: Client, stack: Stack, target: str) -> None:
    text = f"{CANARY}\nINFO job {CANARY}: finished"
    circuit = CustomCircuit(
        program=OPENQASM2 + f"{CANARY} q[0];",
        program_format="openqasm2",
        n_qubits=3,
        depth=2,
        framework=text,
    )
    job = client.submit(circuit, target=target, shots=10, tags=[text], extra={CANARY: text})
    # Its owner is told which word it is.
    with pytest.raises(JobFailedError, match=CANARY):
        job.result(timeout_s=60)
    # Its end is noted before it is told to the log.
    line = f"job {job.id}: failed (program_invalid)"
    assert wait_until(lambda: line in (stack.folder / f"{target}.log").read_text(), 30)
    for path in stack.folder.glob("*.log"):
        log = path.read_text()
        assert CANARY not in log, path
        if path.stem in IN_JSON:
            assert all(json.loads(each)["event"] for each in log.splitlines())
    assert job.id in (stack.folder / "server.log").read_text()
