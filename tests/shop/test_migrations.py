"""The way of an older larder's database to today's schema. It needs no browser."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select

from tests.larder.database import Database
from tests.larder.models import Base, Meal, User

# Of what the first larder made by itself, before there were migrations, the tables that changed.
_FIRST_LARDER = """
CREATE TABLE users (id INTEGER PRIMARY KEY, address VARCHAR(254) NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL, password_hash VARCHAR(200) NOT NULL, created_at DATETIME NOT NULL);
CREATE TABLE meals (id INTEGER PRIMARY KEY, slug VARCHAR(80) NOT NULL UNIQUE,
    name VARCHAR(80) NOT NULL, course VARCHAR(20) NOT NULL, summary VARCHAR(200) NOT NULL,
    price_cents INTEGER NOT NULL, minutes INTEGER NOT NULL, vegetarian BOOLEAN NOT NULL,
    steps TEXT NOT NULL);
CREATE TABLE sessions (token_digest VARCHAR(64) PRIMARY KEY, user_id INTEGER
    REFERENCES users (id) ON DELETE CASCADE, notice VARCHAR(200), expires_at DATETIME NOT NULL);
INSERT INTO users VALUES (7, 'ada@example.test', 'Ada', 'hash', '2025-01-01 00:00:00');
INSERT INTO meals VALUES (3, 'stew', 'Stew', 'main', 'Warm.', 900, 40, 0, 'Cook it.');
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where the database of a test is, once it is made."""
    return tmp_path / "larder.sqlite3"


@pytest.fixture
def database(file: Path) -> Iterator[Database]:
    """The connection to it."""
    with closing(Database(f"sqlite:///{file}")) as database:
        yield database


def test_the_migrations_lead_to_the_models(database: Database) -> None:
    """A migrated schema has every table, column and index of the models, and no other."""
    database.prepare(stock=5)

    with database.reading() as session:
        context = MigrationContext.configure(session.connection())
        assert compare_metadata(context, Base.metadata) == []


def test_a_second_start_changes_nothing(database: Database) -> None:
    """Who is up to date stays as he is, with the meals that he has."""
    database.prepare(stock=5)
    with database.writing() as session:
        session.delete(session.scalars(select(Meal)).first())

    database.prepare(stock=9)

    with database.reading() as session:
        assert set(session.scalars(select(Meal.stock))) == {5}
        assert len(session.scalars(select(Meal)).all()) == 23


def test_the_first_larder_is_taken_along(file: Path, database: Database) -> None:
    """Customers and meals from before the migrations are still there, and can be sold to."""
    with closing(sqlite3.connect(file)) as old:
        old.executescript(_FIRST_LARDER)

    database.prepare(stock=5)

    with database.reading() as session:
        user = session.get_one(User, 7)
        meal = session.get_one(Meal, 3)
    assert (user.name, user.role, user.failed_logins, user.locked_until) == (
        "Ada",
        "customer",
        0,
        None,
    )
    assert (meal.name, meal.stock, meal.image) == ("Stew", 20, None)


def test_larders_that_start_at_once_migrate_once(file: Path) -> None:
    """Whoever comes second waits, and finds everything done."""
    together = Barrier(3)
    failures: list[Exception] = []

    def start() -> None:
        with closing(Database(f"sqlite:///{file}")) as database:
            together.wait()
            try:
                database.prepare(stock=5)
            except Exception as error:
                failures.append(error)

    threads = [Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    with closing(Database(f"sqlite:///{file}")) as database, database.reading() as session:
        assert len(session.scalars(select(Meal)).all()) == 24
