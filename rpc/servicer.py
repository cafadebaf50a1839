"""Decode, call the service, encode. Nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import grpc

from app.service import JobService
from qdispatch.codec import VERDICT, decode_spec, encode_cancellation, encode_job, encode_target
from qdispatch.errors import TooLargeError
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.v1 import qdispatch_pb2_grpc as pb_grpc
from rpc.errors import abort

T = TypeVar("T")


class QDispatchServicer(pb_grpc.QDispatchServicer):
    """qdispatch.v1 over a `JobService`.

    Args:
        service: The core.
        max_result_bytes: The most that the results in one answer may take.
    """

    def __init__(self, service: JobService, *, max_result_bytes: int) -> None:
        self._service = service
        self._max_result_bytes = max_result_bytes

    def CreateJob(  # noqa: N802
        self, request: pb.CreateJobRequest, context: grpc.ServicerContext
    ) -> pb.CreateJobResponse:
        """Stores a job."""

        def call() -> pb.CreateJobResponse:
            spec = decode_spec(request.spec)
            job = self._service.submit(spec, request_id=request.request_id)
            return pb.CreateJobResponse(job=encode_job(job))

        return _answer(call, context, f"CreateJob {request.request_id}")

    def GetJob(  # noqa: N802
        self, request: pb.GetJobRequest, context: grpc.ServicerContext
    ) -> pb.GetJobResponse:
        """Reads a job."""

        def call() -> pb.GetJobResponse:
            job = encode_job(self._service.get(request.id))
            if request.include_results:
                values = self._service.results(request.id)
                self._check_size(sum(len(value) for value in values))
                job.results.extend(pb.Result.FromString(value) for value in values)
            return pb.GetJobResponse(job=job)

        return _answer(call, context, f"GetJob {request.id}")

    def CancelJob(  # noqa: N802
        self, request: pb.CancelJobRequest, context: grpc.ServicerContext
    ) -> pb.CancelJobResponse:
        """Cancels a job."""

        def call() -> pb.CancelJobResponse:
            outcome = self._service.cancel(request.id)
            return pb.CancelJobResponse(
                verdict=VERDICT[outcome.verdict],  # type: ignore[arg-type]
                job=encode_job(outcome.job),
            )

        return _answer(call, context, f"CancelJob {request.id}")

    def CancelJobs(  # noqa: N802
        self, request: pb.CancelJobsRequest, context: grpc.ServicerContext
    ) -> pb.CancelJobsResponse:
        """Cancels many jobs."""

        def call() -> pb.CancelJobsResponse:
            ends = self._service.cancel_all(request.ids)
            return pb.CancelJobsResponse(cancellations=[encode_cancellation(end) for end in ends])

        return _answer(call, context, f"CancelJobs of {len(request.ids)}")

    def DeleteJob(  # noqa: N802
        self, request: pb.DeleteJobRequest, context: grpc.ServicerContext
    ) -> pb.DeleteJobResponse:
        """Deletes a final job."""

        def call() -> pb.DeleteJobResponse:
            self._service.delete(request.id)
            return pb.DeleteJobResponse()

        return _answer(call, context, f"DeleteJob {request.id}")

    def ListTargets(  # noqa: N802
        self, _request: pb.ListTargetsRequest, context: grpc.ServicerContext
    ) -> pb.ListTargetsResponse:
        """Lists the targets."""

        def call() -> pb.ListTargetsResponse:
            targets = self._service.targets()
            return pb.ListTargetsResponse(targets=[encode_target(each) for each in targets])

        return _answer(call, context, "ListTargets")

    def _check_size(self, size: int) -> None:
        if size > self._max_result_bytes:
            raise TooLargeError(
                f"the results take {size} bytes, and one message may carry"
                f" {self._max_result_bytes} (server.max_message_bytes): raise the limit here"
                " and in the client, or measure fewer qubits",
                field="include_results",
            )


def _answer(call: Callable[[], T], context: grpc.ServicerContext, name: str) -> T:
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - the edge: no traceback reaches a client
        abort(context, error, name)
