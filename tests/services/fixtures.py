"""The servers as pytest fixtures; load with `pytest_plugins = ["tests.services.fixtures"]`."""

from collections.abc import Iterator

import pytest

from tests.services.postgresql import PostgreSQL
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis_server import Redis
from tests.services.together import Services


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """The servers, each of which starts when a test first uses it."""
    together = Services()
    try:
        yield together
    finally:
        together.stop()


@pytest.fixture(scope="session")
def rabbitmq(services: Services) -> RabbitMQ:
    """A RabbitMQ that answers, shared by the whole run."""
    services.started("rabbitmq")
    return services.rabbitmq


@pytest.fixture(scope="session")
def redis_server(services: Services) -> Redis:
    """A Redis that answers, shared by the whole run."""
    services.started("redis")
    return services.redis


@pytest.fixture(scope="session")
def postgresql(services: Services) -> PostgreSQL:
    """A PostgreSQL that answers, shared by the whole run; make a database per test."""
    services.started("postgresql")
    return services.postgresql
