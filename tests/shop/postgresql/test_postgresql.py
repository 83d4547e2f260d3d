"""A part of the shop on a real PostgreSQL, in every run; LARDER_TEST_DATABASE runs all of it there.

What is here is what the two databases do differently: locks, letters in searches, lost connections,
a schema that is made by many at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from playwright.sync_api import Page, expect

from tests.e2e.actors import Actor, Dish
from tests.e2e.databases import Databases
from tests.e2e.pages import AccountPage, Customer, LoginPage, MealsPage, RegisterPage
from tests.e2e.test_stock import pay_at_once
from tests.larder.database import Database
from tests.larder.models import Base
from tests.larder.postgresql import programs
from tests.larder.process import Larder

pytestmark = pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")


def test_an_account_lives_on_postgresql(page: Page, newcomer: Customer) -> None:
    """Registering, logging out and in again, with letters beyond ASCII in the name."""
    newcomer = Customer("Zoë Łęcka", newcomer.address, newcomer.password)
    RegisterPage(page).open().register(newcomer)
    AccountPage(page).log_out()

    LoginPage(page).log_in(newcomer)

    expect(page).to_have_url(re.compile("/account$"))
    expect(AccountPage(page).facts.first).to_have_text("Zoë Łęcka")


def test_a_search_does_not_care_for_case(page: Page) -> None:
    """What SQLite does of its own accord PostgreSQL has to be asked for."""
    meals = MealsPage(page).open()

    meals.search.fill("fISH pIE")
    meals.submit.click()

    expect(meals.names).to_have_text(["Fish Pie"])


def test_a_crowd_gets_what_there_is(
    somebody: Callable[[], Actor], staff: Actor, add_meal: Callable[..., Dish], base_url: str
) -> None:
    """Of four who pay for one of two at the very same time, two get theirs."""
    dish = add_meal(stock="2")
    crowd = [somebody() for _ in range(4)]
    for buyer in crowd:
        buyer.put(dish)

    statuses = pay_at_once(crowd, base_url)

    assert sorted(statuses) == [200, 200, 409, 409]
    assert staff.stock_of(dish) == 0


def test_a_lost_database_is_told_and_found_again(
    page: Page, start_larder: Callable[..., Larder], databases: Databases
) -> None:
    """Connections that were cut are replaced, without a restart."""
    larder = start_larder()
    databases.of(larder).hide()
    lost = page.request.get(f"{larder.url}/health")
    assert (lost.status, lost.json()["database"]["status"]) == (503, "unavailable")
    assert page.request.get(f"{larder.url}/meals").status == 503

    databases.of(larder).bring_back()

    assert page.request.get(f"{larder.url}/health").status == 200
    assert page.request.get(f"{larder.url}/meals").status == 200


def test_many_larders_make_one_schema(databases: Databases, tmp_path: Any) -> None:
    """Those who start at once wait for each other, and what comes of it is that of the models."""
    url = databases.new(tmp_path).url
    shops = [Database(url) for _ in range(3)]
    try:
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda shop: shop.prepare(stock=5), shops))
        with shops[0].reading() as session:
            context = MigrationContext.configure(session.connection())
            assert compare_metadata(context, Base.metadata) == []
    finally:
        for shop in shops:
            shop.close()
