"""Requests that are no valid messages: an answer that says which field is wrong.

gRPC alone would answer INTERNAL, "Exception deserializing request!".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from qdispatch.errors import InvalidJobError
from rpc.errors import abort, abort_async

# Protobuf's wire type of strings, bytes and messages.
_LENGTH_DELIMITED = 2


class Decoding:
    """Stands for a server where a service is added to it.

    Its methods decode requests within the call, where a failure can be explained.
    An interceptor could do so too, and would take longer than many a call.

    Args:
        server: What serves them.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Leaves out what generated code adds besides, which does not decode so."""

    def add_registered_method_handlers(
        self, service: str, handlers: Mapping[str, grpc.RpcMethodHandler[Any, Any]]
    ) -> None:
        """Adds the methods of a service."""
        self._server.add_registered_method_handlers(
            service,
            {name: _wrapped(each, f"/{service}/{name}") for name, each in handlers.items()},
        )


def _wrapped(handler: Any, method: str) -> Any:
    # Types know no handler without one; methods of generated code have it.
    decode: Any = handler.request_deserializer
    serializer = handler.response_serializer
    if handler.unary_stream is not None:
        stream = _decoded_stream(handler.unary_stream, decode, method)
        return grpc.unary_stream_rpc_method_handler(stream, response_serializer=serializer)
    inner = handler.unary_unary
    decoded = _decoded_async if iscoroutinefunction(inner) else _decoded_call
    call = decoded(inner, decode, method)
    return grpc.unary_unary_rpc_method_handler(call, response_serializer=serializer)


def _decoded_call(inner: Callable[..., Any], decode: Any, method: str) -> Callable[..., Any]:
    def call(data: bytes, context: grpc.ServicerContext) -> Any:
        try:
            request = decode(data)
        except DecodeError as error:
            abort(context, explain(data, _request_type(decode), error), method)
        return inner(request, context)

    return call


def _decoded_async(inner: Callable[..., Any], decode: Any, method: str) -> Callable[..., Any]:
    async def call(data: bytes, context: Any) -> Any:
        try:
            request = decode(data)
        except DecodeError as error:
            await abort_async(context, explain(data, _request_type(decode), error), method)
        return await inner(request, context)

    return call


def _decoded_stream(inner: Callable[..., Any], decode: Any, method: str) -> Callable[..., Any]:
    async def stream(data: bytes, context: Any) -> AsyncIterator[Any]:
        try:
            request = decode(data)
        except DecodeError as error:
            await abort_async(context, explain(data, _request_type(decode), error), method)
        async for response in inner(request, context):
            yield response

    return stream


def _request_type(decode: Any) -> Descriptor:
    descriptor: Descriptor = decode.__self__.DESCRIPTOR
    return descriptor


def explain(data: bytes, descriptor: Descriptor, error: Exception) -> InvalidJobError:
    """What is wrong with a message that cannot be decoded.

    Args:
        data: The message.
        descriptor: What it should be.
        error: What the decoder said.
    """
    field = _bad_text(data, descriptor)
    if field is None:
        return InvalidJobError(f"the request is no {descriptor.full_name}: {error}")
    return InvalidJobError("must be text in UTF-8", field=field)


def _bad_text(data: bytes, descriptor: Descriptor) -> str | None:
    """The path of the first string in a message that is not UTF-8."""
    raw: Message = Empty()
    try:
        raw.ParseFromString(data)
    except DecodeError:
        return None
    fields: Any = UnknownFieldSet(raw)
    places: Counter[int] = Counter()
    for unknown in fields:
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type != _LENGTH_DELIMITED:
            continue
        if field.message_type is not None:
            inner = _bad_text(unknown.data, field.message_type)
            if inner is not None:
                place = f"[{places[field.number]}]" if field.is_repeated else ""
                return f"{field.name}{place}.{inner}"
            places[field.number] += 1
        elif field.type == FieldDescriptor.TYPE_STRING:
            try:
                unknown.data.decode()
            except UnicodeDecodeError:
                return str(field.name)
    return None
