"""What Alembic runs for each command, on the connection that `engine.history.migrations` hands it."""

from alembic import context

from engine.history.migrations import CONNECTION

# The transaction is the caller's: all versions in one, so that a start that breaks off leaves the old tables.
context.configure(connection=context.config.attributes[CONNECTION], transaction_per_migration=False)
context.run_migrations()
