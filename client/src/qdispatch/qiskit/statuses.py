"""Where a run is, in Qiskit's words."""

from __future__ import annotations

from typing import Any

from qiskit.providers import JobStatus

from qdispatch.updates import BatchInfo


def status_of(info: BatchInfo) -> Any:
    """Qiskit's status of the jobs of one run."""
    if info.running or (info.pending and info.done):
        return JobStatus.RUNNING
    if info.pending:
        return JobStatus.QUEUED
    if info.failed:
        return JobStatus.ERROR
    return JobStatus.CANCELLED if info.canceled else JobStatus.DONE
