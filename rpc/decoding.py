"""Requests that are no valid messages: an answer that says which field is wrong.

gRPC alone would answer INTERNAL, "Exception deserializing request!".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from qdispatch.errors import InvalidJobError
from rpc.errors import abort

# Protobuf's wire type of strings, bytes and messages.
_LENGTH_DELIMITED = 2


class DecodingInterceptor(grpc.ServerInterceptor):
    """Decodes requests within the call, where a failure can be explained."""

    def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the unary methods of this project's own services."""
        handler = continuation(handler_call_details)
        method = handler_call_details.method
        if handler is None or handler.unary_unary is None or "/qdispatch." not in method:
            return handler
        # Types know no handler without one; methods of generated code have it.
        decode: Any = handler.request_deserializer
        inner = handler.unary_unary

        def unary_unary(data: bytes, context: grpc.ServicerContext) -> Any:
            try:
                request = decode(data)
            except DecodeError as error:
                abort(context, explain(data, _request_type(decode), error), method)
            return inner(request, context)

        return grpc.unary_unary_rpc_method_handler(
            unary_unary, response_serializer=handler.response_serializer
        )


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
    for unknown in fields:
        field = descriptor.fields_by_number.get(unknown.field_number)
        if field is None or unknown.wire_type != _LENGTH_DELIMITED:
            continue
        if field.message_type is not None:
            inner = _bad_text(unknown.data, field.message_type)
            if inner is not None:
                return f"{field.name}.{inner}"
        elif field.type == FieldDescriptor.TYPE_STRING:
            try:
                unknown.data.decode()
            except UnicodeDecodeError:
                return str(field.name)
    return None
