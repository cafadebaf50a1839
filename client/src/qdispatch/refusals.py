"""What gRPC says went wrong, as an error of qdispatch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import grpc

from qdispatch import errors
from qdispatch.codec import ERROR_DETAIL_KEY, decode_quota
from qdispatch.v1 import qdispatch_pb2 as pb

_REFUSALS: Final[Mapping[grpc.StatusCode, type[errors.RequestError]]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidJobError,
    grpc.StatusCode.NOT_FOUND: errors.JobNotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.RequestConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.JobActiveError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.TooLargeError,
    grpc.StatusCode.UNAUTHENTICATED: errors.AuthenticationError,
}
# Where one code stands for several things, the field at fault tells which.
_REFUSALS_OF_FIELDS: Final[Mapping[tuple[grpc.StatusCode, str], type[errors.RequestError]]] = {
    (grpc.StatusCode.NOT_FOUND, "target"): errors.UnknownTargetError,
    (grpc.StatusCode.NOT_FOUND, "batch_id"): errors.BatchNotFoundError,
    (grpc.StatusCode.FAILED_PRECONDITION, "target"): errors.TargetDrainedError,
}


def is_the_servers(error: grpc.RpcError) -> bool:
    """Whether a server has answered, if only that a part of it is away."""
    return _detail(error) is not None


def translated(error: grpc.RpcError, address: str) -> errors.QDispatchError:
    """The error that stands for one of gRPC's.

    Args:
        error: As a channel raises it.
        address: Of the server, for the message.
    """
    code, text = error.code(), error.details() or ""
    detail = _detail(error)
    field = "" if detail is None else detail.field
    text = text.removeprefix(f"{field}: ")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and detail is None:
        return errors.TooLargeError(_too_large(text))
    if detail is not None and detail.HasField("quota"):
        quota = decode_quota(detail.quota)
        return errors.QuotaError(_over(text, quota), field=field, quota=quota)
    if code in _REFUSALS:
        last = field.rpartition(".")[2]
        kind = _REFUSALS_OF_FIELDS.get((code, last), _REFUSALS[code])
        return kind(text, field=field)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return errors.UnavailableError(f"no answer from {address}: {text}")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return errors.UnimplementedError(
            f"the server at {address} is older than this call; upgrade it ({text})"
        )
    return errors.ServerError(f"{code.name}: {text}")


def _too_large(text: str) -> str:
    """What to do about a message that gRPC has refused, which says no more than its size."""
    return (
        f"{text}: send or ask for less at once, such as smaller batches, or raise"
        " server.max_message_bytes of the server and max_message_bytes of the client"
    )


def _over(text: str, quota: errors.Quota) -> str:
    """A refusal that says which limit, how much is used and when to come back."""
    if quota.name in text:
        return text
    after_s = quota.retry_after_s
    when = "waiting does not help" if after_s is None else f"come back in {after_s:,.0f} s"
    return f"{text} (over quota {quota}: {when})"


def _detail(error: grpc.RpcError) -> pb.ErrorDetail | None:
    metadata: Any = error.trailing_metadata() or ()
    for key, value in metadata:
        if key == ERROR_DETAIL_KEY:
            return pb.ErrorDetail.FromString(value)
    return None
