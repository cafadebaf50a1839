"""What the logic of the client asks of the world, step by step.

An operation is a generator, a *flow*: it yields steps, is sent their answers,
has the errors of gRPC thrown into it where it stands, and returns what the
operation came to. Two small drivers carry flows out, one that blocks and one
that awaits; so that no logic is written for each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

T = TypeVar("T")


@dataclass(frozen=True)
class Unary:
    """Make a call; the answer is the server's."""

    method: str
    request: Message
    timeout_s: float


@dataclass(frozen=True)
class Open:
    """Open a stream, in place of the one before."""

    method: str
    request: Message
    timeout_s: float | None
    """How long it may live; None for as long as it takes."""


@dataclass(frozen=True)
class Next:
    """Wait for the stream's next message; the answer is None at its end."""


@dataclass(frozen=True)
class Sleep:
    """Let time pass."""

    seconds: float


@dataclass(frozen=True)
class Aside:
    """Call what blocks; the answer is what it returns."""

    function: Callable[[], Any]


@dataclass(frozen=True)
class Emit:
    """Hand out a value, of an operation that has many."""

    value: object


Step: TypeAlias = Unary | Open | Next | Sleep | Aside | Emit
Flow: TypeAlias = Generator[Step, Any, T]


def each(flow: Flow[T], handle: Callable[[Any], Flow[None] | None]) -> Flow[T]:
    """A flow whose values are handled instead of handed out.

    Args:
        flow: Emits values.
        handle: Takes each of them; what it returns is carried out.
    """
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
            if isinstance(step, Emit):
                yield from handle(step.value) or ()
                continue
            try:
                answer = yield step
            except grpc.RpcError as error:
                failure = error
    finally:
        flow.close()


def gathered(flow: Flow[None]) -> Flow[list[Any]]:
    """All that a flow emits, as a list."""
    values: list[Any] = []
    yield from each(flow, values.append)
    return values
