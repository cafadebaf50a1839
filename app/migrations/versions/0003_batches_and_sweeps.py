"""Batches, sweeps, and every change of a job's status.

Only adds, and every new column has a default: processes of the version before
go on working beside it.
"""

import sqlalchemy as sa
from alembic import op

from app.rows import UtcDateTime

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_IN_BATCH = "batch_id IS NOT NULL"


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("batch_id", sa.Uuid(), nullable=True))
        job.add_column(sa.Column("batch_index", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("parameters", sa.JSON(), nullable=False, server_default="[]"))
        job.add_column(sa.Column("n_points", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("points_done", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("life", sa.Text(), nullable=False, server_default=""))
    op.create_index(
        "job_batch_idx",
        "job",
        ["batch_id", "batch_index"],
        postgresql_where=sa.text(_IN_BATCH),
        sqlite_where=sa.text(_IN_BATCH),
    )
    op.create_table(
        "sweep",
        sa.Column(
            "job_id", sa.Uuid(), sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("packed", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "batch",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.UniqueConstraint("owner", "request_id", name="batch_owner_request_id_key"),
    )


def downgrade() -> None:
    op.drop_table("batch")
    op.drop_table("sweep")
    op.drop_index("job_batch_idx", "job")
    with op.batch_alter_table("job") as job:
        for name in (
            "life", "points_done", "n_points", "parameters", "batch_index", "batch_id"
        ):  # fmt: skip
            job.drop_column(name)
