"""Shopping: the cart, paying, and orders."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_playwright import CreateContextCallback
from sqlalchemy import MetaData, NullPool, create_engine, select

from tests.e2e.actors import Actor, Dish
from tests.e2e.pages import CartPage, CheckoutPage, Customer, MealPage, OrderPage, OrdersPage
from tests.larder.payment import ACCEPTED_CARD, DECLINED_CARD, SILENT_CARD
from tests.larder.process import Larder

# The cart


def test_a_meal_goes_into_the_cart(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish]
) -> None:
    """The button on a meal's page puts as many into the cart as were asked for."""
    dish = add_meal(price="7.25")
    meal = MealPage(page).visit(dish.slug)

    meal.quantity.fill("2")
    meal.order.click()

    cart = CartPage(page)
    expect(cart.notice).to_have_text(f"{dish.name} is in your cart.")
    expect(cart.quantity(dish.name)).to_have_value("2")
    expect(cart.total).to_have_text("€14.50")


def test_the_same_meal_again_adds_up(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish]
) -> None:
    """A meal has one line, however often it is put into the cart."""
    dish = add_meal()
    shopper.put(dish, 2)

    MealPage(page).visit(dish.slug).order.click()

    cart = CartPage(page)
    expect(cart.lines).to_have_count(1)
    expect(cart.quantity(dish.name)).to_have_value("3")


def test_a_quantity_can_be_changed(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish]
) -> None:
    """The total follows the quantities, over all lines."""
    one, other = add_meal(price="4.00"), add_meal(price="0.50")
    shopper.put(one)
    shopper.put(other)
    cart = CartPage(page).open()
    expect(cart.total).to_have_text("€4.50")

    cart.change(one.name, 3)

    expect(cart.total).to_have_text("€12.50")
    expect(cart.quantity(other.name)).to_have_value("1")


def test_a_meal_can_be_removed(page: Page, shopper: Actor, add_meal: Callable[..., Dish]) -> None:
    """What is removed is gone, and an empty cart cannot be paid."""
    one, other = add_meal(), add_meal()
    shopper.put(one)
    shopper.put(other)
    cart = CartPage(page).open()

    cart.remove(one.name)
    expect(cart.lines).to_have_count(1)
    cart.change(other.name, 0)

    expect(page.get_by_text("Your cart is empty.")).to_be_visible()
    CheckoutPage(page).open()
    expect(cart.heading).to_have_text("Cart")


def test_the_cart_outlives_a_logout(
    page: Page, shopper: Actor, newcomer: Customer, add_meal: Callable[..., Dish]
) -> None:
    """Who comes back finds his cart, and nobody else does meanwhile."""
    dish = add_meal()
    shopper.put(dish, 4)
    cart = CartPage(page).open()
    cart.log_out()
    expect(cart.heading).to_have_text("Log in")
    cart.open()
    expect(page).to_have_url(re.compile(r"/login\?next=/cart$"))

    shopper.log_in(newcomer)

    expect(cart.open().quantity(dish.name)).to_have_value("4")


def test_the_cart_is_the_same_on_all_devices(
    shopper: Actor,
    newcomer: Customer,
    add_meal: Callable[..., Dish],
    new_context: CreateContextCallback,
    base_url: str,
) -> None:
    """What is put into the cart here is in the cart there."""
    dish = add_meal()
    elsewhere = new_context().new_page()
    Actor(elsewhere.request, base_url).log_in(newcomer)

    shopper.put(dish)

    expect(CartPage(elsewhere).open().lines).to_contain_text([dish.name])


def test_no_more_than_there_is_goes_into_the_cart(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish]
) -> None:
    """Who asks for more is told how many there are, and his cart stays as it was."""
    dish = add_meal(stock="3")
    shopper.put(dish, 2)

    MealPage(page).visit(dish.slug).order.click()
    cart = CartPage(page)
    expect(cart.quantity(dish.name)).to_have_value("3")
    cart.change(dish.name, 4)

    expect(cart.error).to_have_text(f"Only 3 left of {dish.name}.")
    expect(cart.quantity(dish.name)).to_have_value("3")


@pytest.mark.parametrize("quantity", ["0", "-1", "1.5", "two", "", "21", "9" * 40])
def test_a_quantity_that_makes_no_sense_is_refused(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish], base_url: str, quantity: str
) -> None:
    """The server takes whole numbers from one to twenty, whatever the page would let through."""
    dish = add_meal()
    form: dict[str, Any] = {"csrf": shopper.csrf(), "meal": dish.slug, "quantity": quantity}

    answer = page.request.post(f"{base_url}/cart", form=form)

    assert answer.status == 422
    expect(CartPage(page).open().lines).to_have_count(0)


# Paying


def test_a_cart_is_paid(page: Page, shopper: Actor, add_meal: Callable[..., Dish]) -> None:
    """With a good card the cart becomes an order, and is empty."""
    one, other = add_meal(price="4.00"), add_meal(price="0.50")
    shopper.put(one, 2)
    shopper.put(other)
    CartPage(page).open().checkout.click()
    checkout = CheckoutPage(page)
    lines = {one.name: f"2 x {one.name}, €8.00", other.name: f"1 x {other.name}, €0.50"}
    expect(checkout.lines).to_have_text([lines[name] for name in sorted(lines)])

    checkout.pay(ACCEPTED_CARD)

    order = OrderPage(page)
    expect(order.notice).to_have_text("Thank you. We start to cook.")
    expect(order.lines).to_have_count(2)
    expect(order.total).to_have_text("€8.50")
    expect(CartPage(page).open().lines).to_have_count(0)


@pytest.mark.parametrize(
    ("card", "complaint"),
    [
        pytest.param(DECLINED_CARD, "The bank declined this card. Try another one.", id="declined"),
        pytest.param(
            SILENT_CARD,
            "The payment service does not answer. You have not been charged; try again.",
            id="timed out",
        ),
        pytest.param(
            "4242 4242 4242 4243",
            "This is not a card number. Look for a digit that is wrong.",
            id="mistyped",
        ),
    ],
)
def test_a_payment_that_fails_costs_nothing(
    page: Page,
    shopper: Actor,
    add_meal: Callable[..., Dish],
    card: str,
    complaint: str,
) -> None:
    """The customer is told why, cart and stock are as before, and another card pays."""
    dish = add_meal(stock="5")
    shopper.put(dish, 2)
    checkout = CheckoutPage(page).open()

    checkout.pay(card)

    expect(checkout.error).to_have_text(complaint)
    expect(checkout.card).to_be_empty()
    assert shopper.stock_of(dish) == 5
    expect(OrdersPage(page).open().rows).to_have_count(0)
    CheckoutPage(page).open().pay(ACCEPTED_CARD)
    expect(OrderPage(page).total).to_have_text("€20.00")
    assert shopper.stock_of(dish) == 3


def test_a_card_number_is_nowhere_afterwards(
    page: Page, shopper: Actor, add_meal: Callable[..., Dish], larder: Larder
) -> None:
    """It is in no table, no file and no log, whether the card paid or not."""
    shopper.put(add_meal())
    for card in (DECLINED_CARD, "4242 4242 4242 4243", ACCEPTED_CARD):
        CheckoutPage(page).open().pay(card)
        OrderPage(page).heading.wait_for()
    expect(OrderPage(page).notice).to_be_visible()

    engine = create_engine(larder.database_url, poolclass=NullPool)
    with engine.connect() as connection:
        tables = MetaData()
        tables.reflect(connection)
        kept = [str(connection.execute(select(t)).all()) for t in tables.tables.values()]
    kept += [file.read_bytes().decode("latin-1") for file in larder.log.parent.iterdir()]

    assert len(kept) > 10
    for number in (DECLINED_CARD, "4242 4242 4242 4243", ACCEPTED_CARD):
        assert not [text for text in kept if number in text or number.replace(" ", "") in text]


# Orders


def test_an_order_keeps_name_and_price(
    page: Page, shopper: Actor, staff: Actor, add_meal: Callable[..., Dish]
) -> None:
    """What was bought stays what it was, also when the meal gets dearer or leaves the menu."""
    dish = add_meal(price="10.00")
    number = shopper.buy(dish)

    staff.change_meal(dish, price="99.00", name=f"{dish.name} Royal")
    page.goto(f"/orders/{number}")
    expect(OrderPage(page).lines).to_have_text(
        [re.compile(f"{dish.name}\\s+€10.00\\s+1\\s+€10.00")]
    )
    staff.remove_meal(dish)
    page.reload()

    expect(OrderPage(page).total).to_have_text("€10.00")


def test_nobody_pays_another_price_than_he_saw(
    page: Page, shopper: Actor, staff: Actor, add_meal: Callable[..., Dish]
) -> None:
    """When a price changes while somebody fills in the form he is asked again."""
    dish = add_meal(price="10.00")
    shopper.put(dish)
    checkout = CheckoutPage(page).open()
    staff.change_meal(dish, price="99.00")

    checkout.pay(ACCEPTED_CARD)

    cart = CartPage(page)
    expect(cart.error).to_have_text("Your cart has changed meanwhile. Look at it again.")
    expect(cart.total).to_have_text("€99.00")


def test_orders_are_listed_with_the_latest_first(
    page: Page, shopper: Actor, somebody: Callable[[], Actor], add_meal: Callable[..., Dish]
) -> None:
    """A customer sees his own orders, each with a way to it, and nobody else's."""
    dish = add_meal()
    numbers = [shopper.buy(dish), shopper.buy(dish)]
    somebody().buy(dish)

    orders = OrdersPage(page).open()
    expect(orders.rows.get_by_role("link")).to_have_text([f"Order {n}" for n in numbers[::-1]])
    orders.rows.get_by_role("link").first.click()

    expect(orders.heading).to_have_text(f"Order {numbers[1]}")


def test_an_order_of_somebody_else_is_not_found(
    page: Page, shopper: Actor, somebody: Callable[[], Actor], add_meal: Callable[..., Dish]
) -> None:
    """An order's number in the URL is no key to it."""
    number = somebody().buy(add_meal())

    response = page.goto(f"/orders/{number}")

    assert response is not None
    assert response.status == 404
    expect(OrderPage(page).heading).to_have_text("There is nothing here")


# Programs


def test_a_program_buys_a_meal(
    shopper: Actor, add_meal: Callable[..., Dish], base_url: str
) -> None:
    """Cart and checkout are there as JSON."""
    dish = add_meal(price="3.20")
    headers = {"X-CSRF-Token": shopper.csrf()}

    def post(path: str, **body: object) -> tuple[int, dict[str, object]]:
        answer = shopper.request.post(f"{base_url}/api/{path}", data=body, headers=headers)
        return answer.status, answer.json()

    line = {"slug": dish.slug, "name": dish.name, "price_cents": 320, "quantity": 2}
    assert post("cart", meal=dish.slug, quantity=2) == (200, {"lines": [line], "total_cents": 640})
    assert post("checkout", card=DECLINED_CARD)[0] == 422
    status, order = post("checkout", card=ACCEPTED_CARD, total=640)
    assert (status, order["total_cents"]) == (201, 640)
    assert post("checkout", card=ACCEPTED_CARD) == (409, {"error": "Your cart is empty."})


def test_a_program_without_the_token_changes_nothing(
    shopper: Actor, add_meal: Callable[..., Dish], base_url: str
) -> None:
    """JSON from another site, which has the cookie and not the token, is refused."""
    body = {"meal": add_meal().slug, "quantity": 1}

    answer = shopper.request.post(f"{base_url}/api/cart", data=body)

    assert answer.status == 403
    assert shopper.request.get(f"{base_url}/api/cart").json()["lines"] == []
