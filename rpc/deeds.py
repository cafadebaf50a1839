"""What each call of qdispatch.v1 changes, for the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from app.audit import (
    Deed,
    RefusedCall,
    batch_canceled,
    batch_created,
    job_canceled,
    job_created,
    job_deleted,
    jobs_canceled,
    jobs_left_open,
    jobs_not_found,
)
from app.cancellation import CutShortError
from qdispatch.codec import decode_cancellation, decode_verdict
from qdispatch.model import Cancellation
from qdispatch.v1 import qdispatch_pb2 as pb

_SERVICE: Final = pb.DESCRIPTOR.services_by_name["QDispatch"].full_name
_CANCEL_JOBS: Final = f"/{_SERVICE}/CancelJobs"

#: What a call has done, by its request and its answer; and what of it was refused.
Told = Callable[[Any, Any], Iterable[Deed | RefusedCall]]


def _created(_: pb.CreateJobRequest, answer: pb.CreateJobResponse) -> Iterable[Deed]:
    return (job_created(answer.job.id, answer.job.spec.target),)


def _created_many(_: pb.CreateJobsRequest, answer: pb.CreateJobsResponse) -> Iterable[Deed]:
    return (batch_created(answer.batch.id, len(answer.job_ids)),)


def _canceled(_: pb.CancelJobRequest, answer: pb.CancelJobResponse) -> Iterable[Deed]:
    return (job_canceled(answer.job.id, decode_verdict(answer.verdict)),)


def _canceled_many(
    _: pb.CancelJobsRequest, answer: pb.CancelJobsResponse
) -> Iterable[Deed | RefusedCall]:
    return _of_many([decode_cancellation(each) for each in answer.cancellations])


def _of_many(ends: Sequence[Cancellation]) -> Iterable[Deed | RefusedCall]:
    return (*jobs_canceled(ends), *jobs_not_found(_CANCEL_JOBS, ends))


def _canceled_batch(
    request: pb.CancelBatchRequest, answer: pb.CancelBatchResponse
) -> Iterable[Deed]:
    ends = (decode_verdict(each.verdict) for each in answer.cancellations)
    return (batch_canceled(request.id, ends),)


def _deleted(request: pb.DeleteJobRequest, _: pb.DeleteJobResponse) -> Iterable[Deed]:
    return (job_deleted(request.id),)


def done_before(request: Any, error: Exception) -> Iterable[Deed | RefusedCall]:
    """What a call has done, or may have done, before it failed.

    Args:
        request: Of the call.
        error: What it failed by.
    """
    if not isinstance(error, CutShortError):
        return ()
    verdicts = error.ends.values()
    if isinstance(request, pb.CancelBatchRequest):
        return (batch_canceled(request.id, verdicts, len(error.left_open)),)
    if isinstance(request, pb.CancelJobsRequest):
        ends = [Cancellation(id=str(key), verdict=each) for key, each in error.ends.items()]
        return (*_of_many(ends), *jobs_left_open(list(map(str, error.left_open))))
    return (job_canceled(request.id, None),)


#: By the path of the method; whichever is not among them only reads.
DEEDS: Final[Mapping[str, Told]] = {
    f"/{_SERVICE}/CreateJob": _created,
    f"/{_SERVICE}/CreateJobs": _created_many,
    f"/{_SERVICE}/CancelJob": _canceled,
    _CANCEL_JOBS: _canceled_many,
    f"/{_SERVICE}/CancelBatch": _canceled_batch,
    f"/{_SERVICE}/DeleteJob": _deleted,
}
