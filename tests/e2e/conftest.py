"""Fixtures of the end-to-end tests: one larder for each pytest process, customers to act for."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Playwright
from pytest_playwright import CreateContextCallback

from tests.e2e.actors import Actor, Dish
from tests.e2e.databases import Databases
from tests.e2e.pages import Customer, LoginPage
from tests.larder.postgresql import running_postgresql
from tests.larder.process import ADMIN_ADDRESS, ADMIN_PASSWORD, Larder, running_larder


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """Where larders keep what they know: SQLite files, or a PostgreSQL of this process."""
    wanted = os.environ.get("LARDER_TEST_DATABASE") or "sqlite"
    if wanted not in {"sqlite", "postgresql"}:
        raise pytest.UsageError(f"LARDER_TEST_DATABASE={wanted!r} is neither sqlite nor postgresql")
    with ExitStack() as stack:
        server = stack.enter_context(running_postgresql()) if wanted == "postgresql" else None
        yield Databases(server)


@pytest.fixture(scope="session")
def larder(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Larder]:
    """The larder that all tests of this process share."""
    directory = tmp_path_factory.mktemp("larder")
    environment = {"LARDER_DATABASE_URL": databases.new(directory).url}
    with running_larder(directory, environment) as larder:
        yield larder


@pytest.fixture(scope="session")
def base_url(larder: Larder) -> str:
    """Where ``page.goto("/meals")`` goes."""
    return larder.url


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any], base_url: str) -> dict[str, Any]:
    """Open pages on this directory's larder.

    pytest keeps a session's value for all who ask: without this, whoever came first in the
    process, from whatever directory, would decide where the pages of all of them go.
    """
    return {**browser_context_args, "base_url": base_url}


@pytest.fixture
def start_larder(tmp_path: Path, databases: Databases) -> Iterator[Callable[..., Larder]]:
    """Start another larder, for a test that needs one to itself; give it ``LARDER_*`` by name."""
    with ExitStack() as stack:

        def start(**environment: str) -> Larder:
            directory = tmp_path / f"larder-{uuid4().hex[:8]}"
            directory.mkdir()
            own = {"LARDER_DATABASE_URL": databases.new(directory).url, **environment}
            return stack.enter_context(running_larder(directory, own))

        yield start


@pytest.fixture
def newcomer() -> Customer:
    """Somebody who has no account yet."""
    return Customer(
        name="Ada Byron", address=f"ada-{uuid4().hex}@example.test", password=f"pw-{uuid4().hex}"
    )


@pytest.fixture
def customer(newcomer: Customer, playwright: Playwright, base_url: str) -> Customer:
    """Somebody who has an account, and is not logged in."""
    request = playwright.request.new_context(base_url=base_url)
    try:
        token = re.search(r'name="csrf" value="(\w+)"', request.get("/register").text())
        assert token is not None
        form = {
            "csrf": token[1],
            "name": newcomer.name,
            "address": newcomer.address,
            "password": newcomer.password,
        }
        response = request.post("/register", form=form, max_redirects=0)
        assert response.status == 303
    finally:
        request.dispose()
    return newcomer


@pytest.fixture
def logged_in(page: Page, customer: Customer) -> Customer:
    """Somebody who has just logged in on ``page``."""
    LoginPage(page).open().log_in(customer)
    page.wait_for_url("/account")
    return customer


@pytest.fixture
def shopper(page: Page, newcomer: Customer, base_url: str) -> Actor:
    """Somebody new who is logged in on ``page``, and can act there over HTTP as well."""
    shopper = Actor(page.request, base_url)
    shopper.register(newcomer)
    return shopper


@pytest.fixture
def somebody(playwright: Playwright, base_url: str) -> Iterator[Callable[[], Actor]]:
    """Call it for somebody else, who has an account and acts over HTTP alone."""
    requests = []

    def come() -> Actor:
        requests.append(playwright.request.new_context())
        actor = Actor(requests[-1], base_url)
        name = uuid4().hex
        actor.register(Customer("Bob", f"bob-{name}@example.test", name))
        return actor

    yield come
    for request in requests:
        request.dispose()


@pytest.fixture
def staff(playwright: Playwright, base_url: str) -> Iterator[Actor]:
    """Somebody who runs the shop, over HTTP."""
    request = playwright.request.new_context()
    actor = Actor(request, base_url)
    actor.log_in(Customer("Admin", ADMIN_ADDRESS, ADMIN_PASSWORD))
    yield actor
    request.dispose()


@pytest.fixture
def add_meal(staff: Actor) -> Iterator[Callable[..., Dish]]:
    """Put a meal on the menu, for the time of the test."""
    dishes = []

    def add(**fields: object) -> Dish:
        dishes.append(staff.add_meal(**fields))
        return dishes[-1]

    yield add
    for dish in dishes:
        staff.remove_meal(dish)


@pytest.fixture
def admin(new_context: CreateContextCallback) -> Page:
    """The page of somebody who runs the shop, in a browser context of his own, logged in."""
    page = new_context().new_page()
    LoginPage(page).open().log_in(Customer("Admin", ADMIN_ADDRESS, ADMIN_PASSWORD))
    page.wait_for_url("/account")
    return page


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the shared larder's log with a test that failed."""
    report = yield
    larder = getattr(item, "funcargs", {}).get("larder")
    if report.failed and isinstance(larder, Larder):
        lines = larder.log.read_text(errors="replace").splitlines()[-40:]
        report.sections.append(("larder log, last lines", "\n".join(lines)))
    return report
