"""What must not grow."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil
import sqlalchemy as sa

from app.rows import TARGET, WORKER
from tests.e2e.stack import TARGETS, Stack

_MIB: Final = 2**20


class Gauges:
    """Reads an installation.

    Args:
        stack: The installation, on RabbitMQ, Redis and PostgreSQL.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._engine = sa.create_engine(stack.database_url)
        mains = {name: stack.process(name) for name in ("server", "sweep", *TARGETS)}
        self._families: Mapping[str, Callable[[], list[psutil.Process]]] = {
            "server": lambda: [mains["server"]],
            "sweep": lambda: [mains["sweep"]],
            "workers": lambda: [mains[name] for name in TARGETS],
            "slots": lambda: [psutil.Process(p) for name in TARGETS for p in stack.slots(name)],
            "fork servers": lambda: [p for name in TARGETS for p in stack.fork_servers(name)],
            "engines": lambda: [p for name in TARGETS for p in stack.engines(name)],
        }

    def close(self) -> None:
        self._engine.dispose()

    def read(self) -> dict[str, float]:
        """Every gauge's value now; memory in MiB."""
        values: dict[str, float] = {}
        for family, members in self._families.items():
            memory, files = _of(members())
            values[f"memory of {family}, MiB"] = memory / _MIB
            values[f"open files of {family}"] = files
        with self._engine.connect() as connection:
            values["connections to PostgreSQL"] = connection.execute(
                sa.text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
            ).scalar_one()
            for table in (WORKER, TARGET):
                values[f"rows of {table.name}"] = connection.execute(
                    sa.select(sa.func.count()).select_from(table)
                ).scalar_one()
        values["files in the data directory"] = _files(self._stack.data_dir)
        return values


def _of(members: list[psutil.Process]) -> tuple[int, int]:
    memory = files = 0
    for process in members:
        # An engine may end while it is looked at.
        with suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            memory += process.memory_full_info().pss
            files += process.num_fds()
    return memory, files


def _files(folder: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(folder))
