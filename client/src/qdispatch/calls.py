"""How calls are made: repeated while the server is away, streams resumed.

Every call may be repeated: a submission carries its request_id, a stream says
where it broke off. gRPC's own retries end after five, in less time than a
server takes to start again.
"""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from time import monotonic
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from qdispatch import handshakes
from qdispatch.credentials import Credentials
from qdispatch.errors import AuthenticationError, QDispatchError, QuotaError
from qdispatch.refusals import is_the_servers, translated
from qdispatch.room import Room
from qdispatch.steps import Aside, Flow, Next, Open, Sleep, Unary

_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
# A server that never answered may not be there at all: its address may be wrong.
_FIRST_CONTACT_S: Final = 5.0

# In seconds. With much more, gRPC's calls neither answer nor end.
_LONGEST_S: Final = 1e9

# gRPC may find a little too early that time is up.
_LAST_MOMENT_S: Final = 0.001

_AWAY: Final = (grpc.StatusCode.UNAVAILABLE,)
# A server that stops cancels its streams, and one between may time them out.
_BROKEN: Final = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)

_GIVE_ONE: Final = (
    "; give a token: QDISPATCH_TOKEN, QDISPATCH_TOKEN_FILE or Client(token=...)."
    " Administrators of the server make them: python -m app token create --owner NAME"
)
_GIVE_ANOTHER: Final = (
    "; have administrators of the server make another token (python -m app token create"
    " --owner NAME), and put it where this one was"
)


class Calls:
    """The calls of one client, and what it knows of its server.

    Attributes:
        address: Host and port of the server.
        timeout_s: How long one call may take, in seconds.
        reached: Whether the server has ever answered.
    """

    def __init__(
        self, address: str, timeout_s: float, credentials: Credentials, quota_wait_s: float
    ) -> None:
        self.address = address
        self.timeout_s = min(timeout_s, _LONGEST_S)
        self.reached = False
        self._credentials = credentials
        self._quota_wait_s = quota_wait_s

    def submission(
        self, method: str, request: Message, quota_wait_s: float | None = None
    ) -> Flow[Any]:
        """As `unary`, but patient where a quota is used up.

        Args:
            method: Name of the call.
            request: What is sent.
            quota_wait_s: How long to wait for room, in seconds; as long as the client
                is told to if None.
        """
        wait_s = self._quota_wait_s if quota_wait_s is None else quota_wait_s
        return self.unary(method, request, Room(wait_s, "quota_wait_s"))

    def unary(self, method: str, request: Message, room: Room | None = None) -> Flow[Any]:
        """Calls, again and again while the server or a part of it is away, or has no room.

        Args:
            method: Name of the call.
            request: What is sent.
            room: How it waits for room; as long as a call may take if not given.
        """
        retry = Retry(self)
        room = room or self.room()
        while True:
            try:
                answer = yield Unary(method, request, retry.left_s())
            except grpc.RpcError as error:
                yield from self.explain(error)
                try:
                    pause_s = retry.pause_after(error, _AWAY)
                except QuotaError as refusal:
                    pause_s = room.pause_after(refusal)
                    # The waiting is none of the time that the call itself may take.
                    retry = Retry(self, after_s=pause_s)
            else:
                self.reached = True
                return answer
            yield Sleep(pause_s)

    def room(self) -> Room:
        """How a call waits for room in a quota that is no submission."""
        return Room(self.timeout_s, "timeout_s")

    def explain(self, error: grpc.RpcError) -> Flow[None]:
        """Raises what is wrong with the encryption, if that is why there is no connection.

        Raises:
            HandshakeError: It is; trying again would not help.
        """
        if is_the_servers(error):
            # Whatever it says of TLS, it is about connections of its own.
            return
        reason = handshakes.told(error, self.address, self._credentials)
        if reason is None and not self.reached and handshakes.is_unexplained(error):
            reason = yield Aside(handshakes.look(self.address, self._credentials))
        if reason is not None:
            raise reason from error

    def failure(self, error: grpc.RpcError) -> QDispatchError:
        """The error that stands for one of gRPC's, and says what to do."""
        failure = translated(error, self.address)
        if isinstance(failure, AuthenticationError):
            advice = _advice(failure.message, self._credentials)
            return AuthenticationError(failure.message + advice, field=failure.field)
        return failure


def _advice(refusal: str, credentials: Credentials) -> str:
    """What the server does not know: how a token is given to a client."""
    if "certificate" in refusal:
        return ""
    if not credentials.token:
        return _GIVE_ONE
    return "" if "token create" in refusal else _GIVE_ANOTHER


class Retry:
    """Whether and when a call is repeated, from its first failure to its last.

    Args:
        calls: Whose call it is.
        after_s: When its time begins, in seconds from now.
    """

    def __init__(self, calls: Calls, after_s: float = 0.0) -> None:
        self._calls = calls
        self._started = monotonic() + after_s
        self._pause_s = _FIRST_PAUSE_S

    def left_s(self) -> float:
        """What is left of the time that the call may take."""
        return self._started + self._calls.timeout_s - monotonic()

    def pause_after(self, error: grpc.RpcError, passing: tuple[grpc.StatusCode, ...]) -> float:
        """How long to wait before the next try, in seconds.

        Args:
            error: How the last one ended.
            passing: Codes that may pass.

        Raises:
            QDispatchError: The error is final, or there is no time left.
        """
        calls = self._calls
        calls.reached |= is_the_servers(error)
        pause_s = self.pause_s()
        patience_s = calls.timeout_s if calls.reached else min(calls.timeout_s, _FIRST_CONTACT_S)
        if error.code() not in passing or monotonic() + pause_s > self._started + patience_s:
            raise calls.failure(error) from error
        return pause_s

    def pause_s(self) -> float:
        """How long to wait before the next try, each time longer than before."""
        longest, self._pause_s = self._pause_s, min(2 * self._pause_s, _LONGEST_PAUSE_S)
        # Many clients that wait for one server must not come all at once.
        return uniform(longest / 2, longest)  # noqa: S311


class Deadline:
    """Until when something is waited for.

    Args:
        timeout_s: How long from now, in seconds; None for as long as it takes.
    """

    def __init__(self, timeout_s: float | None) -> None:
        self._until: float | None = None
        if timeout_s is not None and timeout_s < _LONGEST_S:
            self._until = monotonic() + timeout_s

    @property
    def is_set(self) -> bool:
        """Whether the waiting ends at all."""
        return self._until is not None

    def left_s(self) -> float | None:
        """What is left, in seconds; None for as long as it takes.

        Raises:
            TimeoutError: Nothing is left.
        """
        if self._until is None:
            return None
        left_s = self._until - monotonic()
        if left_s <= 0:
            raise TimeoutError
        return left_s

    def sleep(self, seconds: float) -> Flow[None]:
        """Lets time pass, but no more than is left.

        Raises:
            TimeoutError: Nothing is left.
        """
        left_s = self.left_s()
        yield Sleep(seconds if left_s is None else min(seconds, left_s))


class Stream:
    """A stream that is opened again where it broke off.

    Args:
        calls: Of the client.
        method: Name of the call.
        request: Makes the request that goes on after what was received.
        deadline: Until when there is to be a message; if not given, the
            stream has to bring one within the time of a call.
    """

    def __init__(
        self,
        calls: Calls,
        method: str,
        request: Callable[[], Message],
        deadline: Deadline | None = None,
    ) -> None:
        self._calls = calls
        self._method = method
        self._request = request
        self._deadline = deadline
        self._is_open = False
        self._retry: Retry | None = None
        self._room: Room | None = None

    def next(self) -> Flow[Any]:
        """The next message; None at the stream's end.

        Raises:
            QDispatchError: The server refuses, or has been away for too long.
            TimeoutError: There was none before the deadline.
        """
        deadline = self._deadline or Deadline(None)
        while True:
            try:
                if not self._is_open:
                    yield Open(self._method, self._request(), self._timeout_s())
                    self._is_open = True
                message = yield Next()
            except grpc.RpcError as error:
                pause_s = yield from self._after(error)
            else:
                self._calls.reached = True
                if message is not None:
                    self._retry = self._room = None
                return message
            yield from deadline.sleep(pause_s)

    def reopen(self) -> Flow[None]:
        """Has the next message come from a new stream: this one ended too early."""
        self._is_open = False
        self._retry = self._retry or Retry(self._calls)
        yield from (self._deadline or Deadline(None)).sleep(self._retry.pause_s())

    def _timeout_s(self) -> float | None:
        return self._calls.timeout_s if self._deadline is None else self._deadline.left_s()

    def _after(self, error: grpc.RpcError) -> Flow[float]:
        """The pause before it is opened again."""
        self._is_open = False
        yield from self._calls.explain(error)
        timed_out = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if timed_out and self._deadline is not None and self._deadline.is_set:
            return _LAST_MOMENT_S
        self._retry = self._retry or Retry(self._calls)
        try:
            return self._retry.pause_after(error, _BROKEN)
        except QuotaError as refusal:
            if self._deadline is not None:
                # Who watches can ask instead.
                raise
            self._room = self._room or self._calls.room()
            pause_s = self._room.pause_after(refusal)
            self._retry = Retry(self._calls, after_s=pause_s)
            return pause_s
