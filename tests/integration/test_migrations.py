"""The schema that the migrations make, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app import database
from app.database import head_revision, migrate, open_store
from app.engines import make_engine
from app.rows import JobRow
from app.settings import Settings, SettingsError
from app.store import JOB
from qdispatch.errors import UnavailableError
from tests.e2e.stack import PROJECT
from tests.services import PostgreSQL
from tests.services.process import free_port
from tests.specs import BELL
from tests.world import finished, make_settings, make_world


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


def test_migrations_at_the_same_time_wait_for_each_other(settings: Settings) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: migrate(settings), range(4)))
    open_store(settings).close()


def test_several_open_a_new_file_at_once(tmp_path: Path) -> None:
    """SQLite alone refuses one of six in about five of forty files."""
    together = Barrier(6)

    def open_file(file: Path) -> None:
        engine = make_engine(f"sqlite:///{file}")
        together.wait()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        engine.dispose()

    with ThreadPoolExecutor(together.parties) as threads:
        for number in range(40):
            list(threads.map(open_file, [tmp_path / f"{number}.db"] * together.parties))


def test_a_database_that_was_never_migrated_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match=r"revision none.*python -m app migrate"):
        open_store(settings)


def test_a_database_of_an_older_version_is_refused(settings: Settings, engine: sa.Engine) -> None:
    migrate(settings, "0001")
    with pytest.raises(SettingsError, match="revision 0001, this version needs"):
        open_store(settings)


def test_a_database_of_a_newer_version_is_served(settings: Settings, engine: sa.Engine) -> None:
    """A version that is on its way out may still be started again beside the new one."""
    migrate(settings)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    open_store(settings).close()
    with pytest.raises(SettingsError, match=r"of another version.*'9999'"):
        migrate(settings)


def test_the_version_before_goes_on_working_while_and_after_it_is_migrated(
    settings: Settings, engine: sa.Engine
) -> None:
    migrate(settings, "0001")
    # What a process of the version before knows of the table, all its life.
    names = {each["name"] for each in sa.inspect(engine).get_columns("job")}
    columns = [sa.Column(each.name, each.type) for each in JOB.c if each.name in names]
    old_job = sa.Table("job", sa.MetaData(), *columns)
    before, after = uuid4(), uuid4()
    insert_as_before(engine, old_job, before)
    migrate(settings)
    insert_as_before(engine, old_job, after)
    world = make_world(settings)
    try:
        for job_id in (before, after):
            world.programs.write({job_id: BELL})
            # Claimed by the old one, and lost by it: the new sweep knows what to do.
            with engine.begin() as connection:
                connection.execute(
                    sa.update(old_job)
                    .where(old_job.c.id == job_id)
                    .values(
                        status="running",
                        attempt=old_job.c.attempt + 1,
                        lease_until=world.clock() - timedelta(seconds=1),
                    )
                )
            assert world.upkeep.recover() == 1
            claim = world.claim(job_id)
            assert (claim.attempt, claim.faults) == (2, 1)
            assert world.work.finish(claim, finished())
            # What the old one has not kept is made up for.
            info = world.info(job_id)
            assert [each.status for each in info.events] == [
                "pending",
                "running",
                "pending",
                "running",
                "finished",
            ]
            assert [each.attempt for each in info.events] == [0, 1, 1, 2, 2]
            assert (info.batch_id, info.n_points, info.spec.parameters) == ("", 0, ())
    finally:
        world.store.close()


def insert_as_before(engine: sa.Engine, table: sa.Table, job_id: UUID) -> None:
    values = {
        "id": job_id,
        "owner": "anonymous",
        "request_id": job_id.hex,
        "digest": b"",
        "created_at": datetime.now(UTC),
        "status": "pending",
        "target": "aer",
        "framework": "custom",
        "n_qubits": 2,
        "depth": 3,
        "program_format": "openqasm2",
        "result_types": ["counts"],
        "shots": 100,
        "observables": [],
        "extra": "",
        "time_limit_s": 60.0,
        "tags": [],
        "attempt": 0,
        "worker": "",
        "method": "",
        "simulator_version": "",
        "peak_memory_bytes": 0,
    }
    with engine.begin() as connection:
        connection.execute(sa.insert(table).values(values))


def test_a_migration_does_not_wait_for_a_table_for_good(
    postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who waits for a table keeps everybody else from it."""
    monkeypatch.setattr(database, "_LOCK_WAIT_S", 1)
    settings = make_settings(tmp_path, database_url=postgresql.create_database())
    migrate(settings, "0001")
    engine = sa.create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE job IN ACCESS SHARE MODE"))
        with pytest.raises(UnavailableError, match="in use"):
            migrate(settings)
    engine.dispose()
    migrate(settings)
    open_store(settings).close()


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


def test_the_newest_schema_is_known_without_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(PROJECT / "app" / "migrations"))
    assert head_revision() == ScriptDirectory.from_config(config).get_current_head()
