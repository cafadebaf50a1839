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
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from app.service import JobService
from app.settings import ServerSettings, SettingsError
from app.watching import Watchers
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.edge import OPEN, Edge, Gate
from rpc.health import Health
from rpc.limits import options
from rpc.load import Load
from rpc.servicer import QDispatchServicer
from rpc.shelf import Shelf, ToSend
from rpc.unknown import NoSuchMethod

_log = logging.getLogger(__name__)

# Logs what goes wrong between a method and the wire.
_GRPC: Final = "grpc._cython.cygrpc"

T = TypeVar("T")

SERVICE: Final = pb.DESCRIPTOR.services_by_name["QDispatch"].full_name


class Server:
    """A server that is bound and not started, with an event loop of its own.

    Args:
        service: The core.
        watchers: Those who watch jobs.
        settings: Where to listen, and limits.
        gate: Says who calls.
        credentials: What connections are encrypted with; None for plain ones.

    Attributes:
        port: The port it is bound to; useful if 0 was asked for.

    Raises:
        SettingsError: The address cannot be bound to.
    """

    def __init__(
        self,
        service: JobService,
        watchers: Watchers,
        settings: ServerSettings,
        *,
        gate: Gate = OPEN,
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_note)
        logging.getLogger(_GRPC).addFilter(_is_news)
        self._thread = Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()
        self._calls = ThreadPoolExecutor(settings.threads, thread_name_prefix="call")
        self._health = Health()
        self._watchers = watchers
        self._server: grpc.aio.Server | None = None
        self._edge: Edge | None = None
        try:
            self.port = self._run(self._bind(service, settings, gate, credentials))
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

    async def _bind(
        self,
        service: JobService,
        settings: ServerSettings,
        gate: Gate,
        credentials: grpc.ServerCredentials | None,
    ) -> int:
        server = self._server = grpc.aio.server(
            migration_thread_pool=self._calls,
            options=options(settings),
        )
        tells_apart = gate is not OPEN
        to_send = ToSend(settings.max_bytes_to_send, tells_apart=tells_apart)
        servicer = QDispatchServicer(
            service,
            self._watchers,
            calls=self._calls,
            max_result_bytes=settings.max_result_bytes,
            shelf=Shelf(self._calls, to_send),
        )
        edge = self._edge = Edge(
            server,
            gate=gate,
            load=Load(
                service.quotas,
                max_calls=settings.max_calls,
                max_bytes=settings.max_bytes_under_way,
                max_message_bytes=settings.max_message_bytes,
                tells_apart=tells_apart,
            ),
            to_send=to_send,
            threads=self._calls,
            call_s=settings.call_s,
            stream_s=settings.stream_s,
        )
        pb_grpc.add_QDispatchServicer_to_server(servicer, edge)
        names = [SERVICE]
        if settings.health:
            names.append(health.SERVICE_NAME)
            # Without the gate: supervisors have no token.
            self._health.add_to(server)
        if settings.reflection:
            names.append(reflection.SERVICE_NAME)
            reflected = reflection.aio.ReflectionServicer(names)
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(reflected, edge)
        server.add_generic_rpc_handlers((NoSuchMethod(gate, call_s=settings.call_s),))
        try:
            if credentials is None:
                return server.add_insecure_port(settings.address)
            return server.add_secure_port(settings.address, credentials)
        except RuntimeError as error:
            raise SettingsError(
                f"cannot listen on {settings.address} (server.address): is another server running?"
            ) from error

    def announce_stop(self) -> None:
        """Tells health checks that it takes no more calls."""
        self._run(self._health.stop())

    async def _start(self) -> None:
        if self._server is not None:
            await self._server.start()
        await self._health.serve()

    async def _stop(self, grace_s: float) -> None:
        if self._server is not None:
            await self._server.stop(grace_s)
        if self._edge is not None:
            await self._edge.close()

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


def _is_news(record: logging.LogRecord) -> bool:
    """Leaves out that a caller was gone before the answer: grpc tells it as an error.

    Whoever does so on purpose could fill the log, with a traceback for each call.
    """
    return not record.getMessage().startswith("ExecuteBatchError raised in core")


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
