"""Filters of lists, on their way to the server."""

from __future__ import annotations

from qdispatch.model import JobStatus
from qdispatch.updates import JobFilter
from qdispatch.v1 import qdispatch_pb2 as pb
from qdispatch.watch_codec import decode_filter


def test_a_status_counts_once_however_often_it_is_said() -> None:
    statuses = [pb.JOB_STATUS_RUNNING, pb.JOB_STATUS_PENDING] * 1000
    wanted = decode_filter(pb.ListJobsRequest(statuses=statuses))
    assert wanted == JobFilter(statuses=(JobStatus.RUNNING, JobStatus.PENDING))
