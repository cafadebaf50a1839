"""Carries flows out, in an event loop."""

from __future__ import annotations

from asyncio import CancelledError, current_task, sleep, to_thread
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

import grpc
import grpc.aio

from qdispatch import channel
from qdispatch.credentials import Credentials
from qdispatch.steps import Aside, Emit, Flow, Next, Open, Sleep, Unary
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc

T = TypeVar("T")


class AsyncDriver:
    """A connection, and how flows are carried out on it.

    Args:
        address: Host and port of the server.
        credentials: Shown to it.
        max_message_bytes: The most that one message may take.
    """

    def __init__(self, address: str, credentials: Credentials, *, max_message_bytes: int) -> None:
        self._address = address
        self._secrets = channel.channel_credentials(credentials)
        self._metadata = credentials.metadata()
        self._options = channel.options(address, max_message_bytes)
        self._channel: grpc.aio.Channel | None = None
        self._is_closed = False

    async def run(self, flow: Flow[T]) -> T:
        """Carries a flow out that emits nothing."""
        ends: list[T] = []
        async for _ in self._steps(flow, ends):
            pass
        return ends[0]

    def iterate(self, flow: Flow[None]) -> AsyncIterator[Any]:
        """Hands out what a flow emits; a stream is canceled when it is left early."""
        return self._steps(flow, [])

    async def is_serving(self, timeout_s: float) -> bool:
        """Whether the server says that it is serving."""
        check: Any = self._connected().unary_unary(channel.HEALTH_METHOD)
        try:
            answer: bytes = await check(
                channel.HEALTH_REQUEST, timeout=timeout_s, metadata=self._metadata
            )
        except grpc.RpcError:
            return False
        return answer == channel.SERVING

    async def close(self) -> None:
        """Closes the connection."""
        self._is_closed = True
        if self._channel is not None:
            await self._channel.close()

    def _connected(self) -> grpc.aio.Channel:
        """The channel; made late, since it belongs to the loop that runs then."""
        if self._is_closed:
            raise channel.closed()
        if self._channel is None:
            self._channel = (
                grpc.aio.insecure_channel(self._address, self._options)
                if self._secrets is None
                else grpc.aio.secure_channel(self._address, self._secrets, self._options)
            )
        return self._channel

    def _explain_cancellation(self) -> None:
        """Raises the error of a closed client, of which gRPC says no more than that."""
        task = current_task()
        if self._is_closed and (task is None or not task.cancelling()):
            raise channel.closed() from None

    async def _steps(self, flow: Flow[T], ends: list[T]) -> AsyncGenerator[Any, None]:
        """Hands out what is emitted, and adds what the flow returns to ``ends``."""
        stub: Any = pb_grpc.QDispatchStub(self._connected())
        stream: Any = None
        answer: Any = None
        failure: grpc.RpcError | None = None
        try:
            while True:
                try:
                    step = flow.send(answer) if failure is None else flow.throw(failure)
                except StopIteration as end:
                    ends.append(end.value)
                    return
                answer = failure = None
                try:
                    match step:
                        case Unary(method, request, timeout_s):
                            answer = await getattr(stub, method)(
                                request, timeout=timeout_s, metadata=self._metadata
                            )
                        case Open(method, request, timeout_s):
                            stream = getattr(stub, method)(
                                request, timeout=timeout_s, metadata=self._metadata
                            )
                        case Next():
                            message = await stream.read()
                            answer = None if message is grpc.aio.EOF else message
                        case Sleep() | Aside():
                            answer = await _away(step)
                        case Emit(value):
                            yield value
                except grpc.RpcError as error:
                    if self._is_closed:
                        raise channel.closed() from None
                    failure = error
                except CancelledError:
                    self._explain_cancellation()
                    raise
        finally:
            flow.close()
            if stream is not None:
                stream.cancel()


async def _away(step: Sleep | Aside) -> Any:
    """What has nothing to do with the connection."""
    if isinstance(step, Aside):
        return await to_thread(step.function)
    return await sleep(step.seconds)
