"""Where calls come in: what is true of every one of them.

A call is let in by what it brings along, before any of its message is read, if there
is room for one more; its message is decoded where a failure can be explained; it gets
so much time and no more; and whatever goes wrong leaves as one of gRPC's codes, without
a traceback. The audit is told what it has changed, or that it was refused. Who serves a
method is told who calls, and raises what it has to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, aclosing
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import Message

from app.audit import Audit, Deed, LogAudit, RefusedCall
from app.identity import EVERYBODY, Caller
from app.ids import known_id
from qdispatch.errors import InvalidJobError, QuotaError
from rpc.decoding import Form
from rpc.deeds import DEEDS, Told, done_before
from rpc.errors import OldStreamError, Refusal, refusal
from rpc.limits import MOST_REQUEST_BYTES, REQUEST_BYTES
from rpc.load import Load, Portion
from rpc.shelf import ToSend
from rpc.streams import Streams

# Messages up to this are decoded as they are: they cannot take much. Those above the
# other are decoded in a thread, so that nobody waits for them. In bytes.
_SMALL_BYTES: Final = 4 * 2**10
_LARGE_BYTES: Final = 64 * 2**10

#: One call, as grpc's asynchronous server knows it.
Context = grpc.aio.ServicerContext[Any, Any]


class Gate(Protocol):
    """Says who calls."""

    async def admit(self, context: Context) -> Caller:
        """Lets a call in.

        Args:
            context: Of the call, of which nothing has been read yet.

        Raises:
            QDispatchError: It is not let in.
        """


class OpenGate:
    """Lets everybody in, as the one owner that there is."""

    async def admit(self, context: Context) -> Caller:
        """Lets a call in."""
        return replace(EVERYBODY, peer=context.peer())


OPEN: Final = OpenGate()


class Edge:
    """Stands for a server where a service is added to it.

    An interceptor could do the same, and would take longer than many a call.

    Args:
        server: What serves them.
        gate: Says who calls.
        load: Says whether there is room for one more.
        to_send: Says whether there is room for an answer.
        threads: Where methods that block do their work.
        call_s: How long one call may take that is no stream, in seconds; of a stream, how
            long its request may take to come, and each answer to be taken.
        stream_s: How long one stream may be open, in seconds, about.
        audit: Is told what calls have changed, and which were refused.
    """

    def __init__(
        self,
        server: grpc.aio.Server,
        *,
        gate: Gate,
        load: Load,
        to_send: ToSend,
        threads: Executor,
        call_s: float,
        stream_s: float,
        audit: Audit | None = None,
    ) -> None:
        self._server = server
        self._gate = gate
        self._load = load
        self._to_send = to_send
        self._threads = threads
        self._call_s = call_s
        self._audit = audit or LogAudit()
        self._streams = Streams(gate.admit, age_s=stream_s, stall_s=call_s)

    async def close(self) -> None:
        """Looks after its streams no more."""
        await self._streams.close()

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Leaves out what generated code adds besides, which does not come through here."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Adds the methods of a service."""
        self._server.add_registered_method_handlers(
            service,
            {name: self._guarded(each, f"/{service}/{name}") for name, each in handlers.items()},
        )

    def _guarded(self, handler: Any, method: str) -> Any:
        # Types know no handler without one; methods of generated code have it.
        decode: Any = handler.request_deserializer
        form = Form(decode, MOST_REQUEST_BYTES.get(method, REQUEST_BYTES))
        serializer = handler.response_serializer
        # On the wire there is no difference between one request and a stream of one.
        # But of a stream, nothing is read before it is asked for: who is not let in
        # cannot fill the memory.
        if handler.unary_stream is not None:
            stream = self._stream(handler.unary_stream, form, method)
            return grpc.stream_stream_rpc_method_handler(stream, response_serializer=serializer)
        if handler.stream_stream is not None:
            converse = self._conversation(handler.stream_stream, form, method)
            return grpc.stream_stream_rpc_method_handler(converse, response_serializer=serializer)
        call = self._call(handler.unary_unary, form, serializer, method)
        return grpc.stream_unary_rpc_method_handler(call)

    def _call(
        self, inner: Callable[..., Any], form: Form, encode: Any, method: str
    ) -> Callable[..., Any]:
        blocks = not iscoroutinefunction(inner)
        if told := DEEDS.get(method):
            inner = self._noted(inner, told)

        async def call(_requests: object, context: Context) -> bytes | None:
            caller = request = None
            try:
                async with asyncio.timeout(self._call_s):
                    caller = await self._gate.admit(context)
                    with (
                        self._load.call(caller.owner),
                        self._load.message(caller.owner) as portion,
                    ):
                        request = await self._read(context, form, portion)
                        if blocks:
                            answer = await self._in_thread(inner, request, caller)
                        else:
                            answer = await inner(request, caller)
                        data: bytes = encode(answer)
                        self._to_send.answer(caller.owner, len(data), context)
                        return data
            except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
                end = self._refused(context, error, method, caller, request)
                request = None
            await _end(context, end)
            return None

        return call

    async def _read(self, context: Context, form: Form, portion: Portion) -> Message:
        data = await portion.read(context)
        if data is grpc.aio.EOF:
            raise InvalidJobError("the call came without a request")
        size = len(data)
        if size <= _SMALL_BYTES:
            portion.takes(0)
            return form.decode(data)
        form.check_size(size)
        portion.takes(size)
        if size <= _LARGE_BYTES:
            portion.takes(form.weigh(data))
            return form.decode(data)
        portion.takes(await self._in_thread(form.weigh, data))
        request: Message = await self._in_thread(form.decode, data)
        return request

    async def _in_thread(self, inner: Callable[..., Any], *given: Any) -> Any:
        call: list[Any] = [inner, *given]
        # Not by the future: it keeps itself, and what it has, until somebody looks for
        # such things. That may be a large message, or an error with its frames.
        ends: list[tuple[Any, Exception | None]] = []

        def work() -> None:
            act, *given = call
            try:
                ends.append((act(*given), None))
            except Exception as error:  # noqa: BLE001 - raised where it is awaited
                ends.append((None, error))

        future = self._threads.submit(work)
        try:
            await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if future.cancel():
                # Its place among what waits for a thread stays; its message must not.
                call.clear()
            raise
        answer, error = ends.pop()
        call.clear()
        if error is None:
            return answer
        try:
            raise error
        finally:
            del error

    def _noted(self, inner: Callable[..., Any], told: Told) -> Callable[..., Any]:
        """A method of which the audit hears what it has done, also if nobody waits any more.

        What works in a thread goes on; what awaits has to see to it itself.
        """

        async def awaiting(request: Message, caller: Caller) -> Any:
            answer = await inner(request, caller)
            self._note(caller, told(request, answer))
            return answer

        def blocking(request: Message, caller: Caller) -> Any:
            try:
                answer = inner(request, caller)
            except Exception as error:
                self._note(caller, done_before(request, error))
                raise
            self._note(caller, told(request, answer))
            return answer

        return awaiting if iscoroutinefunction(inner) else blocking

    def _note(self, caller: Caller, records: Iterable[Deed | RefusedCall]) -> None:
        for each in records:
            if isinstance(each, Deed):
                self._audit.done(caller, each)
            else:
                self._audit.refused(caller, caller.peer, each)

    def _stream(self, inner: Callable[..., Any], form: Form, method: str) -> Callable[..., Any]:
        async def stream(_requests: object, context: Context) -> None:
            caller = request = None
            # Until its end has been sent: who takes nothing has not left, and counts.
            with ExitStack() as slot:
                try:
                    async with asyncio.timeout(self._call_s):
                        caller = await self._gate.admit(context)
                        slot.enter_context(self._load.stream(caller.owner))
                        with self._load.message(caller.owner) as portion:
                            request = await self._read(context, form, portion)
                    async with self._streams.one(context, caller) as opened:
                        await opened.tell(inner(request, caller))
                except grpc.aio.InternalError:
                    # Its client has left; grpc sees to that.
                    raise
                except Exception as error:  # noqa: BLE001 - as above
                    end = self._refused(context, error, method, caller, request)
                    request = None
                else:
                    return
                await _end(context, end)

        return stream

    def _conversation(
        self, inner: Callable[..., Any], form: Form, method: str
    ) -> Callable[..., Any]:
        async def converse(_requests: object, context: Context) -> None:
            caller = None
            with ExitStack() as slot:
                try:
                    async with asyncio.timeout(self._call_s):
                        caller = await self._gate.admit(context)
                        slot.enter_context(self._load.conversation(caller.owner))
                    async with (
                        self._streams.one(context, caller) as opened,
                        aclosing(self._arriving(context, form)) as requests,
                    ):
                        await opened.tell(inner(requests, context))
                except grpc.aio.InternalError:
                    # As above.
                    raise
                except Exception as error:  # noqa: BLE001 - as above
                    end = self._refused(context, error, method, caller)
                else:
                    return
                await _end(context, end)

        return converse

    async def _arriving(self, context: Context, form: Form) -> AsyncGenerator[Message, None]:
        while True:
            async with asyncio.timeout(self._call_s):
                data = await context.read()
            if data is grpc.aio.EOF:
                return
            form.check_size(len(data))
            yield form.decode(data)

    def _refused(
        self,
        context: Context,
        error: Exception,
        method: str,
        caller: Caller | None = None,
        request: Message | None = None,
    ) -> Refusal:
        end = refusal(error, _named(method, request))
        if not isinstance(error, OldStreamError):
            self._audit.refused(
                caller,
                context.peer() if caller is None else caller.peer,
                RefusedCall(
                    method=method,
                    code=end.code.name,
                    field=getattr(error, "field", ""),
                    quota=_quota(error),
                    wanted=getattr(request, "id", ""),
                ),
            )
        return end


async def _end(context: Context, end: Refusal) -> None:
    """Ends a call; outside of what handles an error.

    grpc keeps what it raises for that, which keeps all that is handled meanwhile: the
    error, its frames and their messages, until somebody looks for what keeps itself.
    """
    await context.abort(end.code, end.text, end.metadata)


def _quota(error: Exception) -> str:
    return error.quota.name if isinstance(error, QuotaError) and error.quota else ""


def _named(method: str, request: Any) -> str:
    """Names a call, with the id that it was given, in the log."""
    given = getattr(request, "request_id", "") or getattr(request, "id", "")
    # What is no id may be any text. The client's request_ids are without dashes.
    key = known_id(given)
    if key is None:
        return method
    return f"{method} {given if given == key.hex else key}"
