"""Backup and restoration: whatever a job was at, it settles in the restored system."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from uuid import UUID

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app import backup as backup_module
from app.backup import Backup, BackupError, back_up, restore
from app.database import migrate, open_store
from app.ports import Dispatch
from app.settings import PROJECT, Settings, SettingsError
from qdispatch.model import ErrorKind, JobStatus, ProgramFormat, TargetState
from tasks.run import JobRunner
from tests.fakes import ManualStop, ScriptedEngine
from tests.services import PostgreSQL
from tests.services.postgresql import program
from tests.world import WORKER, World, bell, finished, make_settings, make_world

PENDING, RUNNING = JobStatus.PENDING, JobStatus.RUNNING
FINISHED, CANCELED, FAILED = JobStatus.FINISHED, JobStatus.CANCELED, JobStatus.FAILED

OpenWorld = Callable[[Settings], World]


@pytest.fixture
def open_world() -> Iterator[OpenWorld]:
    """Opens worlds, and closes them after the test."""
    worlds: list[World] = []

    def open_world(settings: Settings) -> World:
        worlds.append(make_world(settings))
        return worlds[-1]

    yield open_world
    for world in worlds:
        world.store.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def empty(tmp_path: Path) -> Settings:
    """An installation that was never started."""
    return make_settings(tmp_path / "empty")


def one_of_each(world: World) -> dict[str, UUID]:
    """Jobs at all the points where a backup can meet them."""
    jobs = {name: world.submit() for name in ("sent", "unsent", "lost", "held back")}
    for name in ("sent", "lost"):
        world.service.mark_sent([Dispatch(job_id=jobs[name], target="aer", label="")])
    jobs["running"] = world.running().job_id
    jobs["running, renewed"] = world.running().job_id
    handed_over = world.running()
    world.work.hand_over(handed_over)
    jobs["handed over"] = handed_over.job_id
    for status in (FINISHED, CANCELED, FAILED):
        jobs[status] = world.job_in(status)
    world.programs.delete(jobs["lost"])
    return jobs


EACH = Backup(jobs=10, active=7, lost=1)


def settle(world: World, *, at: World) -> None:
    """Lets sweep and workers do their work until nothing is left to do."""
    world.clock.now = max(world.clock.now, at.clock.now)
    for _ in range(10):
        world.clock.advance(31)
        world.dispatcher.sent.clear()
        world.upkeep.recover()
        world.upkeep.resend()
        for dispatch in world.dispatcher.sent:
            engine = ScriptedEngine(deque([finished()]))
            runner = JobRunner(work=world.work, engine=engine, worker=WORKER, stop=ManualStop())
            runner.run(dispatch.job_id)
    with world.store.read() as tx:
        assert tx.history.active() == []


def check_each(world: World, jobs: dict[str, UUID]) -> None:
    for name, job_id in jobs.items():
        info = world.info(job_id)
        if name == "lost":
            assert info.status is FAILED
            assert info.error is not None
            assert info.error.kind == ErrorKind.PROGRAM_LOST
        elif name not in (CANCELED, FAILED):
            assert info.status is FINISHED
            assert world.jobs.results(str(job_id)) == [finished().results[0].value]
        else:
            assert info.status == name
        again = name.startswith("running") or name == "handed over"
        assert info.attempt == (0 if name == CANCELED else 2 if again else 1)
    assert world.files() == set()


# -- SQLite


def test_every_job_of_a_restored_system_settles(
    world: World, folder: Path, empty: Settings, open_world: OpenWorld
) -> None:
    jobs = one_of_each(world)
    world.targets.set_state("cirq", TargetState.DRAINED)
    before = {name: world.info(job_id) for name, job_id in jobs.items()}
    assert back_up(world.settings, folder, clock=world.clock) == EACH
    assert restore(empty, folder) == EACH
    restored = open_world(empty)
    assert {name: restored.info(job_id) for name, job_id in jobs.items()} == before
    assert restored.targets.states()[1].state is TargetState.DRAINED
    settle(restored, at=world)
    check_each(restored, jobs)


def test_batches_and_sweeps_are_restored(
    world: World, folder: Path, empty: Settings, open_world: OpenWorld
) -> None:
    sweep = bell(
        program_format=ProgramFormat.OPENQASM3,
        parameters=("a",),
        parameter_values=((0.5,), (-1.25,)),
    )
    kept = world.jobs.submit_many([bell(), sweep, bell()], request_id="r")
    ended, swept, _ = (UUID(each) for each in kept.job_ids)
    assert world.work.finish(world.claim(ended), finished())
    back_up(world.settings, folder, clock=world.clock)
    restore(empty, folder)
    restored = open_world(empty)
    assert restored.jobs.batch(kept.batch.id) == world.jobs.batch(kept.batch.id)
    assert restored.info(ended).events == world.info(ended).events
    assert restored.jobs.submit_many([bell(), sweep, bell()], request_id="r").job_ids == (
        kept.job_ids
    )
    assert restored.claim(swept).spec.parameter_values == sweep.parameter_values


def test_a_backup_says_what_it_is(world: World, folder: Path) -> None:
    jobs = one_of_each(world)
    back_up(world.settings, folder, clock=world.clock)
    assert sorted(each.name for each in folder.iterdir()) == [
        "backup.json",
        "programs",
        "qdispatch.db",
    ]
    page = json.loads((folder / "backup.json").read_text())
    assert page == {
        "made_at": world.clock().isoformat(),
        "revision": page["revision"],
        "jobs": 10,
        "active": 7,
        "lost": 1,
    }
    assert folder.stat().st_mode & 0o077 == 0
    files = {each.stem for each in (folder / "programs").iterdir()}
    final = {FINISHED, CANCELED, FAILED, "lost"}
    assert files == {str(job_id) for name, job_id in jobs.items() if name not in final}
    # The installation itself is as it was.
    assert {world.status(jobs[name]) for name in ("sent", "running", "finished")} == {
        PENDING,
        RUNNING,
        FINISHED,
    }
    assert world.files() == {UUID(each) for each in files}


def test_a_backup_is_taken_while_everything_goes_on(
    world: World, folder: Path, empty: Settings, open_world: OpenWorld
) -> None:
    stop = Event()
    for _ in range(200):
        world.job_in(FINISHED)

    def work(number: int) -> int:
        done = 0
        while not stop.is_set():
            job_id = UUID(world.jobs.submit(bell(), request_id=f"{number}-{done}").id)
            assert world.work.finish(world.claim(job_id), finished())
            done += 1
        return done

    with ThreadPoolExecutor(2) as threads:
        works = [threads.submit(work, number) for number in range(2)]
        taken = [
            back_up(world.settings, folder / str(number), clock=world.clock) for number in range(5)
        ]
        stop.set()
        assert all(each.result(30) for each in works)
    assert [each.jobs for each in taken] == sorted(each.jobs for each in taken)
    assert taken[0].jobs < taken[-1].jobs
    restore(empty, folder / "4")
    restored = open_world(empty)
    settle(restored, at=world)
    with restored.store.read() as tx:
        ids = [each.id for each in tx.history.oldest(UUID(int=0), 100_000)]
    assert len(ids) == taken[4].jobs
    lost = 0
    for job_id in ids:
        info = restored.info(job_id)
        if info.status is FAILED:
            lost += 1
            assert info.error is not None
            assert info.error.kind == ErrorKind.PROGRAM_LOST
        else:
            assert len(restored.jobs.results(str(job_id))) == 1
    assert lost == taken[4].lost


def test_the_program_of_a_job_that_ends_meanwhile_is_kept(
    world: World,
    folder: Path,
    empty: Settings,
    open_world: OpenWorld,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ends, ended, goes_on = world.running(), world.running(), world.submit()
    snapshot = backup_module._snapshot
    late: list[UUID] = []

    def meanwhile(source: Path, to: Path) -> None:
        world.work.finish(ended, finished())
        late.append(world.submit())
        snapshot(source, to)
        world.work.finish(ends, finished())
        late.append(world.submit())

    monkeypatch.setattr(backup_module, "_snapshot", meanwhile)
    assert back_up(world.settings, folder, clock=world.clock) == Backup(jobs=4, active=3, lost=0)
    monkeypatch.undo()
    files = {each.stem for each in (folder / "programs").iterdir()}
    assert files == {str(ends.job_id), str(goes_on), str(late[0])}
    restore(empty, folder)
    restored = open_world(empty)
    settle(restored, at=world)
    assert {restored.status(each) for each in (ends.job_id, goes_on, late[0])} == {FINISHED}


def test_a_backup_of_the_version_before_is_brought_up_to_date(
    world: World, folder: Path, empty: Settings, open_world: OpenWorld
) -> None:
    job_id = world.job_in(FINISHED)
    back_up(world.settings, folder, clock=world.clock)
    config = Config()
    config.set_main_option("script_location", str(PROJECT / "app" / "migrations"))
    engine = sa.create_engine(f"sqlite:///{folder / 'qdispatch.db'}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0002")
    engine.dispose()
    restore(empty, folder)
    open_store(empty).close()
    restored = open_world(empty).info(job_id)
    assert restored.status is FINISHED
    assert restored.events == world.info(job_id).events


def test_a_backup_of_a_later_version_is_refused(
    world: World, folder: Path, empty: Settings
) -> None:
    back_up(world.settings, folder, clock=world.clock)
    with sqlite3.connect(folder / "qdispatch.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(BackupError, match=r"another version.*9999"):
        restore(empty, folder)
    assert not (empty.data_dir / "qdispatch.db").exists()


# -- refusals


def refused(settings: Settings, folder: Path, match: str) -> None:
    with pytest.raises(BackupError, match=match):
        restore(settings, folder)


def test_jobs_that_are_there_are_not_overwritten(world: World, folder: Path) -> None:
    job_id = world.submit()
    back_up(world.settings, folder, clock=world.clock)
    refused(world.settings, folder, "is in use; stop the service first")
    world.store.close()
    refused(world.settings, folder, "has 1 jobs; move it away")
    assert world.status(job_id) is PENDING


def test_a_restoration_is_not_repeated(world: World, folder: Path, empty: Settings) -> None:
    world.submit()
    back_up(world.settings, folder, clock=world.clock)
    restore(empty, folder)
    refused(empty, folder, "has 1 jobs")


def test_a_place_without_jobs_is_fine_once_nobody_uses_it(
    world: World, folder: Path, empty: Settings, open_world: OpenWorld
) -> None:
    job_id = world.submit()
    back_up(world.settings, folder, clock=world.clock)
    migrate(empty)
    service = open_store(empty)
    # Its connections are idle, and yet it is there.
    refused(empty, folder, "is in use")
    service.close()
    restore(empty, folder)
    assert open_world(empty).status(job_id) is PENDING


def test_an_empty_file_is_no_database_to_protect(
    world: World, folder: Path, empty: Settings
) -> None:
    back_up(world.settings, folder, clock=world.clock)
    empty.data_dir.mkdir()
    (empty.data_dir / "qdispatch.db").touch()
    assert restore(empty, folder) == Backup(jobs=0, active=0, lost=0)


def test_the_log_of_another_database_is_not_taken_for_this_ones(
    world: World, folder: Path, empty: Settings
) -> None:
    back_up(world.settings, folder, clock=world.clock)
    empty.data_dir.mkdir()
    (empty.data_dir / "qdispatch.db-wal").write_bytes(b"frames")
    refused(empty, folder, r"qdispatch\.db-wal belong")


def test_half_a_backup_is_none(world: World, folder: Path, empty: Settings) -> None:
    refused(empty, folder, r"no whole backup: there is no backup\.json")
    back_up(world.settings, folder, clock=world.clock)
    (folder / "backup.json").unlink()
    refused(empty, folder, "no whole backup")
    assert not empty.data_dir.exists()


def test_a_damaged_backup_is_refused(world: World, folder: Path, empty: Settings) -> None:
    for _ in range(50):
        world.job_in(FINISHED)
    back_up(world.settings, folder, clock=world.clock)
    database = folder / "qdispatch.db"
    content = bytearray(database.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 8192] = os.urandom(8192)
    database.write_bytes(content)
    refused(empty, folder, str(folder))
    database.write_bytes(b"no database at all" * 100)
    refused(empty, folder, str(folder))
    database.unlink()
    refused(empty, folder, str(folder))
    assert list(empty.data_dir.iterdir()) == []


def test_a_backup_needs_a_folder_of_its_own(world: World, folder: Path) -> None:
    folder.mkdir()
    (folder / "mine").touch()
    with pytest.raises(BackupError, match="not empty; name a new folder"):
        back_up(world.settings, folder, clock=world.clock)
    with pytest.raises(BackupError, match="mine"):
        back_up(world.settings, folder / "mine", clock=world.clock)


def test_what_is_not_there_cannot_be_backed_up(world: World, folder: Path, empty: Settings) -> None:
    with pytest.raises(BackupError, match="there is no database at"):
        back_up(empty, folder, clock=world.clock)
    empty.data_dir.mkdir()
    (empty.data_dir / "qdispatch.db").touch()
    with pytest.raises(SettingsError, match="python -m app migrate"):
        back_up(empty, folder, clock=world.clock)
    assert not folder.exists()


# -- PostgreSQL, by its own tools


def plain(url: str) -> str:
    """What PostgreSQL's tools understand of SQLAlchemy's URL."""
    return url.replace("+psycopg", "")


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def on_postgresql(postgresql: PostgreSQL, tmp_path: Path, open_world: OpenWorld) -> World:
    settings = make_settings(tmp_path / "old", database_url=postgresql.create_database())
    migrate(settings)
    return open_world(settings)


def test_every_job_of_a_restored_postgresql_settles(
    on_postgresql: World, postgresql: PostgreSQL, tmp_path: Path, open_world: OpenWorld
) -> None:
    """The commands of docs/administration.md, in their order."""
    world = on_postgresql
    jobs = one_of_each(world)
    dump = str(tmp_path / "qdispatch.dump")
    run(program("pg_dump"), "--format=custom", f"--file={dump}", plain(world.settings.database))
    shutil.copytree(world.settings.data_dir / "programs", tmp_path / "programs")
    world.store.close()

    url = postgresql.create_database()
    shutil.copytree(tmp_path / "programs", tmp_path / "new" / "programs")
    run(
        program("pg_restore"),
        "--no-owner",
        "--exit-on-error",
        "--single-transaction",
        f"--dbname={plain(url)}",
        dump,
    )
    settings = make_settings(tmp_path / "new", database_url=url)
    migrate(settings)
    restored = open_world(settings)
    assert restored.targets.requeue() == 5
    settle(restored, at=world)
    check_each(restored, jobs)


def test_a_state_changes_while_a_dump_reads(on_postgresql: World) -> None:
    """pg_dump holds ACCESS SHARE on every table, to its end."""
    world = on_postgresql
    with world.store.inner.engine.begin() as dump:
        for table in ("job", "result", "worker", "target"):
            dump.execute(sa.text(f"LOCK TABLE {table} IN ACCESS SHARE MODE"))
        dump.execute(sa.text("SELECT 1"))
        job_id = world.submit()
        world.targets.set_state("aer", TargetState.PAUSED)
        assert world.work.claim(job_id, WORKER) is None
        world.targets.set_state("aer", TargetState.ACTIVE)
        world.claim(job_id)


def test_the_commands_for_sqlite_say_what_is_for_postgresql(
    on_postgresql: World, folder: Path
) -> None:
    with pytest.raises(BackupError, match="pg_dump"):
        back_up(on_postgresql.settings, folder, clock=on_postgresql.clock)
    with pytest.raises(BackupError, match="pg_restore"):
        restore(on_postgresql.settings, folder)
    assert not folder.exists()
