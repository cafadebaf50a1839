"""Jobs, their results, and the workers that run them."""

import sqlalchemy as sa
from alembic import op

from app.rows import ACTIVE, StatusColumn, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("owner", sa.String(), nullable=False),
        sa.Column("request_id", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("status", StatusColumn(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("framework", sa.String(), nullable=False),
        sa.Column("n_qubits", sa.BigInteger(), nullable=False),
        sa.Column("depth", sa.BigInteger(), nullable=False),
        sa.Column("submission_date", UtcDateTime(), nullable=True),
        sa.Column("program_format", sa.String(), nullable=False),
        sa.Column("result_types", sa.JSON(), nullable=False),
        sa.Column("shots", sa.BigInteger(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=True),
        sa.Column("observables", sa.JSON(), nullable=False),
        sa.Column("extra", sa.Text(), nullable=False),
        sa.Column("time_limit_s", sa.Float(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("sent_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finish_time", UtcDateTime(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("worker", sa.String(), nullable=False),
        sa.Column("lease_until", UtcDateTime(), nullable=True),
        sa.Column("error_kind", sa.String(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("simulator_version", sa.String(), nullable=False),
        sa.Column("parsing_s", sa.Float(), nullable=True),
        sa.Column("simulating_s", sa.Float(), nullable=True),
        sa.Column("saving_s", sa.Float(), nullable=True),
        sa.Column("peak_memory_bytes", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("owner", "request_id", name="job_owner_request_id_key"),
    )
    op.create_index(
        "job_active_idx",
        "job",
        ["target", "status"],
        postgresql_where=sa.text(ACTIVE),
        sqlite_where=sa.text(ACTIVE),
    )
    op.create_table(
        "result",
        sa.Column(
            "job_id", sa.Uuid(), sa.ForeignKey("job.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("result_type", sa.String(), primary_key=True),
        sa.Column("point", sa.Integer(), primary_key=True),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "worker",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("seen_at", UtcDateTime(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("worker")
    op.drop_table("result")
    op.drop_table("job")
