"""Opens and migrates the database."""

from __future__ import annotations

import logging
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from app.engines import make_engine
from app.exposure import is_loopback
from app.folders import make_private, warn_if_open
from app.settings import Settings, SettingsError
from app.store import Store
from qdispatch.errors import QDispatchError, UnavailableError

_log = logging.getLogger(__name__)

_MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"

# Any number will do, as long as every migration takes the same.
_LOCK: Final = 0x7164
_LOCK_WAIT_S: Final = 5

#: How long a part that starts waits for a database that is being restarted, in seconds.
START_PATIENCE_S: Final = 60.0
_RETRY_S: Final = 1.0


def migrate(settings: Settings, revision: str = "head") -> None:
    """Brings the database to the current schema; does nothing if it is there.

    Server and workers may go on meanwhile.

    Args:
        settings: Where the database is.
        revision: The schema to stop at.

    Raises:
        SettingsError: Its schema is one that this version does not know.
        UnavailableError: The database does not answer, or a table is in use.
    """
    if settings.database.startswith("sqlite"):
        make_private(settings.data_dir)
        warn_if_open(settings.data_dir, "data_dir")
    if revision == "head":
        with closing(Store(make_engine(settings.database))) as store:
            if _revision(store) == head_revision():
                return
    _upgrade(make_engine(settings.database), revision)


def _upgrade(engine: sa.Engine, revision: str) -> None:
    # Only here: every process opens the database, and few ever change its schema.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    _hush_alembic()
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two migrations that start together run one after the other;
                # SQLite's write lock does the same.
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
                # A change that waits for a table keeps everybody else from it.
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'"))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    except CommandError as error:
        raise SettingsError(f"the database is of another version of qdispatch: {error}") from error
    except OperationalError as error:
        text = " ".join(str(error.orig).split())
        raise UnavailableError(
            f"the database is away, or a table is in use; try again: {text}"
        ) from error
    finally:
        engine.dispose()


def open_store(settings: Settings, *, patience_s: float = 0.0, read_only: bool = False) -> Store:
    """The store of a migrated database.

    Args:
        settings: Where it is.
        patience_s: How long to wait for a database that is away, in seconds.
        read_only: Whether the database is to refuse every change.

    Raises:
        SettingsError: The database was never migrated, or is of an older version.
        UnavailableError: It does not answer.
    """
    if settings.database.startswith("sqlite"):
        make_private(settings.data_dir)
    else:
        _warn_of_listeners(settings.database)
    store = Store(make_engine(settings.database, read_only=read_only))
    until = time.monotonic() + patience_s
    try:
        while True:
            try:
                _check_revision(store)
            except UnavailableError:
                if time.monotonic() + _RETRY_S > until:
                    raise
                time.sleep(_RETRY_S)
            else:
                return store
    except QDispatchError:
        store.close()
        raise


@cache
def _warn_of_listeners(url: str) -> None:
    """Says, once in a process, that nobody has thought of who listens on the way."""
    parts = sa.make_url(url)
    host = str(parts.query.get("host", parts.host or ""))
    if "sslmode" in parts.query or not host or host.startswith("/") or is_loopback(host):
        return
    _log.warning(
        "database_url: what is said to %s may be read and changed on the way: add"
        " ?sslmode=verify-full&sslrootcert=FILE, or ?sslmode=disable if nobody is there",
        host,
    )


def _revision(store: Store) -> str | None:
    with store.read() as tx:
        return tx.revision()


def _check_revision(store: Store) -> None:
    head = head_revision()
    current = _revision(store)
    # Migrations only add, so that the version before goes on working beside a
    # newer one; revisions are numbers of four digits.
    if current is None or current < head:
        raise SettingsError(
            f"the database is at revision {current or 'none'}, this version needs {head}:"
            " run `python -m app migrate`"
        )


def _hush_alembic() -> None:
    # It tells at INFO what database it found, each time it is asked for the revision.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


def head_revision() -> str:
    """The schema that this version makes, by the names of its migrations."""
    return max(file.name[:4] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))
