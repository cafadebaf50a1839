"""The page's process, and the database that it cannot change."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.database import migrate, open_store
from app.ports import utc_now
from app.settings import PROJECT, SettingsError
from app.up import wait_for_page
from qdispatch.errors import UnavailableError
from qdispatch.model import TargetState
from tests.services.postgresql import PostgreSQL
from tests.services.process import free_port
from tests.world import make_settings


@contextmanager
def page(folder: Path, address: str, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A running process of the page."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("QDISPATCH_")}
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        env={
            **environment,
            "QDISPATCH_DATA_DIR": str(folder),
            "QDISPATCH_PAGE__ADDRESS": address,
        },
        cwd=PROJECT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_serves_until_it_is_told_to_stop(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "qdispatch.db")
    address = f"127.0.0.1:{free_port()}"
    with page(tmp_path, address, "app", "page") as process:
        url = wait_for_page(make_settings(tmp_path, page={"address": address}))
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"No jobs." in answer.read()
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    assert process.returncode == 0
    assert f"the page is on http://{address}" in said
    assert "Traceback" not in said


def test_an_address_that_is_taken_is_a_clear_message(tmp_path: Path, migrated_sqlite: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "qdispatch.db")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with page(tmp_path, address, "page") as process:
            _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"cannot listen on {address}" in said
    assert "set page.address" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "address", ["5556", ":5556", "localhost", "localhost:x", "localhost:70000"]
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    settings = make_settings(tmp_path, page={"address": address})
    with pytest.raises(SettingsError, match="write it as"):
        _ = settings.page.listens_on


def test_an_address_may_be_of_ipv6(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, page={"address": "[::1]:80"})
    assert settings.page.listens_on == ("::1", 80)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, services: object) -> str:
    """A database at the current schema."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("database_url"))
    postgresql: PostgreSQL = request.getfixturevalue("postgresql")
    return postgresql.create_database()


def test_the_database_refuses_to_be_changed(tmp_path: Path, any_database: str) -> None:
    settings = make_settings(tmp_path, database_url=any_database)
    migrate(settings)
    store = open_store(settings, read_only=True)
    try:
        with pytest.raises(UnavailableError), store.write() as tx:
            tx.targets.set_state("aer", TargetState.PAUSED, utc_now())
        with store.read() as tx:
            assert tx.targets.states() == {}
    finally:
        store.close()
