"""What the tests of the native interfaces share: an installation in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from qdispatch.client import Client
from tests.sdk.inprocess import Installation
from tests.world import make_settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Warnings are errors, but for those that come from inside an SDK."""
    for item in items:
        if "sdk" in item.path.parts:
            item.add_marker(
                pytest.mark.filterwarnings("ignore::DeprecationWarning:(cirq|pennylane)")
            )


@pytest.fixture(scope="session")
def installation(
    tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path
) -> Iterator[Installation]:
    """An installation with the targets aer, cirq and pennylane; an SDK is loaded when it is used."""
    folder = tmp_path_factory.mktemp("installation")
    shutil.copy(migrated_sqlite, folder / "qdispatch.db")
    # Nobody but the poll wakes the watchers here.
    server = {"address": "127.0.0.1:0", "cancel_wait_s": 0, "watch_interval_s": 0.005}
    url = f"sqlite:///{folder / 'qdispatch.db'}"
    installation = Installation(make_settings(folder, database_url=url, server=server))
    yield installation
    installation.stop()


@pytest.fixture
def address(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where the installation is; also in QDISPATCH_ADDRESS."""
    monkeypatch.setenv("QDISPATCH_ADDRESS", installation.address)
    return installation.address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    """A client of the installation."""
    with Client(address) as client:
        yield client
