"""Installations to measure: the full stack on servers of their own, and the embedded default.

They have the settings that a user gets: those of `settings.toml`, with only
the addresses, the folder and the choice of targets changed.
"""

from __future__ import annotations

import contextlib
import logging
import re
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import psutil
import sqlalchemy as sa

from app.engines import make_engine
from app.rows import ACTIVE, JOB
from tests.e2e.stack import PROJECT, Stack
from tests.services.process import ServiceError
from tests.services.together import Services
from tests.waiting import wait_until

#: The targets of the project's settings.
ALL: Final = ("aer", "cirq", "pennylane")

_READY_S: Final = 60.0

_log = logging.getLogger(__name__)

T = TypeVar("T")

_SECTION: Final = re.compile(r"^\[targets\.([a-z0-9-]+)\]$", re.MULTILINE)


class Installation:
    """An installation under a folder, its processes and its database.

    Args:
        folder: For everything; PostgreSQL's account must be able to pass through it.
        services: RabbitMQ, Redis and PostgreSQL, running; None for the
            embedded default.
        targets: Those of the settings that it has.
        sections: Further sections of the settings, as TOML text, and the
            targets that these name: name -> text.
        environment: Of every process, beside what it is given anyway.

    Attributes:
        stack: Its processes.
        address: HOST:PORT of its server.
    """

    def __init__(
        self,
        folder: Path,
        services: Services | None,
        *,
        targets: Sequence[str] = ALL,
        sections: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        sections = sections or {}
        text = settings_with(targets) + "".join(
            f"\n[targets.{name}]\n{body}\n" for name, body in sections.items()
        )
        folder.mkdir(parents=True, exist_ok=True)
        self.stack = Stack(
            folder,
            services,
            # Its text is formatted, and braces are none of its business.
            settings=text.replace("{", "{{").replace("}", "}}"),
            targets=(*targets, *sections),
        )
        self.address = self.stack.address
        self.stack.environment |= {
            "QDISPATCH_DATA_DIR": str(self.stack.data_dir),
            "QDISPATCH_SERVER__ADDRESS": self.address,
            # Where a job is to be run, no answer of an earlier one will do.
            "QDISPATCH_CACHE__MAX_BYTES": "0",
            # One owner is all that there is, and does more than an owner should.
            "QDISPATCH_QUOTAS__SUBMISSIONS_PER_MINUTE": "0",
            "QDISPATCH_QUOTAS__JOBS_IN_FLIGHT": "0",
            # gRPC's own words about connections are no part of the figures.
            "GRPC_VERBOSITY": "NONE",
            **(environment or {}),
        }
        self._engine: sa.Engine | None = None

    def start(self) -> None:
        """Starts server, sweep and workers, and waits until they serve."""
        self.stack.start()

    def stop(self) -> None:
        """Ends all processes that were started; what has ended already is left alone."""
        if self._engine is not None:
            self._engine.dispose()
        try:
            self.stack.stop()
        except AssertionError as error:
            # They are gone all the same; how they went is for the tests.
            _log.warning("a process did not end well: %s", error)

    @property
    def database(self) -> sa.Engine:
        """Its database."""
        if self._engine is None:
            self._engine = make_engine(self.stack.database_url)
        return self._engine

    def active_jobs(self) -> int:
        """How many jobs are pending or running."""
        with self.database.connect() as connection:
            statement = sa.select(sa.func.count()).select_from(JOB).where(sa.text(ACTIVE))
            return int(connection.execute(statement).scalar_one())

    def wait_until_idle(self, timeout_s: float, poll_s: float = 0.01) -> None:
        """Waits until no job is pending or running.

        Raises:
            TimeoutError: Some still are.
        """
        if not wait_until(lambda: not self.active_jobs(), timeout_s, poll_s):
            raise TimeoutError(
                f"{self.active_jobs()} jobs have not ended within {timeout_s:g} s:\n"
                f"{self.stack.logs()[-2000:]}"
            )

    def processes(self) -> dict[str, psutil.Process]:
        """Its main processes that run, by name."""
        found = {}
        for name in ("server", "sweep", *self.stack.targets):
            with contextlib.suppress(KeyError, psutil.NoSuchProcess):
                found[name] = self.stack.process(name)
        return found

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Stops all its processes meanwhile: they take no CPU from what is measured."""
        family = [
            member
            for process in self.processes().values()
            for member in (process, *process.children(recursive=True))
        ]
        _signal(family, signal.SIGSTOP)
        try:
            yield
        finally:
            _signal(family, signal.SIGCONT)


def settings_with(targets: Sequence[str]) -> str:
    """The project's settings without the targets that are not wanted.

    Args:
        targets: Those that are.

    Raises:
        LookupError: There is no such target in the settings.
    """
    text = (PROJECT / "settings.toml").read_text()
    parts = _SECTION.split(text)
    # What comes before the first section, then a name and a text for each.
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    unknown = set(targets) - sections.keys()
    if unknown:
        raise LookupError(f"settings.toml has no target {', '.join(sorted(unknown))}")
    chosen = "".join(f"[targets.{name}]{sections[name]}" for name in targets)
    # Benchmarks say themselves how many simulations run at once.
    return re.sub(r"(?m)^max_simulations = .*$", "max_simulations = 1000", parts[0]) + chosen


class Workshop:
    """What a run needs, made when it is first asked for, and ended with it."""

    def __init__(self) -> None:
        self._ends = ExitStack()
        self._shared_ends = ExitStack()
        self._shared: dict[str, Any] = {}
        self._folder: Path | None = None
        self._services: Services | None = None
        self._numbers = 0

    @property
    def services(self) -> Services:
        """RabbitMQ, Redis and PostgreSQL; commits wait for the disk."""
        if self._services is None:
            services = Services(self.folder("services"), durable=True)
            self._services = self._ends.enter_context(services)
            _wait_for_commands(services)
        return self._services

    def folder(self, name: str) -> Path:
        """A folder that is not there yet; it is removed with the run."""
        if self._folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)
            self._folder = Path(self._ends.enter_context(temporary))
            # PostgreSQL runs as another account, which only passes through.
            self._folder.chmod(0o711)
        self._numbers += 1
        return self._folder / f"{self._numbers}-{name}"

    def log(self, name: str) -> Path:
        """A file, in a folder of its own, for what a process says."""
        folder = self.folder(name)
        folder.mkdir(parents=True)
        return folder / "log"

    def shared(self, name: str, make: Callable[[], AbstractContextManager[T]]) -> T:
        """What several rows use one after the other, made for the first of them.

        Args:
            name: Stands for it.
            make: Makes it.
        """
        if name not in self._shared:
            self._shared[name] = self._shared_ends.enter_context(make())
        made: T = self._shared[name]
        return made

    def release(self) -> None:
        """Ends what was shared: the rows that follow want to be alone, or something has failed."""
        self._shared.clear()
        self._shared_ends.close()

    def full_stack(self) -> Installation:
        """The installation that most rows share: all targets, on the three servers."""
        return self.shared("full stack", lambda: self.installed(self.services, targets=ALL))

    @contextmanager
    def installed(
        self,
        services: Services | None,
        *,
        targets: Sequence[str],
        sections: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Iterator[Installation]:
        """An installation, started; see `Installation`."""
        installation = Installation(
            self.folder("installation"),
            services,
            targets=targets,
            sections=sections,
            environment=environment,
        )
        try:
            installation.start()
            yield installation
        finally:
            installation.stop()

    def close(self) -> None:
        """Ends everything."""
        try:
            self.release()
        finally:
            self._ends.close()


def _wait_for_commands(services: Services) -> None:
    """Waits until RabbitMQ takes commands, which may be a moment after it takes logins."""

    def taken() -> bool:
        try:
            services.rabbitmq.ctl("list_vhosts")
        except ServiceError:
            return False
        return True

    if not wait_until(taken, _READY_S):
        raise TimeoutError(f"RabbitMQ takes no commands within {_READY_S:g} s")


def _signal(family: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
