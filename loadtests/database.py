"""The database of larder without larder: five things that a shop asks of it, over a bounded pool.

    sentinel load run loadtests/database.py --users 8 --spawn-rate 8 --time '60 s'
    locust -f loadtests/database.py --host postgresql+psycopg://user@127.0.0.1/larder

The host is the URL of the database; without one it is a SQLite file that is gone afterwards. The
rows it works with are its own, of customers at `@load.test`, and are removed at the end. With
SQLite a query keeps the whole process waiting, as it does in a shop with one thread.
"""

from __future__ import annotations

import atexit
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from locust import User, between, events, task
from sqlalchemy import delete, desc, func, select, update
from sqlalchemy.orm import Session, aliased, selectinload

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pytest_sentinel.load import require
from tests.larder.database import Database
from tests.larder.models import Meal, Order, OrderLine
from tests.larder.models import User as Customer

require("load_requests: p(95) < 100ms", "error_rate: rate < 1%")

# Fewer than users, so that a shop which waits for a connection shows it.
POOL_SIZE = 4
OURS = "@load.test"


def _temporary() -> str:
    """Return the URL of a file that this process, and all it forks, work on."""
    name, owner = "LARDER_LOAD_FILE", os.getpid()
    if name not in os.environ:
        directory = tempfile.mkdtemp(prefix="larder-load-")
        os.environ[name] = str(Path(directory) / "larder.sqlite3")

        def remove() -> None:
            # A worker that was forked must not remove what the others still need.
            if os.getpid() == owner:
                shutil.rmtree(directory, ignore_errors=True)

        atexit.register(remove)
    return f"sqlite:///{os.environ[name]}"


@events.test_start.add_listener
def prepare(environment: Any, **_: Any) -> None:
    """Open the pool; where the run is led from, bring the schema up to date, too."""
    database = Database(environment.host or _URL, pool_size=POOL_SIZE, overflow=0)
    environment.database = database
    if leads(environment):
        database.prepare(stock=1_000_000)


@events.test_stop.add_listener
def clean(environment: Any, **_: Any) -> None:
    """Remove our rows, with all that hangs on them, and close the pool."""
    if leads(environment):
        with environment.database.writing() as session:
            session.execute(delete(Customer).where(Customer.address.endswith(OURS)))
    environment.database.close()


def leads(environment: Any) -> bool:
    """Tell whether this process is the master, or the only one."""
    return type(environment.runner).__name__ != "WorkerRunner"


class Clerk(User):
    """One who sells: each query is a request of type ``SQL``."""

    wait_time = between(0.1, 0.3)

    def on_start(self) -> None:
        """Become a customer with an order, which is no part of what is measured."""
        self.database: Database = self.environment.database
        with self.database.writing() as session:
            customer = Customer(
                name="Load",
                address=f"{uuid4().hex}{OURS}",
                password_hash="",
                created_at=datetime.now(UTC),
            )
            session.add(customer)
            self.meals = list(session.scalars(select(Meal.id)))
        self.customer = customer.id
        self.orders: list[int] = []
        with self.database.writing() as session:
            self.orders.append(self._order(session))

    @task(6)
    def select(self) -> None:
        """Read a course of the menu with its ingredients."""
        with self.measured("select", self.database.reading()) as session:
            course = random.choice(["soup", "salad", "main", "dessert"])
            query = select(Meal).options(selectinload(Meal.ingredients))
            assert session.scalars(query.where(Meal.course == course)).all()

    @task(3)
    def insert(self) -> None:
        """Write an order of two lines."""
        with self.measured("insert", self.database.writing()) as session:
            number = self._order(session)
        self.orders.append(number)

    @task(3)
    def update(self) -> None:
        """Take a portion from the stock of a meal, and give it back to another."""
        taken, given = random.sample(self.meals, 2)
        with self.measured("update", self.database.writing()) as session:
            # In one order always, or two clerks could wait for each other.
            for meal, number in sorted([(taken, -1), (given, 1)]):
                change = update(Meal).where(Meal.id == meal, Meal.stock + number >= 0)
                session.execute(change.values(stock=Meal.stock + number))

    @task(2)
    def delete(self) -> None:
        """Delete an order of one's own, with its lines."""
        if len(self.orders) < 2:
            self.insert()
        number = self.orders.pop(0)
        with self.measured("delete", self.database.writing()) as session:
            session.execute(delete(Order).where(Order.id == number))

    @task(2)
    def join(self) -> None:
        """Ask what was bought by those who bought the same meal."""
        this, other = aliased(OrderLine), aliased(OrderLine)
        mine, theirs = aliased(Order), aliased(Order)
        bought = func.count(theirs.id.distinct()).label("bought")
        query = (
            select(Meal.name, bought)
            .select_from(this)
            .join(mine, mine.id == this.order_id)
            .join(theirs, theirs.user_id == mine.user_id)
            .join(other, other.order_id == theirs.id)
            .join(Meal, Meal.id == other.meal_id)
            .where(this.meal_id == random.choice(self.meals), other.meal_id != this.meal_id)
            .group_by(Meal.id, Meal.name)
            .order_by(desc(bought), Meal.name)
            .limit(5)
        )
        with self.measured("join", self.database.reading()) as session:
            session.execute(query).all()

    @contextmanager
    def measured(self, name: str, transaction: Any) -> Iterator[Session]:
        """Tell Locust how long a transaction took, from asking the pool to the commit."""
        started, began = time.time(), time.perf_counter()
        failure: Exception | None = None
        try:
            with transaction as session:
                yield session
        except Exception as error:
            failure = error
            raise
        finally:
            self.environment.events.request.fire(
                request_type="SQL",
                name=name,
                response_time=(time.perf_counter() - began) * 1000,
                response_length=0,
                exception=failure,
                context={},
                start_time=started,
            )

    def _order(self, session: Session) -> int:
        lines = [
            OrderLine(position=n, meal_id=meal, name="Load", quantity=1, price_cents=900)
            for n, meal in enumerate(random.sample(self.meals, 2), 1)
        ]
        order = Order(
            user_id=self.customer,
            placed_at=datetime.now(UTC),
            total_cents=1800,
            status="paid",
            lines=lines,
        )
        session.add(order)
        session.flush()
        return order.id


_URL = _temporary()
