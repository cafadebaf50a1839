"""The suites of the core, which the unit tests run on SQLite, once more on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from app.database import migrate
from tests.services import PostgreSQL
from tests.unit import test_jobs, test_service, test_upkeep, test_work
from tests.world import make_settings


def _cases(suite: ModuleType) -> dict[str, object]:
    subject = suite.__name__.rpartition(".test_")[2]
    return {
        f"test_{subject}_{name.removeprefix('test_')}": case
        for name, case in vars(suite).items()
        if name.startswith("test_")
    }


for _suite in (test_jobs, test_service, test_upkeep, test_work):
    globals().update(_cases(_suite))
# What is left of them here would be taken for tests without their fixtures.
del test_jobs, test_service, test_upkeep, test_work


@pytest.fixture(scope="module")
def migrated_postgresql(
    postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sa.Engine]:
    url = postgresql.create_database()
    migrate(make_settings(tmp_path_factory.mktemp("postgresql"), database_url=url))
    engine = sa.create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def database_url(migrated_postgresql: sa.Engine, tmp_path: Path) -> str:
    """A PostgreSQL database without rows."""
    with migrated_postgresql.begin() as connection:
        connection.execute(sa.text("TRUNCATE job, result, worker"))
    return migrated_postgresql.url.render_as_string(hide_password=False)
