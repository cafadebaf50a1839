"""A private Redis server."""

from pathlib import Path

import redis

from tests.services.process import LOOPBACK, Service


class Redis(Service):
    """Redis on a port of its own, which keeps nothing unless told to."""

    def __init__(
        self,
        directory: Path,
        *,
        appendonly: bool = False,
        remove: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """Prepare, without starting.

        Args:
            directory: where everything the server writes goes.
            appendonly: whether data outlive a restart.
            remove: whether the directory goes too when the owner dies.
            timeout_s: longest time a start or a stop may take.
        """
        super().__init__(directory, remove=remove, timeout_s=timeout_s)
        self.appendonly = appendonly

    @property
    def url(self) -> str:
        """For Celery's `result_backend`."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def commands(self) -> list[list[str]]:
        """Run one server without snapshots."""
        options = {
            "bind": LOOPBACK,
            "port": str(self.port),
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if self.appendonly else "no",
            "daemonize": "no",
        }
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        return [["redis-server", *flags]]

    def check(self) -> None:
        """Ask for a PONG."""
        with redis.Redis.from_url(self.url) as client:
            client.ping()
