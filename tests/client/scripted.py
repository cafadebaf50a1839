"""A server that answers by a script, on a real socket."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import grpc
from google.protobuf.message import Message

from qdispatch.codec import ERROR_DETAIL_KEY, encode_quota
from qdispatch.errors import AuthenticationError, QuotaError, RequestError
from qdispatch.v1 import qdispatch_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["QDispatch"]
_CODES = {
    QuotaError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    AuthenticationError: grpc.StatusCode.UNAUTHENTICATED,
}

#: A message, a code to end with, a refusal with a field, what to call, or, of
#: a stream, a list of them.
Answer = Any


class ScriptedServer:
    """Answers each call by the next line of its script; the last line is said again and again.

    Calls without a script are not implemented.

    Args:
        secrets: What it encrypts with, if it does.
    """

    def __init__(self, secrets: grpc.ServerCredentials | None = None) -> None:
        self.requests: list[tuple[str, Any]] = []
        self.tokens: list[tuple[str, Any]] = []
        """Of each call, its method, and what came as authorization."""
        self.ended: list[str] = []
        """Methods of the streams that have ended."""
        self._scripts: dict[str, deque[Answer]] = {}
        self._secrets = secrets
        self._server, self.port = self._started(0)
        self.address = f"127.0.0.1:{self.port}"

    def _started(self, port: int) -> tuple[grpc.Server, int]:
        server = grpc.server(ThreadPoolExecutor(8))
        handlers = {method.name: self._handler(method) for method in _SERVICE.methods}
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(_SERVICE.full_name, handlers),
                grpc.method_handlers_generic_handler(
                    "grpc.health.v1.Health",
                    {"Check": grpc.unary_unary_rpc_method_handler(self._health)},
                ),
            )
        )
        address = f"127.0.0.1:{port}"
        if self._secrets is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, self._secrets)
        server.start()
        return server, port

    def say(self, method: str, *answers: Answer) -> None:
        self._scripts[method] = deque(answers)

    def asked(self, method: str) -> list[Any]:
        """The requests of a method so far."""
        return [request for name, request in self.requests if name == method]

    def stop(self) -> None:
        self._server.stop(None).wait()

    def restart(self) -> None:
        """Breaks all connections, and comes back at the same address."""
        self.stop()
        self._server, _ = self._started(self.port)

    def _note(self, method: str, context: grpc.ServicerContext) -> None:
        given = dict(context.invocation_metadata()).get("authorization")
        self.tokens.append((method, given))

    def _health(self, _request: bytes, context: grpc.ServicerContext) -> bytes:
        self._note("Check", context)
        return b"\x08\x01"

    def _handler(self, method: Any) -> grpc.RpcMethodHandler:
        def answer(request: Message, context: grpc.ServicerContext) -> Any:
            self.requests.append((method.name, request))
            self._note(method.name, context)
            script = self._scripts.get(method.name)
            if not script:
                context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such method")
            line = script.popleft() if len(script) > 1 else script[0]
            return _said(line, request, context)

        def stream(request: Message, context: grpc.ServicerContext) -> Iterator[Any]:
            context.add_callback(lambda: self.ended.append(method.name))
            for line in answer(request, context):
                message = _said(line, request, context)
                if message is not None:
                    yield message

        kinds = {
            "request_deserializer": getattr(pb, method.input_type.name).FromString,
            "response_serializer": getattr(pb, method.output_type.name).SerializeToString,
        }
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(stream, **kinds)
        return grpc.unary_unary_rpc_method_handler(answer, **kinds)


def silence(_request: Message, context: grpc.ServicerContext) -> None:
    """Says nothing more until the client has gone."""
    gone = Event()
    if context.add_callback(gone.set):
        gone.wait()


def _said(line: Answer, request: Message, context: grpc.ServicerContext) -> Any:
    if isinstance(line, grpc.StatusCode):
        context.abort(line, "as the script says")
    if isinstance(line, RequestError):
        detail = pb.ErrorDetail(field=line.field)
        if isinstance(line, QuotaError) and line.quota is not None:
            detail.quota.CopyFrom(encode_quota(line.quota))
        context.set_trailing_metadata(((ERROR_DETAIL_KEY, detail.SerializeToString()),))
        context.abort(_CODES.get(type(line), grpc.StatusCode.NOT_FOUND), str(line))
    if callable(line):
        return _said(line(request, context), request, context)
    return line
