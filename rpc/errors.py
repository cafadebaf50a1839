"""The one table from errors to gRPC's codes."""

from __future__ import annotations

import logging
from typing import Final, NoReturn

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


def abort(context: grpc.ServicerContext, error: Exception, call: str) -> NoReturn:
    """Ends a call with the code of an error.

    Args:
        context: Of the call.
        error: What went wrong. One that the table does not have is a defect:
            it is logged, and the client is told no more than that.
        call: Names the call, with the id that it was given, in the log.
    """
    for kind, code in CODES:
        if isinstance(error, kind):
            # Also without a field: so that the client knows whose word it is.
            detail = pb.ErrorDetail(field=getattr(error, "field", "")).SerializeToString()
            context.set_trailing_metadata(((ERROR_DETAIL_KEY, detail),))
            context.abort(code, str(error))
    _log.error("%s failed", call, exc_info=error)
    context.abort(grpc.StatusCode.INTERNAL, "a defect of the service; its log has the details")
