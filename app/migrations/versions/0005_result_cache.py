"""The result cache: which finished jobs answer equal ones.

Only adds, and every new column has a default: processes of the version before
go on working beside it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_ENTRY = "cache_key IS NOT NULL AND result_bytes BETWEEN 1 AND 68157440"


def upgrade() -> None:
    with op.batch_alter_table("job") as job:
        job.add_column(
            sa.Column("use_cache", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        job.add_column(sa.Column("cache_key", sa.LargeBinary(), nullable=True))
        job.add_column(sa.Column("fingerprint", sa.String(), nullable=False, server_default=""))
        job.add_column(sa.Column("cached_from", sa.Uuid(), nullable=True))
    op.create_index(
        "job_cache_idx",
        "job",
        ["cache_key", "id", "result_bytes"],
        postgresql_where=sa.text(_ENTRY),
        sqlite_where=sa.text(_ENTRY),
    )
    with op.batch_alter_table("worker") as worker:
        worker.add_column(sa.Column("fingerprint", sa.String(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("worker") as worker:
        worker.drop_column("fingerprint")
    op.drop_index("job_cache_idx", "job")
    with op.batch_alter_table("job") as job:
        for name in ("cached_from", "fingerprint", "cache_key", "use_cache"):
            job.drop_column(name)
