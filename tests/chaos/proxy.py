"""TCP proxies that can cut a connection, or swallow what it carries."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from threading import Thread
from typing import Final

from tests.services.process import LOOPBACK, free_port

_CHUNK: Final = 65_536
# Closing then sends a reset, as a firewall's or a dead host's peer would see.
_RESET: Final = struct.pack("ii", 1, 0)


class Mode(StrEnum):
    """What a link does."""

    PASS = "pass"
    """Carries every byte."""
    REFUSE = "refuse"
    """Resets what is connected, and whoever connects."""
    BLACK_HOLE = "black hole"
    """Connections stay, and nothing arrives until it passes again."""


class Link:
    """One port, and the server behind it; lives in the proxies' loop."""

    def __init__(self, server_port: int) -> None:
        self.port = free_port()
        self._server_port = server_port
        self._passing = asyncio.Event()
        self._passing.set()
        self._refusing = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def listen(self) -> None:
        await asyncio.start_server(self._serve, LOOPBACK, self.port)

    def set_mode(self, mode: Mode) -> None:
        self._refusing = mode is Mode.REFUSE
        if self._refusing:
            for writer in self._writers:
                _reset(writer)
        if mode is Mode.BLACK_HOLE:
            self._passing.clear()
        else:
            self._passing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        await self._passing.wait()
        try:
            there = await asyncio.open_connection(LOOPBACK, self._server_port)
        except OSError:
            _reset(writer)
            return
        both = {writer, there[1]}
        self._writers |= both
        try:
            pumps = {
                asyncio.ensure_future(self._pump(reader, there[1])),
                asyncio.ensure_future(self._pump(there[0], writer)),
            }
            _, running = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in running:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._writers -= both
            for each in both:
                each.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            data = await reader.read(_CHUNK)
            # The end of a connection does not arrive either.
            await self._passing.wait()
            if not data:
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Proxies:
    """All links of an installation, served by one thread."""

    def __init__(self) -> None:
        self._links: dict[str, Link] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="proxies", daemon=True)
        self._thread.start()

    def add(self, name: str, server_port: int) -> int:
        """Opens a link; returns its port."""

        async def opened() -> Link:
            link = Link(server_port)
            await link.listen()
            return link

        self._links[name] = asyncio.run_coroutine_threadsafe(opened(), self._loop).result()
        return self._links[name].port

    def set_mode(self, name: str, mode: Mode) -> None:
        """Cuts or heals a link; returns when it is done."""
        self._run(lambda: self._links[name].set_mode(mode))

    def heal(self) -> None:
        """Heals all links."""
        for name in self._links:
            self.set_mode(name, Mode.PASS)

    def close(self) -> None:
        """Ends the thread; the process' end closes the sockets."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _run(self, step: Callable[[], None]) -> None:
        async def run() -> None:
            step()

        asyncio.run_coroutine_threadsafe(run(), self._loop).result()
