"""Chunks: jobs of a batch that one message carries.

Only adds, and every new column has a default: processes of the version before
go on working beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_IN_CHUNK = "chunk_id IS NOT NULL AND status IN ('pending', 'running')"


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(sa.Column("chunk_id", sa.Uuid(), nullable=True))
    op.create_index(
        "job_chunk_idx",
        "job",
        ["chunk_id"],
        postgresql_where=sa.text(_IN_CHUNK),
        sqlite_where=sa.text(_IN_CHUNK),
    )


def downgrade() -> None:
    op.drop_index("job_chunk_idx", "job")
    with op.batch_alter_table("job") as job:
        job.drop_column("chunk_id")
