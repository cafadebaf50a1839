"""Opens and migrates the database."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from app.settings import Settings, SettingsError
from app.store import Store, make_engine
from qdispatch.errors import QDispatchError

_MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"

# Any number will do, as long as every migration takes the same.
_LOCK: Final = 0x7164


def migrate(settings: Settings) -> None:
    """Brings the database to the current schema; does nothing if it is there."""
    _hush_alembic()
    if settings.database.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = make_engine(settings.database)
    config = _config()
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Two migrations that start together run one after the other;
                # SQLite's write lock does the same.
                connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        engine.dispose()


def open_store(settings: Settings) -> Store:
    """The store of a migrated database.

    Raises:
        SettingsError: The database was never migrated, or is of another version.
        UnavailableError: It does not answer.
    """
    _hush_alembic()
    if settings.database.startswith("sqlite"):
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(make_engine(settings.database))
    try:
        _check_revision(store)
    except QDispatchError:
        store.close()
        raise
    return store


def _check_revision(store: Store) -> None:
    head = ScriptDirectory.from_config(_config()).get_current_head()
    with store.read() as tx:
        current = tx.revision()
    if current != head:
        raise SettingsError(
            f"the database is at revision {current or 'none'}, this version needs {head}:"
            " run `python -m app migrate`"
        )


def _hush_alembic() -> None:
    # It tells at INFO what database it found, each time it is asked for the revision.
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
