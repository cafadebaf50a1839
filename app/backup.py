"""Backup and restoration of an installation whose database is SQLite.

A backup is a folder: a snapshot of the database, the program files of the jobs
that are not final in it, and, written last, a page of what it is. Messages are
no part of it: a restored job is sent anew. PostgreSQL has tools of its own.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from pydantic import SecretStr

from app.database import migrate, open_store
from app.folders import make_private
from app.ports import Clock
from app.programs import ProgramLostError, Programs
from app.settings import Settings, SettingsError
from app.store import Store
from qdispatch.errors import QDispatchError

DATABASE: Final = "qdispatch.db"
PROGRAMS: Final = "programs"
#: Written last: a folder without it is no backup, or half of one.
MANIFEST: Final = "backup.json"


class BackupError(QDispatchError):
    """A backup cannot be taken, or restored, as it was asked for."""


@dataclass(frozen=True, kw_only=True)
class Backup:
    """What a backup holds."""

    jobs: int
    """In any status."""
    active: int
    """Those that are not final: they run after a restoration."""
    lost: int
    """Those of them without a program file: they fail then, as program_lost."""


def back_up(settings: Settings, folder: Path, *, clock: Clock) -> Backup:
    """Takes a backup, while everything runs.

    Args:
        settings: Of the installation.
        folder: A new folder, or an empty one.
        clock: Tells the time.

    Raises:
        BackupError: The database is not SQLite, or the folder cannot be used.
        UnavailableError: The program files cannot be read.
    """
    path = _database_file(settings)
    if not path.exists():
        raise BackupError(f"there is no database at {path}")
    open_store(settings).close()
    with _told(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupError(f"{folder} is not empty; name a new folder")
        programs, copies = Programs(settings.programs), Programs(_url(folder / PROGRAMS))
        # Before the snapshot too: of a job that ends between the snapshot and
        # the second round, this is the last chance to have the program.
        _copy(programs, copies, (job_id for job_id, _ in programs.stored()))
        _snapshot(path, folder / DATABASE)
        with _opened(settings, folder / DATABASE) as store, store.read() as tx:
            active, jobs = set(tx.history.active()), tx.history.count()
            revision = tx.revision()
        copied = {job_id for job_id, _ in copies.stored()}
        for job_id in copied - active:
            copies.delete(job_id)
        _copy(programs, copies, active - copied)
        lost = len(active - {job_id for job_id, _ in copies.stored()})
        backup = Backup(jobs=jobs, active=len(active), lost=lost)
        page = {
            "made_at": clock().isoformat(),
            "revision": revision,
            "jobs": jobs,
            "active": backup.active,
            "lost": lost,
        }
        (folder / MANIFEST).write_text(json.dumps(page, indent=2) + "\n")
    return backup


def restore(settings: Settings, folder: Path) -> Backup:
    """Puts a backup where there are no jobs yet; every job in it settles once the service runs.

    Raises:
        BackupError: The folder has no whole backup, a service is running, or
            there are jobs already.
        UnavailableError: The program files cannot be written.
    """
    path = _database_file(settings)
    if not (folder / MANIFEST).is_file():
        raise BackupError(f"{folder} has no whole backup: there is no {MANIFEST} in it")
    with _told(folder):
        make_private(path.parent)
        _check_free(path)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix="restore-") as name:
            made = Path(name) / DATABASE
            _snapshot(folder / DATABASE, made)
            _check_whole(made, folder)
            backup = _prepare(settings, folder, made)
            # Whatever has come to be there since the check is not overwritten.
            os.link(made, path)
    return backup


def _prepare(settings: Settings, folder: Path, made: Path) -> Backup:
    """Brings the copied database up to date, and the program files to their place."""
    try:
        migrate(_with_database(settings, made))
    except SettingsError as error:
        raise BackupError(f"{folder} is of another version: {error}") from error
    with _opened(settings, made) as store, store.write() as tx:
        tx.targets.requeue()
        active, jobs = set(tx.history.active()), tx.history.count()
    copies = Programs(_url(folder / PROGRAMS))
    stored = {job_id for job_id, _ in copies.stored()} & active
    _copy(copies, Programs(settings.programs), stored)
    return Backup(jobs=jobs, active=len(active), lost=len(active - stored))


def _copy(source: Programs, to: Programs, job_ids: Iterable[UUID]) -> None:
    for job_id in job_ids:
        try:
            to.write({job_id: source.read(job_id)})
        except ProgramLostError:
            # The job has ended meanwhile.
            continue


def _database_file(settings: Settings) -> Path:
    url = sa.engine.make_url(settings.database)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BackupError(
            "the database is PostgreSQL: pg_dump and pg_restore are for it, and then"
            " `python -m app requeue`; docs/administration.md has the commands"
        )
    return Path(url.database)


def _url(folder: Path) -> str:
    return folder.resolve().as_uri()


def _with_database(settings: Settings, path: Path) -> Settings:
    return settings.model_copy(update={"database_url": SecretStr(f"sqlite:///{path}")})


@contextmanager
def _opened(settings: Settings, path: Path) -> Iterator[Store]:
    store = open_store(_with_database(settings, path))
    try:
        yield store
    finally:
        store.close()


def _snapshot(source: Path, to: Path) -> None:
    """Copies a database as it is at one moment, by SQLite's online backup.

    All of it in one step: the others go on writing, into the log beside it.
    """
    # Read-only, so that a name that is wrong makes no empty database.
    uri = f"{source.resolve().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as old, closing(sqlite3.connect(to)) as new:
        old.backup(new)


def _check_free(path: Path) -> None:
    """Refuses a place where a service runs, or ran; removes a database without jobs."""
    beside = [path.with_name(path.name + end) for end in ("-wal", "-shm")]
    if not path.exists():
        left = [str(each) for each in beside if each.exists()]
        if left:
            raise BackupError(f"{' and '.join(left)} belong to another database; move them away")
        return
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection:
        try:
            # Needs the database for itself, whatever the others do or do not do at the moment.
            connection.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.OperationalError as error:
            raise BackupError(f"{path} is in use; stop the service first ({error})") from error
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        jobs = (
            connection.execute("SELECT count(*) FROM job").fetchone()[0] if "job" in tables else 0
        )
    if jobs:
        raise BackupError(f"{path} has {jobs} jobs; move it away first, it is not overwritten")
    path.unlink()


def _check_whole(made: Path, folder: Path) -> None:
    with closing(sqlite3.connect(made)) as connection:
        said = [text for (text,) in connection.execute("PRAGMA quick_check(1)")]
    if said != ["ok"]:
        raise BackupError(f"{folder / DATABASE} is damaged: {said[0]}")


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"{folder}: {error}") from error
