"""The way from any earlier schema to today's: Alembic migrations, run when a larder starts.

Law: a migration that was released is never changed; a new one follows it. A migration runs inside
the caller's transaction, so that a larder which dies half-way leaves the schema as it was.
A new one is a file in versions/ with the next number, written by hand like its neighbours.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect

_FIRST = "0001"


def upgrade(connection: Connection) -> None:
    """Bring the schema behind ``connection`` up to date; the caller commits."""
    config = _config(connection)
    tables = inspect(connection).get_table_names()
    if "users" in tables and "alembic_version" not in tables:
        # Made before there were migrations: what the first one makes is there.
        command.stamp(config, _FIRST)
    command.upgrade(config, "head")


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
