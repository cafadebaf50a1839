"""Starts the bare Celery application's worker."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import redis

from benchmarks.baselines.bell import BACKEND_VARIABLE, BROKER_VARIABLE, make_app
from benchmarks.process import running
from tests.services.together import Services
from tests.waiting import wait_until

#: As many as a target of the project's settings has slots.
PROCESSES: Final = 2
_READY_S: Final = 60.0


class BareCelery:
    """A worker that runs, and the application to send it tasks.

    Args:
        broker_url: Of its broker.
        result_backend: Of its results; nothing else is in that database of Redis.
    """

    def __init__(self, broker_url: str, result_backend: str) -> None:
        self.app = make_app(broker_url, result_backend)
        self.environment = _environment(broker_url, result_backend)
        self._redis = redis.Redis.from_url(result_backend)

    def results(self) -> int:
        """How many tasks have left a result."""
        return int(self._redis.dbsize())

    def forget(self) -> None:
        """Removes all results."""
        self._redis.flushdb()

    def close(self) -> None:
        """Closes its connections."""
        self.app.close()
        self._redis.close()


@contextmanager
def bare_celery(services: Services, folder: Path) -> Iterator[BareCelery]:
    """A prefork worker of its own virtual host and its own database of Redis.

    Args:
        services: RabbitMQ and Redis, running.
        folder: For its log.
    """
    broker_url = services.rabbitmq.create_vhost()
    # The product has database 0.
    result_backend = services.redis.url.removesuffix("/0") + "/1"
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        "celery",
        "-q",
        "-A",
        "benchmarks.baselines.bell_worker",
        "worker",
        "--pool=prefork",
        f"--concurrency={PROCESSES}",
        "--hostname=bare@benchmark",
        "--without-mingle",
        "--without-gossip",
    ]
    bare = BareCelery(broker_url, result_backend)
    with running(command, folder / "celery.log", bare.environment) as worker:

        def answers() -> bool:
            worker.check()
            return bool(bare.app.control.inspect(timeout=1.0).ping())

        if not wait_until(answers, _READY_S):
            raise TimeoutError(f"the bare worker does not answer:\n{worker.log()}")
        try:
            yield bare
        finally:
            bare.close()


def _environment(broker_url: str, result_backend: str) -> Mapping[str, str]:
    return os.environ | {
        BROKER_VARIABLE: broker_url,
        BACKEND_VARIABLE: result_backend,
        # As the product's engines have it.
        "OMP_NUM_THREADS": "1",
    }
