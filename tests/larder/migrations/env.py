"""What Alembic runs to begin: hand it the caller's connection and the tables as they should be."""

from __future__ import annotations

from alembic import context

from tests.larder.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
)
context.run_migrations()
