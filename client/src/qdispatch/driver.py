"""Carries flows out, in the thread that asks."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from time import sleep
from typing import Any, TypeVar

import grpc

from qdispatch import channel
from qdispatch.credentials import Credentials
from qdispatch.steps import Aside, Emit, Flow, Next, Open, Sleep, Unary
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc

T = TypeVar("T")


class Driver:
    """A connection, and how flows are carried out on it.

    Args:
        address: Host and port of the server.
        credentials: Shown to it.
        max_message_bytes: The most that one message may take.
    """

    def __init__(self, address: str, credentials: Credentials, *, max_message_bytes: int) -> None:
        options = channel.options(address, max_message_bytes)
        secrets = channel.channel_credentials(credentials)
        self._channel = (
            grpc.insecure_channel(address, options)
            if secrets is None
            else grpc.secure_channel(address, secrets, options)
        )
        self._metadata = credentials.metadata()
        self._stub: Any = pb_grpc.QDispatchStub(self._channel)
        self._is_closed = False

    def run(self, flow: Flow[T]) -> T:
        """Carries a flow out that emits nothing."""
        steps = self._steps(flow)
        try:
            while True:
                next(steps)
        except StopIteration as end:
            result: T = end.value
            return result

    def iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Hands out what a flow emits; a stream is canceled when it is left early."""
        return self._steps(flow)

    def is_serving(self, timeout_s: float) -> bool:
        """Whether the server says that it is serving."""
        check: Any = self._channel.unary_unary(channel.HEALTH_METHOD)
        try:
            answer: bytes = check(
                channel.HEALTH_REQUEST, timeout=timeout_s, metadata=self._metadata
            )
        except grpc.RpcError:
            return False
        return answer == channel.SERVING

    def close(self) -> None:
        """Closes the connection."""
        self._is_closed = True
        self._channel.close()

    def _steps(self, flow: Flow[T]) -> Generator[Any, None, T]:
        if self._is_closed:
            raise channel.closed()
        stream: Any = None
        answer: Any = None
        failure: grpc.RpcError | None = None
        try:
            while True:
                try:
                    step = flow.send(answer) if failure is None else flow.throw(failure)
                except StopIteration as end:
                    result: T = end.value
                    return result
                answer = failure = None
                try:
                    match step:
                        case Unary(method, request, timeout_s):
                            answer = getattr(self._stub, method)(
                                request, timeout=timeout_s, metadata=self._metadata
                            )
                        case Open(method, request, timeout_s):
                            stream = getattr(self._stub, method)(
                                request, timeout=timeout_s, metadata=self._metadata
                            )
                        case Next():
                            answer = next(stream, None)
                        case Sleep() | Aside():
                            answer = _away(step)
                        case Emit(value):
                            yield value
                except grpc.RpcError as error:
                    if self._is_closed:
                        raise channel.closed() from None
                    failure = error
        finally:
            flow.close()
            if stream is not None:
                stream.cancel()


def _away(step: Sleep | Aside) -> Any:
    """What has nothing to do with the connection."""
    return step.function() if isinstance(step, Aside) else sleep(step.seconds)
