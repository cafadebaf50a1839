"""The result cache, from every interface: real simulators, a real server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cirq
import numpy as np
import pennylane as qml
import pytest
from qiskit import QuantumCircuit
from typer.testing import CliRunner

from qdispatch.cirq import Sampler
from qdispatch.cli.app import app
from qdispatch.client import Client
from qdispatch.model import JobInfo, JobStatus
from qdispatch.qiskit import Provider, SamplerV2
from tests.specs import BELL, bell


@pytest.fixture
def last(client: Client) -> Callable[[], JobInfo]:
    """The job that was submitted last."""
    return lambda: next(client.jobs(limit=1))


@pytest.mark.parametrize("target", ["aer", "cirq", "pennylane"])
def test_a_second_submission_has_the_results_of_the_first(client: Client, target: str) -> None:
    spec = bell(target=target, seed=20261120, shots=777)
    first = client.job(client.create_job(spec).id).result(60)
    info = client.create_job(spec)
    assert (info.status, info.cached_from) == (JobStatus.FINISHED, first.info.id)
    second = client.job(info.id).result(60)
    assert (first.is_cached, second.is_cached) == (False, True)
    assert second.counts == first.counts
    assert [each.status for each in client.watch_job(info.id).__next__().events] == [
        JobStatus.PENDING,
        JobStatus.FINISHED,
    ]
    third = client.job(client.create_job(replace(spec, cache=False)).id).result(60)
    assert (third.is_cached, third.counts) == (False, first.counts)


def _qiskit() -> QuantumCircuit:
    """A new circuit, and so one of another name, at each call."""
    circuit = QuantumCircuit(2)
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.measure_all()
    return circuit


def _with_backend(client: Client, options: dict[str, Any]) -> object:
    backend = Provider(client).get_backend("aer")
    result = backend.run(_qiskit(), shots=321, seed_simulator=5, **options).result()
    hit = result.results[0].metadata["cached_from"]
    return result.get_counts(), hit is not None


def _with_primitive(client: Client, options: dict[str, Any]) -> object:
    sampler = SamplerV2(Provider(client).get_backend("aer"), options={"seed": 6, **options})
    return sampler.run([_qiskit()], shots=322).result()[0].data.meas.get_counts()


def _with_cirq(client: Client, options: dict[str, Any]) -> object:
    a, b = cirq.LineQubit.range(2)
    circuit = cirq.Circuit(cirq.H(a), cirq.CNOT(a, b), cirq.measure(a, b, key="m"))
    sampler = Sampler(client, target="cirq", seed=7, **options)
    return sampler.run(circuit, repetitions=323).measurements["m"].tolist()


def _with_pennylane(client: Client, options: dict[str, Any]) -> object:
    device = qml.device("qdispatch", wires=1, client=client, target="pennylane", **options)

    @qml.qnode(device)
    def energy(angle: float) -> Any:
        qml.RX(angle, wires=0)
        return qml.expval(qml.Z(0))

    return float(energy(np.pi / 3))


@pytest.mark.parametrize(
    "run",
    [_with_backend, _with_primitive, _with_cirq, _with_pennylane],
    ids=lambda run: run.__name__.removeprefix("_with_"),
)
def test_every_interface_uses_it_and_can_do_without(
    client: Client, last: Callable[[], JobInfo], run: Callable[..., Any]
) -> None:
    values, hits, priorities = [], [], []
    for options in ({}, {}, {"cache": False, "priority": 3}):
        values.append(run(client, options))
        hits.append(bool(last().cached_from))
        priorities.append(last().spec.priority)
    assert hits == [False, True, False]
    assert priorities == [0, 0, 3]
    if run is _with_backend:
        assert [hit for _, hit in values] == hits
        values = [counts for counts, _ in values]
    assert values[0] == values[1] == values[2]


def test_the_command_line_says_so(address: str, tmp_path: Path) -> None:
    (tmp_path / "bell.qasm").write_text(BELL)
    words = ["submit", str(tmp_path / "bell.qasm"), "--seed", "8", "--shots", "324", "--wait"]
    jobs = []
    for more in ([], [], ["--no-cache"]):
        result = CliRunner().invoke(app, [*words, *more, "--json"])
        assert result.exit_code == 0, result.output
        jobs.append(json.loads(result.stdout)["job"])
    assert [each["cached_from"] for each in jobs] == [None, jobs[0]["id"], None]
    shown = CliRunner().invoke(app, ["status", jobs[1]["id"]]).stdout
    assert "from the cache" in shown
    assert jobs[0]["id"] in shown
