"""Who can enter the folder that has everything of an embedded installation."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest
from kombu import Connection

from app.database import migrate, open_store
from app.programs import Programs
from app.settings import Settings
from tasks.celery import make_celery
from tasks.machine import reserve
from tasks.transport import register
from tests.world import make_settings


def use_broker(settings: Settings) -> None:
    register()
    options = {"folder": str(settings.data_dir / "broker")}
    with Connection("embedded://local", transport_options=options) as connection:
        connection.channel()


def close_celery(settings: Settings) -> None:
    make_celery(settings, results=True).close()


def take_places(settings: Settings) -> None:
    assert reserve(settings.data_dir / "machine", wanted=0, most=1, worker="aer@host") == []


# Whichever comes first.
MAKERS: Final[dict[str, Callable[[Settings], object]]] = {
    "database": migrate,
    "programs": lambda settings: Programs(settings.programs),
    "broker": use_broker,
    "results": close_celery,
    "machine": take_places,
}


def mode(folder: Path) -> int:
    return folder.stat().st_mode & 0o7777


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_made_is_its_owners_alone(tmp_path: Path, maker: str) -> None:
    settings = make_settings(tmp_path / "deep" / "var")
    MAKERS[maker](settings)
    assert mode(settings.data_dir) == 0o700


def test_what_is_there_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # For server and workers that are different users of one group.
    settings = make_settings(tmp_path / "var")
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o2770)
    mask = os.umask(0o007)
    try:
        for make in MAKERS.values():
            make(settings)
    finally:
        os.umask(mask)
    assert not caplog.records
    assert mode(settings.data_dir) == 0o2770
    assert {mode(each) for each in settings.data_dir.iterdir() if each.is_dir()} == {0o2770}
    assert mode(settings.data_dir / "qdispatch.db") & 0o007 == 0


def test_a_folder_that_everybody_can_enter_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings(tmp_path / "var")
    settings.data_dir.mkdir()
    settings.data_dir.chmod(0o755)
    migrate(settings)
    (told,) = [each.getMessage() for each in caplog.records]
    assert told.startswith(f"data_dir: everybody on this machine can enter {settings.data_dir}")
    assert mode(settings.data_dir) == 0o755
    # Once at the start of all, and not by each of its processes.
    open_store(settings).close()
    assert len(caplog.records) == 1
