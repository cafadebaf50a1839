"""The schema that the migrations make, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from app.database import migrate, open_store
from app.jobs import EncodedResult
from app.rows import JobRow
from app.settings import Settings, SettingsError
from qdispatch.errors import UnavailableError
from qdispatch.model import JobStatus
from tests.services import PostgreSQL
from tests.services.process import free_port
from tests.world import counts, finished, make_settings, make_world


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Of a database that is empty."""
    if request.param == "sqlite":
        return make_settings(tmp_path)
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return make_settings(tmp_path, database_url=server.create_database())


@pytest.fixture
def engine(settings: Settings) -> Iterator[sa.Engine]:
    engine = sa.create_engine(settings.database)
    yield engine
    engine.dispose()


@pytest.fixture(autouse=True)
def _postgresql_is_wanted(postgresql: PostgreSQL) -> None:
    """Named here, so that it is started together with the other servers."""


def test_the_schema_is_what_the_rows_say(settings: Settings, engine: sa.Engine) -> None:
    migrate(settings)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, JobRow.metadata) == []


def test_what_is_active_is_found_by_its_own_index(settings: Settings, engine: sa.Engine) -> None:
    migrate(settings)
    (index,) = sa.inspect(engine).get_indexes("job")[:1] or [None]
    names = {each["name"] for each in sa.inspect(engine).get_indexes("job")}
    assert index is not None
    assert "job_active_idx" in names


def test_a_second_migration_changes_nothing(settings: Settings) -> None:
    migrate(settings)
    world = make_world(settings)
    job_id = world.submit()
    world.store.close()
    migrate(settings)
    world = make_world(settings)
    assert world.info(job_id).id == str(job_id)
    world.store.close()


def test_results_from_before_0002_are_added_up(settings: Settings, engine: sa.Engine) -> None:
    """The schema of 0001 with rows in it, brought up to date."""
    migrate(settings)
    world = make_world(settings)
    claim = world.running()
    results = (counts({"0": 1}), EncodedResult(result_type="quasi", point=0, value=bytes(1000)))
    world.work.finish(claim, finished(results=results))
    failed = world.job_in(JobStatus.FAILED)
    world.store.close()
    with engine.begin() as connection:
        for index in ("job_lease_idx", "job_result_bytes_idx"):
            connection.execute(sa.text(f"DROP INDEX {index}"))
        connection.execute(sa.text("DROP TABLE target"))
        for name in ("faults", "not_before", "stopped_at", "result_bytes"):
            connection.execute(sa.text(f"ALTER TABLE job DROP COLUMN {name}"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    migrate(settings)
    world = make_world(settings)
    with world.store.read() as tx:
        rows = [tx.job(each) for each in (claim.job_id, failed)]
        assert tx.history.result_bytes() == 1000 + len(results[0].value)
    assert [row and row.result_bytes for row in rows] == [1000 + len(results[0].value), 0]
    world.store.close()


def test_migrations_at_the_same_time_wait_for_each_other(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(settings), range(4)))
    open_store(settings).close()


def test_a_database_that_was_never_migrated_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"revision none.*python -m app migrate"):
        open_store(settings)


def test_a_database_of_another_version_is_refused(settings: Settings, engine: sa.Engine) -> None:
    migrate(settings)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="revision 9999, this version needs"):
        open_store(settings)


def test_a_database_that_is_away_is_unavailable(tmp_path: Path) -> None:
    url = f"postgresql+psycopg://nobody@127.0.0.1:{free_port()}/nothing"
    with pytest.raises(UnavailableError):
        open_store(make_settings(tmp_path, database_url=url))


def test_sqlite_keeps_what_it_has_said_yes_to(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    migrate(settings)
    store = open_store(settings)
    with store.engine.connect() as connection:
        modes = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    store.close()
    # 2 is FULL: a commit waits for the disk.
    assert modes == ["wal", 2, 1]


def test_a_clock_far_from_utc_does_not_move_moments(postgresql: PostgreSQL, tmp_path: Path) -> None:
    """The years 1 and 9999 are still themselves under a server's own time zone."""
    from datetime import UTC, datetime

    url = postgresql.create_database()
    settings = make_settings(tmp_path, database_url=url)
    migrate(settings)
    admin = sa.create_engine(url)
    name = admin.url.database
    with admin.begin() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {name} SET timezone = 'Pacific/Kiritimati'"))
    admin.dispose()
    world = make_world(settings)
    try:
        for moment in (
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
        ):
            job_id = world.submit(submission_date=moment)
            assert world.info(job_id).spec.submission_date == moment
            assert world.claim(job_id).spec.submission_date == moment
    finally:
        world.store.close()
