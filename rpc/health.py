"""Health checks: the one thing that whoever reaches the server may ask.

So nothing that they send is read, however much it is: every service that they may
name is as well as the whole server is.
"""

from __future__ import annotations

from typing import Any, Final

import grpc
from grpc_health.v1 import health, health_pb2

from app.audit import Audit, LogAudit, RefusedCall

_WHOLE: Final = health_pb2.HealthCheckRequest()
_WATCH: Final = f"/{health.SERVICE_NAME}/Watch"

#: Who watches how the server is, at the most: supervisors are few, strangers may be many.
MOST_WATCHERS: Final = 100


class Health:
    """How the server is.

    Args:
        audit: Is told who was refused.
    """

    def __init__(self, audit: Audit | None = None) -> None:
        self._audit = audit or LogAudit()
        self._inner = health.aio.HealthServicer()
        self._watchers = 0

    def add_to(self, server: grpc.aio.Server) -> None:
        """Has a server answer."""

        async def check(_requests: object, context: Any) -> Any:
            return await self._inner.Check(_WHOLE, context)

        async def watch(_requests: object, context: Any) -> None:
            if self._watchers >= MOST_WATCHERS:
                code = grpc.StatusCode.RESOURCE_EXHAUSTED
                self._audit.refused(
                    None, context.peer(), RefusedCall(method=_WATCH, code=code.name)
                )
                await context.abort(
                    code,
                    f"{MOST_WATCHERS} watch how the server is already; ask by Check",
                )
            self._watchers += 1
            try:
                await self._inner.Watch(_WHOLE, context)
            finally:
                self._watchers -= 1

        # On the wire there is no difference between one request and a stream of one,
        # but of a stream nothing is read before it is asked for.
        serializer = health_pb2.HealthCheckResponse.SerializeToString
        server.add_registered_method_handlers(
            health.SERVICE_NAME,
            {
                "Check": grpc.stream_unary_rpc_method_handler(
                    check, response_serializer=serializer
                ),
                "Watch": grpc.stream_stream_rpc_method_handler(
                    watch, response_serializer=serializer
                ),
            },
        )

    async def serve(self) -> None:
        """Says that the server is serving."""
        await self._inner.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Says that it takes no more calls, from now on."""
        await self._inner.enter_graceful_shutdown()
