"""What all tests share: the servers, and the core on a database of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from app.database import migrate
from app.settings import Settings
from tests.world import World, make_settings, make_world

# Folder -> group. Tests of a group share a process, and what they start in it. Groups
# that take longest come first, so that none of them is left over at the end.
_GROUPS = {
    "reliability": "reliability",
    "e2e": "e2e",
    "integration": "integration",
    "core": "core",
    "chaos": "chaos",
    "soak": "chaos",
    "conformance": "conformance",
    "sdk": "sdk",
    "page": "sdk",
}

pytest_plugins = ["tests.services.fixtures"]

# The same examples in every run; `--hypothesis-profile default` looks for new ones.
hypothesis.settings.load_profile("ci")


# Before xdist puts the groups into the names.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keeps tests that share an installation, or services, together in one process each."""
    names = tuple(_GROUPS.values())
    grouped = [(_group(item), item) for item in items]
    grouped.sort(key=lambda each: names.index(each[0]) if each[0] in names else len(names))
    items[:] = [item for _, item in grouped]
    for group, item in grouped:
        item.add_marker(pytest.mark.xdist_group(group + _kind(group, item)))


def _group(item: pytest.Item) -> str:
    # Files that share nothing fill what the groups leave free, at the end.
    return next((_GROUPS[each] for each in _GROUPS if each in item.path.parts), item.path.stem)


def _kind(group: str, item: pytest.Item) -> str:
    """Of two installations, the one that a test runs on; if on none, where services are."""
    if group not in ("e2e", "reliability"):
        return ""
    return "-embedded" if "embedded" in item.name.partition("[")[2] else "-full"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file at the current schema, to be copied."""
    folder = tmp_path_factory.mktemp("sqlite")
    migrate(make_settings(folder))
    return folder / "qdispatch.db"


@pytest.fixture
def database_url(tmp_path: Path, migrated_sqlite: Path) -> str:
    """A database at the current schema, without rows: SQLite, unless a module says otherwise."""
    shutil.copy(migrated_sqlite, tmp_path / "qdispatch.db")
    return f"sqlite:///{tmp_path / 'qdispatch.db'}"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    """Three targets, everything under a folder of the test's own."""
    return make_settings(tmp_path, database_url=database_url)


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    """The core."""
    world = make_world(settings)
    yield world
    world.store.close()
