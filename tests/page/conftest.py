"""The page, served on a port of its own."""

from __future__ import annotations

import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from app.audit import LogAudit
from app.token_lookup import TokenLookup
from page.__main__ import make_server
from page.reading import Reader
from page.site import build_site
from tests.page.gallery import Gallery, fill
from tests.services.process import wait_until
from tests.world import World, make_settings, make_world


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back."""

    code: int
    headers: dict[str, str]
    text: str


@dataclass(frozen=True, kw_only=True)
class Served:
    """A page that answers."""

    url: str

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Answer:
        request = urllib.request.Request(self.url + path, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)


def _answer(response: urllib.error.HTTPError) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(code=int(response.status or 0), headers=headers, text=response.read().decode())


class Stage:
    """What the one server of all tests serves at the moment."""

    def __init__(self) -> None:
        self.site: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.site is not None
        await self.site(scope, receive, send)

    def show(self, world: World, lookup: TokenLookup | None = None) -> None:
        reader = Reader(
            settings=world.settings,
            store=world.store,  # type: ignore[arg-type]
            programs=world.programs,
            clock=world.clock,
        )
        self.site = build_site(
            reader, hosts=world.settings.page.hosts, lookup=lookup, audit=LogAudit()
        )


@pytest.fixture(scope="session")
def stage() -> Iterator[tuple[Stage, Served]]:
    """A server without a site yet."""
    stage = Stage()
    server = make_server(stage)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert wait_until(lambda: server.started, 20)
            yield stage, Served(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def served(stage: tuple[Stage, Served], world: World) -> Served:
    """The page of the test's own world."""
    stage[0].show(world)
    return stage[1]


@dataclass(frozen=True, kw_only=True)
class Exhibition:
    """The page of a world with jobs of every kind, which no test changes."""

    served: Served
    world: World
    jobs: Gallery


@pytest.fixture(scope="session")
def busy_world(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[World, Gallery]]:
    """A world with jobs of every kind."""
    folder = tmp_path_factory.mktemp("gallery")
    shutil.copy(migrated_sqlite, folder / "qdispatch.db")
    world = make_world(make_settings(folder))
    yield world, fill(world)
    world.store.close()


@pytest.fixture
def gallery(stage: tuple[Stage, Served], busy_world: tuple[World, Gallery]) -> Exhibition:
    """Jobs of every kind, and the page of them."""
    world, jobs = busy_world
    stage[0].show(world)
    return Exhibition(served=stage[1], world=world, jobs=jobs)
