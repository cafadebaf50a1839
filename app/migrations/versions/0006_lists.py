"""Lists of the jobs of a target, a status or a time, without a look at all others.

Only adds: processes of the version before go on working beside it.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("job_target_idx", "job", ["target", "id"])
    op.create_index("job_status_idx", "job", ["status", "id"])
    op.create_index("job_created_idx", "job", ["created_at", "id"])


def downgrade() -> None:
    op.drop_index("job_created_idx", "job")
    op.drop_index("job_status_idx", "job")
    op.drop_index("job_target_idx", "job")
