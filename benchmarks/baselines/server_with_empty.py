"""The product's server with one more method, which does nothing: `python -m rpc` otherwise.

The empty method is served like the calls that it is held against: by the same
server, in the same pool of threads, or by its event loop if those are.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc

import rpc.__main__ as server_process
from rpc.server import Server
from rpc.servicer import QDispatchServicer

SERVICE: Final = "qdispatch.benchmark.Empty"
#: What to call.
EMPTY: Final = f"/{SERVICE}/Nothing"


def _nothing(_request: bytes, _context: Any) -> bytes:
    return b""


async def _nothing_awaited(_request: bytes, _context: Any) -> bytes:
    return b""


class ServerWithEmpty(Server):
    """The server, with the method added before it starts."""

    def start(self) -> None:
        """Serves."""
        server = getattr(self, "_server", None)
        if not isinstance(server, grpc.aio.Server):
            raise SystemExit("rpc.server.Server has no _server any more: change this baseline")
        awaited = inspect.iscoroutinefunction(QDispatchServicer.GetJob)
        behavior: Callable[[bytes, Any], bytes | Awaitable[bytes]]
        behavior = _nothing_awaited if awaited else _nothing
        handler = grpc.unary_unary_rpc_method_handler(
            behavior, request_deserializer=bytes, response_serializer=bytes
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Nothing": handler}),)
        )
        super().start()


if __name__ == "__main__":
    vars(server_process)["Server"] = ServerWithEmpty
    raise SystemExit(server_process.main())
