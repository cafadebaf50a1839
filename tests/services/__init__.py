"""Private RabbitMQ, Redis and PostgreSQL servers for tests, benchmarks and demonstrations."""

from tests.services.packages import MissingPackagesError
from tests.services.postgresql import PostgreSQL
from tests.services.process import Service, ServiceError
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis_server import Redis
from tests.services.together import Services, services

__all__ = [
    "MissingPackagesError",
    "PostgreSQL",
    "RabbitMQ",
    "Redis",
    "Service",
    "ServiceError",
    "Services",
    "services",
]
