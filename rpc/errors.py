"""The one table from errors to gRPC's codes."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import grpc

from qdispatch import errors
from qdispatch.codec import ERROR_DETAIL_KEY
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
    (errors.UnavailableError, grpc.StatusCode.UNAVAILABLE),
)


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
            detail = pb.ErrorDetail(field=getattr(error, "field", "")).SerializeToString()
            return Refusal(code=code, text=str(error), metadata=((ERROR_DETAIL_KEY, detail),))
    _log.error("%s failed", call, exc_info=error)
    return Refusal(
        code=grpc.StatusCode.INTERNAL, text="a defect of the service; its log has the details"
    )


def abort(context: grpc.ServicerContext, error: Exception, call: str) -> NoReturn:
    """Ends a call with the code of an error; see `refusal`."""
    end = refusal(error, call)
    context.set_trailing_metadata(end.metadata)
    context.abort(end.code, end.text)


async def abort_async(
    context: grpc.aio.ServicerContext[Any, Any], error: Exception, call: str
) -> NoReturn:
    """Ends a call that is served on the event loop with the code of an error; see `refusal`."""
    end = refusal(error, call)
    await context.abort(end.code, end.text, end.metadata)
