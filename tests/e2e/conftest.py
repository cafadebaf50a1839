"""The installations that the e2e tests run on, started once each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest

from qdispatch import Client
from tests.e2e.stack import Stack
from tests.services.together import Services

#: The processes whose log is JSON.
IN_JSON: Final = ("server", "sweep", "cirq")


@pytest.fixture(scope="package", params=["embedded", "full"])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """An installation: on the embedded default, and on RabbitMQ, Redis and PostgreSQL."""
    services: Services | None = None
    if request.param == "full":
        services = request.getfixturevalue("services")
        assert services is not None
        services.start()
    stack = Stack(tmp_path_factory.mktemp(request.param), services)
    # The others log as text.
    for name in IN_JSON:
        stack.environments[name] = {"QDISPATCH_LOG_FORMAT": "json"}
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A client of the installation."""
    stack.check()
    with stack.client() as client:
        yield client
        # What a failed test left at work would hold the next ones up.
        stack.cancel_all()
