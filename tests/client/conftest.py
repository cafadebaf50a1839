"""Warnings are errors, but for those that come from inside an SDK; a server with a script."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import trustme

from qdispatch import AsyncClient, Client, calls
from tests.client.blocking import Blocking
from tests.client.papers import Papers
from tests.client.scripted import ScriptedServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:(cirq|pennylane)"))


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are those of the tests."""
    for name in ("TOKEN", "TOKEN_FILE", "TLS", "CA_FILE", "CERT_FILE", "KEY_FILE"):
        monkeypatch.delenv(f"QDISPATCH_{name}", raising=False)


@pytest.fixture(scope="session")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    return Papers(trustme.CA(), tmp_path_factory.mktemp("papers"))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.stop()


@pytest.fixture(params=["sync", "async"])
def client(
    request: pytest.FixtureRequest, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A client of the scripted server; the async one is made to block."""
    monkeypatch.setattr(calls, "_FIRST_PAUSE_S", 0.005)
    if request.param == "sync":
        with Client(server.address, timeout_s=20) as client:
            yield client
        return
    with asyncio.Runner() as runner:
        awaiting = AsyncClient(server.address, timeout_s=20)
        yield Blocking(runner, awaiting)
        runner.run(awaiting.close())
