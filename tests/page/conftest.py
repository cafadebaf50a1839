"""The page, served on a port of its own."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from page.__main__ import make_server
from page.reading import Reader
from page.site import build_site
from tests.page.gallery import Gallery, fill
from tests.services.process import wait_until
from tests.world import World


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
    return Answer(code=response.status, headers=headers, text=response.read().decode())


@pytest.fixture
def served(world: World) -> Iterator[Served]:
    """The page of the world."""
    reader = Reader(
        settings=world.settings,
        store=world.store,  # type: ignore[arg-type]
        programs=world.programs,
        clock=world.clock,
    )
    server = make_server(build_site(reader, hosts=world.settings.page.hosts))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert wait_until(lambda: server.started, 20)
            yield Served(url=f"http://127.0.0.1:{listener.getsockname()[1]}")
        finally:
            server.should_exit = True
            thread.join(20)


@pytest.fixture
def gallery(world: World) -> Gallery:
    """Jobs of every kind."""
    return fill(world)
