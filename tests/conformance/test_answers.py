"""What an engine refuses around a simulation, whatever the simulator."""

from __future__ import annotations

import json
from multiprocessing import Pipe
from threading import Thread
from typing import Any

import pytest
from conformance_cases import QASM2
from conformance_runs import loaded

from qdispatch.codec import encode_spec
from qdispatch.model import JobSpec, ProgramFormat, ResultType
from tasks.pipe import Limits
from tasks.simulate import serve

PROGRAM = QASM2 + "qreg q[10];creg c[10];h q;measure q->c;"


def answer(
    name: str,
    *,
    n_qubits: int = 10,
    max_result_bytes: int = 2**20,
    kind: ResultType = ResultType.QUASI,
) -> dict[str, Any]:
    """The header of an engine's answer."""
    spec = JobSpec(
        program=PROGRAM,
        program_format=ProgramFormat.OPENQASM2,
        framework="custom",
        n_qubits=n_qubits,
        depth=2,
        target=name,
        result_types=(kind,),
        shots=0,
    )
    limits = Limits(
        threads=1, max_qubits=20, memory_limit_bytes=2**30, max_result_bytes=max_result_bytes
    )
    slot, engine = Pipe()
    thread = Thread(target=serve, args=(engine, loaded(name), limits))
    thread.start()
    slot.send_bytes(encode_spec(spec).SerializeToString())
    header: dict[str, Any] = json.loads(slot.recv_bytes())
    if "results" in header:
        slot.recv_bytes()
    slot.close()
    thread.join()
    engine.close()
    return header


def test_an_answer(name: str) -> None:
    known = answer(name)["results"]
    assert (known["types"], known["points"]) == (["quasi"], [0])


@pytest.mark.parametrize("declared", [9, 11])
def test_a_wrong_number_of_qubits_is_refused(name: str, declared: int) -> None:
    header = answer(name, n_qubits=declared)
    assert header["kind"] == "program_invalid"
    assert "declares 10 qubits" in header["message"]
    assert f"n_qubits = {declared}" in header["message"]


def test_results_that_do_not_fit_a_message_are_refused(name: str) -> None:
    header = answer(name, max_result_bytes=5000)
    assert header["kind"] == "unsupported"
    assert "at most 5,000" in header["message"]
    assert "Measure fewer bits" in header["message"]
    assert "results" not in header


def test_a_state_that_does_not_fit_a_message_is_not_simulated(name: str) -> None:
    header = answer(name, max_result_bytes=2**14, kind=ResultType.STATEVECTOR)
    assert header["kind"] == "unsupported"
    assert "16.0 KiB" in header["message"]
