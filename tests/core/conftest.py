"""The core's suites run on the fake store and on both databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.database import migrate
from tests.services.postgresql import PostgreSQL
from tests.world import NO_DATABASE, delete_rows, kept_store, make_settings


@pytest.fixture(scope="session")
def migrated_postgresql(
    services: object, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The URL of a PostgreSQL database at the current schema."""
    postgresql: PostgreSQL = request.getfixturevalue("postgresql")
    url = postgresql.create_database()
    migrate(make_settings(tmp_path_factory.mktemp("postgresql"), database_url=url))
    yield url
    kept_store(url).end()


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without rows; a test that looks into SQL names those that it runs on."""
    if request.param == "fake":
        return NO_DATABASE
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), tmp_path / "qdispatch.db")
        return f"sqlite:///{tmp_path / 'qdispatch.db'}"
    url: str = request.getfixturevalue("migrated_postgresql")
    delete_rows(kept_store(url))
    return url
