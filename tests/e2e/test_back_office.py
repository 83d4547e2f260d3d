"""The back office: what admins see of customers, orders and stock, and that nobody else does."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.e2e.actors import Actor, Dish
from tests.e2e.pages import BackOfficePage, Customer


def test_an_admin_finds_a_customer(admin: Page, customer: Customer) -> None:
    """He is found by a part of his address, with his role and that he is not locked."""
    rows = BackOfficePage(admin).open().find(customer.address[:20])

    expect(rows).to_have_count(1)
    expect(rows.get_by_role("cell")).to_contain_text(
        [customer.name, customer.address, "customer", "open"]
    )


def test_an_order_is_shown(
    admin: Page, somebody: Callable[[], Actor], add_meal: Callable[..., Dish]
) -> None:
    """The newest stands first, with its customer, what it cost and that it is paid."""
    dish = add_meal(price="7.50")
    number = somebody().buy(dish, dish)

    orders = BackOfficePage(admin).open().orders

    expect(orders.first.get_by_role("cell")).to_have_text(
        [str(number), "Bob", "2", "€15.00", "paid"]
    )


def test_the_stock_is_shown(admin: Page) -> None:
    """Each meal has a number, the scarcest first."""
    office = BackOfficePage(admin).open()

    expect(office.stock.filter(has_text="Fish Pie")).to_have_text(re.compile(r"Fish Pie\s+\d+"))
    left = [int(row.split()[-1]) for row in office.stock.all_inner_texts()]
    assert left == sorted(left)


def test_the_way_there_is_for_admins(page: Page, admin: Page, logged_in: Customer) -> None:
    """An admin's account leads to it, a customer's does not."""
    expect(admin.get_by_role("link", name="Back office")).to_be_visible()
    expect(page.get_by_role("link", name="Back office")).to_have_count(0)


def test_customers_are_kept_out(page: Page, logged_in: Customer) -> None:
    """A customer who knows the address is refused."""
    response = page.goto("/admin")

    assert response is not None
    assert response.status == 403
    expect(BackOfficePage(page).heading).to_have_text("Not like this")


def test_strangers_are_asked_who_they_are(page: Page) -> None:
    """Without a login it is the login page."""
    BackOfficePage(page).open()

    expect(page).to_have_url(re.compile(r"/login\?next=/admin$"))


def test_customers_unlock_nobody(page: Page, logged_in: Customer) -> None:
    """The form of the back office is checked for the role, not only its page."""
    token = page.locator("input[name=csrf]").first.get_attribute("value")
    assert token is not None

    answer = page.request.post("/admin/users/1/unlock", form={"csrf": token})

    assert answer.status == 403
