"""Warnings are errors, but for those that come from inside an SDK; a server with a script."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from qdispatch import AsyncClient, Client, calls
from tests.client.blocking import Blocking
from tests.client.scripted import ScriptedServer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("ignore::DeprecationWarning:(cirq|pennylane)"))


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
