"""Owners: tokens, quotas, what was used of them, priorities, lists of one owner's jobs.

Only adds, and every new column has a default: processes of the version before
go on working beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token",
        sa.Column("id", sa.String(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "quota",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.Float(), nullable=False),
    )
    op.create_table(
        "usage",
        sa.Column("owner", sa.String(), primary_key=True),
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("worker", sa.String(), primary_key=True),
        sa.Column("cpu_s", sa.Float(), nullable=False),
    )
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
        job.add_column(sa.Column("cpu_s", sa.Float(), nullable=False, server_default="0"))
    op.create_index("job_owner_idx", "job", ["owner", "id"])
    waiting = sa.text("status = 'pending'")
    op.create_index(
        "job_waiting_idx",
        "job",
        ["target", "owner", "sent_at", "priority", "id"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )


def downgrade() -> None:
    op.drop_index("job_waiting_idx", "job")
    op.drop_index("job_owner_idx", "job")
    with op.batch_alter_table("job") as job:
        job.drop_column("cpu_s")
        job.drop_column("priority")
    op.drop_table("usage")
    op.drop_table("quota")
    op.drop_table("token")
