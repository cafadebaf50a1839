"""Calls of methods that there are not: who calls is asked, and the audit told, as of all others.

grpc would end them by itself, without a word to anybody here.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc

from app.audit import Audit, LogAudit, RefusedCall
from rpc.edge import Context, Gate
from rpc.errors import Refusal, refusal

#: In the audit, for the name, which is whatever the caller has made up.
UNKNOWN: Final = "unknown"

_END: Final = Refusal(
    code=grpc.StatusCode.UNIMPLEMENTED, text="this server has no such method, or it is turned off"
)


class NoSuchMethod(grpc.GenericRpcHandler):
    """Refuses every call that nothing else serves.

    Args:
        gate: Says who calls.
        call_s: How long that may take, in seconds.
        audit: Is told.
    """

    def __init__(self, gate: Gate, *, call_s: float, audit: Audit | None = None) -> None:
        self._gate = gate
        self._call_s = call_s
        self._audit = audit or LogAudit()
        # Of a stream of requests nothing is read before it is asked for.
        self._handler: Any = grpc.stream_stream_rpc_method_handler(self._refuse)

    def service(self, _call: grpc.HandlerCallDetails) -> Any:
        """The handler of a call."""
        return self._handler

    async def _refuse(self, _requests: object, context: Context) -> None:
        caller = None
        end = _END
        try:
            async with asyncio.timeout(self._call_s):
                caller = await self._gate.admit(context)
        except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
            end = refusal(error, UNKNOWN)
        peer = context.peer() if caller is None else caller.peer
        self._audit.refused(caller, peer, RefusedCall(method=UNKNOWN, code=end.code.name))
        await context.abort(end.code, end.text, end.metadata)
