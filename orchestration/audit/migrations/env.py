"""What Alembic runs to apply the revisions in `versions`, on the connection that `database` hands over.

Must not be here: opening a database, or deciding which revision is wanted.
"""

from __future__ import annotations

from alembic import context

from orchestration.audit import governance_tables, tables
from orchestration.participants import login_tables

# One schema, told in three files: importing them adds their tables to it.
assert {governance_tables.charters.metadata, login_tables.logins.metadata} == {tables.metadata}  # noqa: S101

context.configure(connection=context.config.attributes["connection"], target_metadata=tables.metadata)
with context.begin_transaction():
    context.run_migrations()
