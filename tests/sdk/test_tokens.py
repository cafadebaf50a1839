"""Programs of every interface run unchanged where the server wants to know who calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pennylane as qml
import pytest
import trustme

from qdispatch.cirq import Sampler
from qdispatch.client import Client
from qdispatch.qiskit import EstimatorV2, Provider, SamplerV2
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.client.papers import Papers
from tests.client.scripted import ScriptedServer


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


@pytest.fixture(scope="module")
def server(papers: Papers) -> Iterator[ScriptedServer]:
    server = ScriptedServer(papers.serve())
    server.say("ListTargets", pb.ListTargetsResponse())
    yield server
    server.stop()


@pytest.mark.parametrize(
    "make",
    [
        Provider,
        SamplerV2,
        EstimatorV2,
        lambda address: Sampler(address=address),
        lambda address: qml.device("qdispatch", wires=1, address=address),
    ],
    ids=["provider", "sampler", "estimator", "cirq", "pennylane"],
)
def test_the_environment_has_what_is_shown(
    server: ScriptedServer,
    papers: Papers,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[str], Any],
    request: pytest.FixtureRequest,
) -> None:
    token = f"qd_{request.node.callspec.id}"
    monkeypatch.setenv("QDISPATCH_TOKEN", token)
    monkeypatch.setenv("QDISPATCH_CA_FILE", str(papers.ca_file))
    made = make(server.address)
    client: Client = made.client if hasattr(made, "client") else made._client
    with client:
        assert client.targets() == []
    assert server.tokens[-1] == ("ListTargets", f"Bearer {token}")
