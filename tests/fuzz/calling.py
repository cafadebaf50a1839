"""Calls at the level of bytes: no generated code stands between a request and the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import replace
from time import monotonic
from typing import Any, Final, Self

import grpc

from qdispatch.codec import ERROR_DETAIL_KEY
from qdispatch.v1 import qdispatch_pb2 as pb
from tests.fuzz.requests import Request
from tests.fuzz.verdict import Ended

#: No call takes so long.
PATIENCE_S: Final = 60.0
# A stream goes on for as long as its job does.
_WATCH_S: Final = 0.1
_ANSWERS: Final = 4
# What grpc's client says of a call that has ended before all was sent.
_OWN: Final = "Internal error from Core"
_OPTIONS: Final = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
)


class Caller:
    """Connections to a fuzzed server.

    Args:
        ports: Where tokens are asked for, and where not.
        connections: How many to each.
    """

    def __init__(self, ports: tuple[int, int], connections: int = 2) -> None:
        self._guarded, self._open = (
            [grpc.aio.insecure_channel(f"127.0.0.1:{port}", _OPTIONS) for _ in range(connections)]
            for port in ports
        )
        self._number = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for channel in (*self._guarded, *self._open):
            await channel.close()

    async def call(self, request: Request) -> Ended:
        """Sends a request; says how it ended."""
        channels = self._open if request.caller == "anonymous" else self._guarded
        self._number += 1
        channel = channels[self._number % len(channels)]
        began = monotonic()
        if request.method.streams or len(request.messages) != 1:
            ended = await self._stream(channel, request)
        else:
            ended = await self._one(channel, request)
        return replace(ended, took_s=monotonic() - began)

    async def _one(self, channel: grpc.aio.Channel, request: Request) -> Ended:
        call = channel.unary_unary(request.method.path)
        try:
            answer = await call(
                request.body,
                metadata=request.metadata,
                timeout=request.timeout_s or PATIENCE_S,
            )
        except grpc.aio.AioRpcError as error:
            return _end(error)
        return Ended(code=grpc.StatusCode.OK, answers=(answer,))

    async def _stream(self, channel: grpc.aio.Channel, request: Request) -> Ended:
        async def messages() -> AsyncIterator[bytes]:
            for each in request.messages:
                yield each

        limits = {"metadata": request.metadata, "timeout": request.timeout_s or PATIENCE_S}
        # What ends while a message is still to be sent ends as INTERNAL, by the client
        # itself: where it can send the one that there is with the rest, it does.
        if len(request.messages) == 1:
            call = channel.unary_stream(request.method.path)(request.body, **limits)
        else:
            call = channel.stream_stream(request.method.path)(messages(), **limits)
        answers: list[bytes] = []
        given_up = False
        try:
            while len(answers) < _ANSWERS:
                answer = await self._next(call, request, patient=not answers)
                if answer is grpc.aio.EOF:
                    return Ended(code=await call.code(), answers=tuple(answers))
                if answer is None:
                    break
                answers.append(answer)
            given_up = True
        except grpc.aio.AioRpcError as error:
            # See above.
            own = len(request.messages) != 1 and error.details() == _OWN
            return replace(_end(error), answers=tuple(answers), given_up=own)
        finally:
            if given_up:
                call.cancel()
        return Ended(code=grpc.StatusCode.CANCELLED, answers=tuple(answers), given_up=True)

    async def _next(self, call: Any, request: Request, *, patient: bool) -> Any:
        """The next answer; None if there is none for now."""
        # The first event of a job was long ago.
        waits = request.method.name.startswith("Watch") and not (patient and _tells(request))
        if not waits:
            return await call.read()
        with suppress(TimeoutError):
            async with asyncio.timeout(_WATCH_S):
                return await call.read()
        return None


def _tells(request: Request) -> bool:
    asked = request.decoded()
    return isinstance(asked, pb.WatchJobRequest | pb.WatchBatchRequest) and not asked.after


def _end(error: grpc.aio.AioRpcError) -> Ended:
    trailing: Mapping[str, Any] = dict(error.trailing_metadata() or ())
    return Ended(
        code=error.code(),
        text=error.details() or "",
        detail=trailing.get(ERROR_DETAIL_KEY),
    )
