"""Alembic's entry: runs migrations on the connection that `database.py` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
# SQLite cannot alter a constraint in place; batches make a new table and copy.
context.configure(connection=connection, render_as_batch=True, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
