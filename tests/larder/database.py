"""The connection to SQLite or PostgreSQL: reading, writing, and knowing when it is gone.

Law: a transaction says at its start whether it will write. On SQLite a writer takes the write lock
at once (BEGIN IMMEDIATE), because a reader that turns writer under WAL fails instead of waiting.
Slow work, such as hashing a password, belongs outside.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.orm import Session

from tests.larder import migrations, seed
from tests.larder.settings import InvalidSetting

_BUSY_TIMEOUT = 5.0
_SCHEMA_LOCK = 0x1A4DE4
_VARIABLE = "LARDER_DATABASE_URL"
_WANTED = "sqlite:///path/to/larder.sqlite3 or postgresql+psycopg://user@host/name"


class Database:
    """One pool of connections, shared by all threads of a server.

    It keeps ``pool_size`` of them, and makes up to ``overflow`` more while they are needed.
    """

    def __init__(self, url: str, *, pool_size: int = 10, overflow: int = 30) -> None:
        """Choose the dialect; connect to nothing yet. Raises InvalidSetting for a wrong URL."""
        self._path: Path | None = None
        try:
            target = make_url(url)
        except ArgumentError:
            raise InvalidSetting(_VARIABLE, url, _WANTED) from None
        arguments: dict[str, Any] = {}
        if target.get_backend_name() == "sqlite":
            if not target.database or target.database == ":memory:":
                raise InvalidSetting(_VARIABLE, url, _WANTED)
            self._path = Path(target.database).absolute()
            # mode=rw: a database that was deleted must be an error, not a new and empty one.
            target = target.set(
                database=f"file:{quote(str(self._path))}", query={"mode": "rw", "uri": "true"}
            )
            arguments = {"timeout": _BUSY_TIMEOUT}
        elif target.get_backend_name() == "postgresql":
            arguments = {"connect_timeout": int(_BUSY_TIMEOUT)}
        else:
            raise InvalidSetting(_VARIABLE, target.render_as_string(), _WANTED)
        self._engine = create_engine(
            target,
            connect_args=arguments,
            pool_size=pool_size,
            max_overflow=overflow,
            pool_pre_ping=self._path is None,
        )
        if self._path is not None:
            _speak_sqlite(self._engine, self._path)
        self._writer = self._engine.execution_options(larder_writes=True)

    @property
    def directory(self) -> Path | None:
        """Where the file of a SQLite database is; None when the database is elsewhere."""
        return None if self._path is None else self._path.parent

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that only reads; what it loaded stays usable afterwards."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Give a session that writes; commit at the end, roll back when an exception passes."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    def prepare(self, stock: int) -> None:
        """Migrate the schema and plant the meals; any number of processes may do so at once."""
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            _open_in_wal_mode(self._path)
        with self.writing() as session:
            if self._path is None:
                session.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _SCHEMA_LOCK})
            migrations.upgrade(session.connection())
            seed.plant(session, stock)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def _open_in_wal_mode(path: Path) -> None:
    # The mode is a property of the file. SQLite does not wait for the lock that the change needs,
    # so the processes queue here.
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        finally:
            connection.close()
    finally:
        os.close(directory)


def _speak_sqlite(engine: Engine, path: Path) -> None:
    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        record.info["file"] = _identity(path)

    @event.listens_for(engine, "checkout")
    def distrust(connection: sqlite3.Connection, record: Any, proxy: Any) -> None:
        # A deleted file lives on, unseen, for those who hold it open. Do not sell from a ghost.
        if record.info.get("file") != _identity(path):
            raise DisconnectionError(f"{path.name} is not the file that was opened")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("larder_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
