"""A small installation for the promises: on the embedded default, and on all services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.stack import Stack
from tests.reliability.ward import Ward, make_stack
from tests.services.together import Services


@pytest.fixture(scope="package", params=["full", pytest.param("embedded", marks=pytest.mark.slow)])
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """An installation with one worker, of two slots."""
    services: Services | None = None
    if request.param == "full":
        services = request.getfixturevalue("services")
        assert services is not None
        services.start()
    stack = make_stack(tmp_path_factory.mktemp(request.param), services)
    stack.start()
    yield stack
    stack.stop()


@pytest.fixture
def ward(stack: Stack, tmp_path: Path) -> Iterator[Ward]:
    """The installation, without jobs that are not final."""
    stack.check()
    with stack.client() as client:
        yield Ward(stack=stack, client=client, folder=tmp_path)
        # What a failed test left at work would hold the next ones up.
        stack.cancel_all()


@pytest.fixture
def full(ward: Ward) -> Services:
    """RabbitMQ, Redis and PostgreSQL; a test that needs them is skipped without."""
    if ward.stack.services is None:
        pytest.skip("the embedded default has no such part")
    return ward.stack.services
