"""Alembic's entry: runs migrations on the connection that `database.py` hands over."""

from alembic import context


def run() -> None:
    """Runs what is missing."""
    # SQLite cannot alter a constraint in place; batches make a new table and copy.
    context.configure(
        connection=context.config.attributes["connection"],
        render_as_batch=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()


if getattr(context, "config", None) is not None:  # else somebody merely imports this file
    run()
