"""Whether a server answers: for those who look after it, and have no token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import grpc

from qdispatch.channel import HEALTH_METHOD, HEALTH_REQUEST, SERVING

# Says nothing of anybody's, and is cheap; an empty request needs no generated code.
_ANY_METHOD: Final = "/qdispatch.v1.QDispatch/ListTargets"
_ANSWERS: Final = frozenset({grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED})


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How one who looks after a server knows it, and is known; all in PEM."""

    roots: bytes
    """What has signed the server's certificate, or that itself."""
    name: str
    """A name in the server's certificate, whatever address it is reached by."""
    certificate: bytes | None = None
    """Of the client, if the server asks for one."""
    key: bytes | None = None


def is_serving(
    address: str, *, timeout_s: float, trust: Trust | None = None, has_health: bool = True
) -> bool:
    """Whether a server says that it is serving.

    Args:
        address: Host and port, or what else gRPC takes.
        timeout_s: How long it may take, in seconds.
        trust: How its connections are encrypted; None for not at all.
        has_health: Whether it has gRPC's health protocol. If not, any answer will do.
    """
    with _channel(address, trust) as channel:
        method = HEALTH_METHOD if has_health else _ANY_METHOD
        check: Any = channel.unary_unary(method)
        try:
            answer: bytes = check(HEALTH_REQUEST, timeout=timeout_s)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else None
            return not has_health and code in _ANSWERS
        return answer == SERVING or not has_health


def _channel(address: str, trust: Trust | None) -> grpc.Channel:
    if trust is None:
        return grpc.insecure_channel(address)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=trust.roots,
        private_key=trust.key,
        certificate_chain=trust.certificate,
    )
    return grpc.secure_channel(
        address, credentials, options=(("grpc.ssl_target_name_override", trust.name),)
    )
