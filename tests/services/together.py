"""The three servers together: started in parallel, each waited for only when it is used."""

import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from tests.services.packages import ensure_packages
from tests.services.postgresql import PostgreSQL
from tests.services.process import Service
from tests.services.rabbitmq import RabbitMQ
from tests.services.redis_server import Redis

NAMES = ("rabbitmq", "redis", "postgresql")


class Services:
    """A private RabbitMQ, Redis and PostgreSQL.

    `rabbitmq`, `redis` and `postgresql` start nothing by themselves:
    `start()` starts all three and waits; `begin()` starts some and returns,
    and `started()` waits for one.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        management: bool = False,
        durable: bool = False,
        timeout_s: float = 60,
    ) -> None:
        """Prepare, without starting.

        Args:
            directory: where everything goes. With None a temporary one, which
                is removed at the end, also when the owner is killed.
            management: whether RabbitMQ offers its HTTP API.
            durable: whether PostgreSQL waits for the disk and Redis keeps its data.
            timeout_s: longest time one start or stop may take.
        """
        ensure_packages()
        remove = directory is None
        self._temporary = make_temporary() if directory is None else None
        self.directory = directory or self._temporary or Path()
        common = {"remove": remove, "timeout_s": timeout_s}
        self.rabbitmq = RabbitMQ(self.directory / "rabbitmq", management=management, **common)
        self.redis = Redis(self.directory / "redis", appendonly=durable, **common)
        self.postgresql = PostgreSQL(self.directory / "postgresql", durable=durable, **common)
        self._starts: dict[str, Future[Service]] = {}
        self._threads = ThreadPoolExecutor(len(NAMES), thread_name_prefix="services")

    def begin(self, names: Iterable[str] = NAMES) -> None:
        """Start some of them in the background; those begun before are left alone."""
        for name in names:
            if name not in self._starts:
                self._starts[name] = self._threads.submit(getattr(self, name).start)

    def started(self, name: str) -> Service:
        """Begin one if need be, and wait until it answers."""
        self.begin([name])
        return self._starts[name].result()

    def start(self) -> Self:
        """Start all three in parallel and wait until each answers."""
        self.begin()
        try:
            for name in NAMES:
                self.started(name)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop all three for good, and remove the temporary directory."""
        self._threads.shutdown()
        with ThreadPoolExecutor(len(NAMES)) as threads:
            list(threads.map(lambda name: getattr(self, name).stop(), NAMES))
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def services(directory: Path | None = None, **options: bool) -> Services:
    """For `with services(directory) as s`; see `Services` for the options."""
    return Services(directory, **options)


def make_temporary() -> Path:
    """Make a directory that another account can pass through but not list."""
    directory = Path(tempfile.mkdtemp(prefix="qdispatch-services-"))
    directory.chmod(0o711)
    return directory
