"""Builds the gRPC server: the service, health, reflection.

The server is asynchronous, for the sake of its streams: thousands of watchers
wait without a thread each, and of the calls that are many, which it gathers into
groups. Everything else is synchronous, like the core, and runs in a pool of threads.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from app.service import JobService
from app.settings import ServerSettings, SettingsError
from app.watching import Watchers
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.decoding import Decoding
from rpc.servicer import QDispatchServicer

_log = logging.getLogger(__name__)

T = TypeVar("T")

SERVICE: Final = pb.DESCRIPTOR.services_by_name["QDispatch"].full_name

_NAMES: Final = ("", SERVICE)


class Server:
    """A server that is bound and not started, with an event loop of its own.

    Args:
        service: The core.
        watchers: Those who watch jobs.
        settings: Where to listen, and limits.

    Attributes:
        port: The port it is bound to; useful if 0 was asked for.

    Raises:
        SettingsError: The address cannot be bound to.
    """

    def __init__(self, service: JobService, watchers: Watchers, settings: ServerSettings) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note)
        self._thread = Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()
        self._calls = ThreadPoolExecutor(settings.threads, thread_name_prefix="call")
        self._health = health.aio.HealthServicer()
        self._watchers = watchers
        self._server: grpc.aio.Server | None = None
        try:
            self.port = self._run(self._bind(service, settings))
        except BaseException:
            self._end()
            raise

    def start(self) -> None:
        """Serves, and says so to health checks."""
        self._watchers.start()
        self._run(self._start())

    def stop(self, grace_s: float) -> None:
        """Takes no more calls, lets those under way end for so long, and returns."""
        if not self._thread.is_alive():
            return
        self.announce_stop()
        # Streams would go on for as long as their jobs do.
        self._watchers.close()
        self._run(self._stop(grace_s))
        self._end()

    async def _bind(self, service: JobService, settings: ServerSettings) -> int:
        server = self._server = grpc.aio.server(
            migration_thread_pool=self._calls,
            options=(
                ("grpc.max_receive_message_length", int(settings.max_message_bytes)),
                ("grpc.max_send_message_length", int(settings.max_message_bytes)),
                # Two servers on one port would share its calls unnoticed.
                ("grpc.so_reuseport", 0),
                # Clients ask for signs of life while a call is under way.
                ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
                # A client that is gone in silence is not told things for ever.
                ("grpc.keepalive_time_ms", 30_000),
                ("grpc.keepalive_timeout_ms", 10_000),
            ),
        )
        servicer = QDispatchServicer(
            service,
            self._watchers,
            calls=self._calls,
            max_result_bytes=settings.max_result_bytes,
        )
        pb_grpc.add_QDispatchServicer_to_server(servicer, Decoding(server))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
        try:
            return server.add_insecure_port(settings.address)
        except RuntimeError as error:
            raise SettingsError(
                f"cannot listen on {settings.address} (server.address): is another server running?"
            ) from error

    def announce_stop(self) -> None:
        """Tells health checks that it takes no more calls."""
        self._run(self._health.enter_graceful_shutdown())

    async def _start(self) -> None:
        if self._server is not None:
            await self._server.start()
        for name in _NAMES:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def _stop(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end(self) -> None:
        # grpc's server has its loop tidy up when it is collected.
        self._server = None
        self._run(asyncio.sleep(0))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._calls.shutdown(wait=False)


def _note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Logs what went wrong in a callback; of grpc's own poller, in a line.

    At a stop it reads from a socket that is closed by then. Nothing is lost by it,
    and its handle, which is canceled, no longer says whose it was.
    """
    error = context.get("exception")
    places = traceback.format_tb(error.__traceback__) if error is not None else []
    if any("PollerCompletionQueue" in each for each in places):
        _log.info("grpc's poller: %r", error)
    else:
        loop.default_exception_handler(context)
