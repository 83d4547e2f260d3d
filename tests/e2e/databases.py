"""The database under a larder, as tests get at it: SQLite, or PostgreSQL where that is asked for.

``LARDER_TEST_DATABASE=postgresql`` runs the end-to-end tests on a PostgreSQL that they start
themselves, one server for each pytest process and a database for each larder.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import NullPool, create_engine, text

from tests.larder.postgresql import Postgresql
from tests.larder.process import Larder


class Database(Protocol):
    """What a test may do to the database of its larder."""

    url: str
    secret: str  # what no stranger may see of where it is

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""

    def hide(self) -> None:
        """Take the database away from a larder that runs."""

    def bring_back(self) -> None:
        """Put it back."""

    @contextmanager
    def written_to(self) -> Iterator[None]:
        """Keep all others from writing, as a slow writer does."""


def _execute(url: str, statement: str, values: dict[str, Any]) -> int:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        return connection.execute(text(statement), values).rowcount


class SqliteDatabase:
    """A file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.url = f"sqlite:///{file}"
        self.secret = str(file.parent)

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return _execute(self.url, statement, values)

    def hide(self) -> None:
        """Rename the file."""
        self.file.rename(self.file.with_suffix(".hidden"))

    def bring_back(self) -> None:
        """Give it its name again."""
        self.file.with_suffix(".hidden").rename(self.file)

    @contextmanager
    def written_to(self) -> Iterator[None]:
        """Hold the write lock of the file."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield


class PostgresqlDatabase:
    """A database of a server that the tests started."""

    def __init__(self, server: Postgresql) -> None:
        self._server = server
        self.url = server.create_database()
        self.secret = self._name = self.url.rpartition("/")[2]

    def execute(self, statement: str, **values: Any) -> int:
        """Run a statement and return how many rows it changed."""
        return _execute(self.url, statement, values)

    def hide(self) -> None:
        """Let nobody in, and throw out who is there."""
        with self._server.connect("postgres") as connection:
            connection.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS false')
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [self._name],
            )

    def bring_back(self) -> None:
        """Let everybody in again."""
        with self._server.connect("postgres") as connection:
            connection.execute(f'ALTER DATABASE "{self._name}" ALLOW_CONNECTIONS true')

    @contextmanager
    def written_to(self) -> Iterator[None]:
        """Hold the lock of one who writes on the tables of customers and meals."""
        engine = create_engine(self.url, poolclass=NullPool)
        with engine.begin() as connection:
            connection.exec_driver_sql("LOCK TABLE users, meals IN SHARE ROW EXCLUSIVE MODE")
            yield


class Databases:
    """Hands out databases, and knows which larder has which.

    Args:
        server: where they are; None makes them SQLite files.
    """

    def __init__(self, server: Postgresql | None) -> None:
        self._server = server
        self._known: dict[str, Database] = {}

    def new(self, directory: Path) -> Database:
        """Return an empty one; a file would lie in ``directory``."""
        made: Database = (
            SqliteDatabase(directory / "larder.sqlite3")
            if self._server is None
            else PostgresqlDatabase(self._server)
        )
        self._known[made.url] = made
        return made

    def of(self, larder: Larder) -> Database:
        """Return the one under a larder."""
        return self._known[larder.database_url]
