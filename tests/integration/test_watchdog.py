"""A database that falls silent, without going away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app import store as store_module
from app import watchdog
from app.database import migrate, open_store
from app.store import Store
from qdispatch.errors import UnavailableError
from tests.services import PostgreSQL
from tests.world import make_settings


@pytest.fixture
def store(
    postgresql: PostgreSQL, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    # Those that are not silent have to be done by then, too.
    monkeypatch.setattr(store_module, "TRANSACTION_S", 3.0)
    monkeypatch.setattr(store_module, "LONG_TRANSACTION_S", 30.0)
    settings = make_settings(tmp_path, database_url=postgresql.create_database())
    migrate(settings)
    store = open_store(settings)
    yield store
    store.close()


def backend(store: Store) -> int:
    """The server's process behind the connection that the pool has."""
    with store.read() as tx:
        return int(tx._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def test_a_connection_that_never_answers_is_given_up(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "FRESH_S", 0.0)
    pid = backend(store)
    os.kill(pid, signal.SIGSTOP)
    try:
        # Only this connection is silent: the next one is made without an error.
        with store.read() as tx:
            assert tx.load() == {}
        assert backend(store) != pid
    finally:
        os.kill(pid, signal.SIGCONT)


def test_one_that_falls_silent_in_mid_transaction_is_unavailable(store: Store) -> None:
    pid = backend(store)

    def ask_twice() -> None:
        with store.write() as tx:
            assert tx.load() == {}
            os.kill(pid, signal.SIGSTOP)
            tx.load()

    try:
        with pytest.raises(UnavailableError):
            ask_twice()
    finally:
        os.kill(pid, signal.SIGCONT)
    with store.read() as tx:
        assert tx.load() == {}


def test_one_that_carries_much_may_take_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "TRANSACTION_S", 0.5)
    with store.read(long=True) as tx:
        tx._connection.execute(sa.text("SELECT pg_sleep(2.5)"))
        assert tx.load() == {}


def test_one_that_was_just_used_is_not_asked_whether_it_lives(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ping = store.engine.dialect.do_ping
    monkeypatch.setattr(
        store.engine.dialect, "do_ping", lambda each: bool(asked.append(1)) or ping(each)
    )
    for fresh_s, times in ((60.0, 0), (0.0, 1)):
        monkeypatch.setattr(watchdog, "FRESH_S", fresh_s)
        backend(store)
        assert len(asked) == times
