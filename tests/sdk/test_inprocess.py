"""The installation that these tests run on does what a real one does."""

from __future__ import annotations

import pytest

from qdispatch.client import Client
from qdispatch.errors import JobCanceledError, JobFailedError
from qdispatch.model import CancelVerdict
from tests.sdk.inprocess import Installation
from tests.world import bell


@pytest.mark.parametrize("target", ["aer", "cirq", "pennylane"])
def test_every_target_runs_jobs(client: Client, target: str) -> None:
    job = client.job(client.create_job(bell(target=target, seed=1)).id)
    assert set(job.result(60).counts) == {"00", "11"}


def test_a_job_that_cannot_run_fails(client: Client) -> None:
    job = client.job(client.create_job(bell(program="OPENQASM 2.0; qreg q[2]; nonsense;")).id)
    with pytest.raises(JobFailedError, match="program_invalid"):
        job.result(60)


def test_a_job_that_is_held_back_can_be_canceled(
    client: Client, installation: Installation
) -> None:
    installation.dispatcher.held.set()
    job = client.job(client.create_job(bell()).id)
    assert job.cancel() is CancelVerdict.REMOVED_FROM_QUEUE
    installation.dispatcher.release()
    with pytest.raises(JobCanceledError):
        job.result(60)
