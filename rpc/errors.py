"""The one table from errors to gRPC's codes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

import grpc

from qdispatch import errors
from qdispatch.codec import ERROR_DETAIL_KEY, encode_quota
from qdispatch.v1 import qdispatch_pb2 as pb

_log = logging.getLogger(__name__)

#: First match counts.
CODES: Final[tuple[tuple[type[errors.QDispatchError], grpc.StatusCode], ...]] = (
    (errors.InvalidJobError, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.UnknownTargetError, grpc.StatusCode.NOT_FOUND),
    (errors.JobNotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.BatchNotFoundError, grpc.StatusCode.NOT_FOUND),
    (errors.RequestConflictError, grpc.StatusCode.ALREADY_EXISTS),
    (errors.TargetDrainedError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.JobActiveError, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.TooLargeError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.QuotaError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.AuthenticationError, grpc.StatusCode.UNAUTHENTICATED),
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
)


class StalledError(TimeoutError):
    """Nothing of a stream was taken for too long.

    Args:
        after_s: For how long, in seconds.
    """

    def __init__(self, after_s: float) -> None:
        super().__init__(
            f"nothing of this stream was taken for {after_s:g} s (server.call_s), and it was"
            " given up; open it again"
        )


class OldStreamError(errors.UnavailableError):
    """A stream was open for as long as one may be. Nothing is wrong, and nobody is refused."""

    def __init__(self) -> None:
        super().__init__("this stream was open for as long as one may be; open it again")


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """How a call ends that cannot be answered."""

    code: grpc.StatusCode
    text: str
    metadata: tuple[tuple[str, bytes], ...] = ()


def refusal(error: Exception, call: str) -> Refusal:
    """How a call ends on an error.

    Args:
        error: What went wrong. One that the table does not have is a defect:
            it is logged, and the client is told no more than that.
        call: Names the call, with the id that it was given, in the log.
    """
    for kind, code in CODES:
        if isinstance(error, kind):
            # Also without a field: so that the client knows whose word it is.
            detail = pb.ErrorDetail(field=getattr(error, "field", ""))
            if isinstance(error, errors.QuotaError) and error.quota is not None:
                detail.quota.CopyFrom(encode_quota(error.quota))
            metadata = ((ERROR_DETAIL_KEY, detail.SerializeToString()),)
            return Refusal(code=code, text=str(error), metadata=metadata)
    if isinstance(error, TimeoutError):
        return Refusal(
            code=grpc.StatusCode.DEADLINE_EXCEEDED,
            text=str(error)
            or "this call took too long and was given up; whether it went through is open",
        )
    _log.error("%s failed", call, exc_info=error)
    return Refusal(
        code=grpc.StatusCode.INTERNAL, text="a defect of the service; its log has the details"
    )
