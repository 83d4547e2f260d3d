"""Stock: what is there is sold once, and what is not paid comes back."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from playwright.sync_api import Page, Route, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.actors import Actor, Dish
from tests.e2e.databases import Databases
from tests.e2e.pages import CartPage, CheckoutPage, Customer, OrderPage
from tests.larder.payment import ACCEPTED_CARD
from tests.larder.process import Larder


def pay_at_once(buyers: list[Actor], base_url: str) -> list[int]:
    """Have all pay at the same time, each over a connection of his own."""
    together = Barrier(len(buyers))
    ready = []
    for buyer in buyers:
        cookies = buyer.request.storage_state()["cookies"]
        cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
        form = urlencode({"csrf": buyer.csrf(), "card": ACCEPTED_CARD}).encode()
        ready.append(Request(f"{base_url}/checkout", form, {"Cookie": cookie}))

    def pay(request: Request) -> int:
        together.wait()
        try:
            with urlopen(request) as answer:
                return int(answer.status)
        except HTTPError as error:
            with error:
                return error.code

    with ThreadPoolExecutor(len(buyers)) as threads:
        return list(threads.map(pay, ready))


def test_who_comes_too_late_is_told(
    page: Page, shopper: Actor, somebody: Callable[[], Actor], add_meal: Callable[..., Dish]
) -> None:
    """A meal that was sold while it lay in a cart is named, and the cart stays for a change."""
    dish = add_meal(stock="2")
    shopper.put(dish, 2)
    checkout = CheckoutPage(page).open()
    somebody().buy(dish)

    checkout.pay(ACCEPTED_CARD)

    cart = CartPage(page)
    expect(cart.error).to_have_text(f"Only 1 left of {dish.name}. Take fewer.")
    expect(cart.line(dish.name)).to_contain_text("only 1 left")
    cart.change(dish.name, 1)
    CheckoutPage(page).open().pay(ACCEPTED_CARD)
    expect(OrderPage(page).lines).to_have_count(1)


def test_the_last_meal_goes_to_one_of_two_buyers(
    page: Page,
    shopper: Actor,
    add_meal: Callable[..., Dish],
    new_context: CreateContextCallback,
    base_url: str,
) -> None:
    """Two who press the button in the same moment cannot both get it."""
    dish = add_meal(stock="1")
    rival = new_context().new_page()
    other = Actor(rival.request, base_url)
    other.register(Customer("Rival", f"rival-of-{dish.slug}@example.test", "a-good-password"))
    pressed: list[Route] = []

    def hold_until_both(route: Route) -> None:
        pressed.append(route)
        if len(pressed) == 2:
            for each in pressed:
                each.continue_()

    for buyer, buyers_page in ((shopper, page), (other, rival)):
        buyer.put(dish)
        checkout = CheckoutPage(buyers_page).open()
        buyers_page.route("**/checkout", hold_until_both)
        checkout.card.fill(ACCEPTED_CARD)
        checkout.submit.click(no_wait_after=True)

    outcomes = re.compile("^(Order .*|Cart)$")
    for buyers_page in (page, rival):
        expect(OrderPage(buyers_page).heading).to_have_text(outcomes)
    headings = [OrderPage(p).heading.inner_text().split()[0] for p in (page, rival)]
    assert sorted(headings) == ["Cart", "Order"]
    loser = page if headings[0] == "Cart" else rival
    sold_out = f"{dish.name} is sold out. Remove it from your cart."
    expect(CartPage(loser).error).to_have_text(sold_out)
    assert shopper.stock_of(dish) == 0


def test_a_crowd_gets_what_there_is_and_no_more(
    somebody: Callable[[], Actor], staff: Actor, add_meal: Callable[..., Dish], base_url: str
) -> None:
    """Of six who pay for one of four at the very same time, four get theirs."""
    dish = add_meal(stock="4")
    crowd = [somebody() for _ in range(6)]
    for buyer in crowd:
        buyer.put(dish)

    statuses = pay_at_once(crowd, base_url)

    assert sorted(statuses) == [200, 200, 200, 200, 409, 409]
    assert staff.stock_of(dish) == 0


def test_a_cart_is_paid_once(
    shopper: Actor, staff: Actor, add_meal: Callable[..., Dish], base_url: str
) -> None:
    """Who presses the button in two windows at once gets one order."""
    dish = add_meal(stock="10")
    shopper.put(dish, 3)

    statuses = pay_at_once([shopper, shopper], base_url)

    assert sorted(statuses) == [200, 409]
    assert staff.stock_of(dish) == 7


def test_a_payment_that_nobody_waits_for_gives_the_meals_back(
    shopper: Actor,
    somebody: Callable[[], Actor],
    add_meal: Callable[..., Dish],
    larder: Larder,
    databases: Databases,
) -> None:
    """An order that was pending when its larder died does not hold its meals for ever."""
    dish, other = add_meal(stock="4"), add_meal()
    number = shopper.buy(dish)
    assert shopper.stock_of(dish) == 3
    left = databases.of(larder).execute(
        "UPDATE orders SET status = 'pending', placed_at = :then WHERE id = :number",
        then=datetime.now(UTC) - timedelta(hours=1),
        number=number,
    )
    assert left == 1

    somebody().buy(other)

    assert shopper.stock_of(dish) == 4
