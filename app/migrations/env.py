"""Alembic's environment; `app.database.migrate` hands it the connection."""

from alembic import context

from app.rows import JobRow

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=JobRow.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
