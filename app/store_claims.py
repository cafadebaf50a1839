"""The SQL of a claim, of one job or of several."""

from __future__ import annotations

import sqlalchemy as sa

from app.jobs import check_transition
from app.rows import JOB
from app.store_targets import is_paused
from qdispatch.model import JobStatus


def claiming(*among: sa.ColumnElement[bool]) -> sa.Executable:
    """Pending -> running, of jobs whose target is not paused; gives the jobs.

    Its parameters: ``by``, ``now``, ``until`` and ``line`` of the claim.

    Args:
        among: Of these jobs.
    """
    check_transition(JobStatus.PENDING, JobStatus.RUNNING)
    return (
        sa.update(JOB)
        .where(*among, JOB.c.status == JobStatus.PENDING)
        .where(~is_paused(hold=True))
        .values(
            status=JobStatus.RUNNING,
            attempt=JOB.c.attempt + 1,
            worker=sa.bindparam("by"),
            started_at=sa.bindparam("now"),
            lease_until=sa.bindparam("until"),
            life=JOB.c.life + sa.bindparam("line", type_=sa.Text),
        )
        .returning(*JOB.c)
    )
