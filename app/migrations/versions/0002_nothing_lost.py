"""What keeps a job's end true: faults, back-off, confirmed stops; and targets' states.

Only adds, and every new column has a default: processes of the version before
go on working beside it.
"""

import sqlalchemy as sa
from alembic import op

from app.rows import UtcDateTime

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("faults", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("not_before", UtcDateTime(), nullable=True))
        job.add_column(sa.Column("stopped_at", UtcDateTime(), nullable=True))
        job.add_column(
            sa.Column("result_bytes", sa.BigInteger(), nullable=False, server_default="0")
        )
    op.create_index(
        "job_lease_idx",
        "job",
        ["lease_until"],
        postgresql_where=sa.text("lease_until IS NOT NULL"),
        sqlite_where=sa.text("lease_until IS NOT NULL"),
    )
    # What was finished before counts nothing in the retention by size, but is
    # the oldest, and goes first.
    op.create_index(
        "job_result_bytes_idx",
        "job",
        ["result_bytes"],
        postgresql_where=sa.text("result_bytes > 0"),
        sqlite_where=sa.text("result_bytes > 0"),
    )
    op.create_table(
        "target",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("changed_at", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("target")
    op.drop_index("job_result_bytes_idx", "job")
    op.drop_index("job_lease_idx", "job")
    with op.batch_alter_table("job") as job:
        for name in ("result_bytes", "stopped_at", "not_before", "faults"):
            job.drop_column(name)
