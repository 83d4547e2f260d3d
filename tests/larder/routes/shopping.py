"""The cart, the checkout, and the orders that came of it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route

from tests.larder import cart, orders
from tests.larder.accounts import InvalidField
from tests.larder.cart import Cart
from tests.larder.models import Order
from tests.larder.orders import CannotBuy
from tests.larder.payment import PaymentTimedOut
from tests.larder.web import Visit, page

SILENCE = "The payment service does not answer. You have not been charged; try again."


def show_cart(visit: Visit) -> Response:
    """Show what is in the cart."""
    return visit.render("cart.html", cart=the_cart(visit), error=None)


def add(visit: Visit) -> Response:
    """Put a meal into the cart."""
    customer = visit.customer()
    slug, quantity = visit.form.get("meal", ""), visit.form.get("quantity", "1")
    try:
        meal = cart.put_into_cart(visit.database, customer.id, slug, quantity)
    except InvalidField as error:
        return visit.render("cart.html", 422, cart=the_cart(visit), error=error)
    return visit.redirect("/cart", notice=f"{meal.name} is in your cart.")


def change(visit: Visit) -> Response:
    """Change how many of a meal there are, or remove it."""
    customer = visit.customer()
    slug, quantity = visit.request.path_params["slug"], visit.form.get("quantity", "")
    try:
        cart.set_quantity(visit.database, customer.id, slug, quantity)
    except InvalidField as error:
        return visit.render("cart.html", 422, cart=the_cart(visit), error=error)
    return visit.redirect("/cart")


def show_checkout(visit: Visit) -> Response:
    """Show what is to be paid, and ask for a card."""
    current = the_cart(visit)
    if not current.lines:
        return visit.redirect("/cart")
    return visit.render("checkout.html", cart=current, error=None, silence=None)


def check_out(visit: Visit) -> Response:
    """Buy what is in the cart."""
    customer, payments = visit.customer(), visit.shop.payments
    try:
        order = orders.check_out(visit.database, payments, customer.id, visit.form)
    except InvalidField as error:
        current = the_cart(visit)
        return visit.render("checkout.html", 422, cart=current, error=error, silence=None)
    except PaymentTimedOut:
        current = the_cart(visit)
        return visit.render("checkout.html", 504, cart=current, error=None, silence=SILENCE)
    except CannotBuy as error:
        return visit.render("cart.html", 409, cart=the_cart(visit), error=error)
    return visit.redirect(f"/orders/{order.id}", notice="Thank you. We start to cook.")


def show_orders(visit: Visit) -> Response:
    """Show what a customer bought so far."""
    customer = visit.customer()
    with visit.database.reading() as session:
        bought = orders.orders_of(session, customer.id)
    return visit.render("orders.html", orders=bought)


def show_order(visit: Visit) -> Response:
    """Show one order to who placed it."""
    return visit.render("order.html", order=_the_order(visit))


def the_cart(visit: Visit) -> Cart:
    """Return the cart of whoever is logged in."""
    customer = visit.customer()
    with visit.database.reading() as session:
        return cart.cart_of(session, customer.id)


def _the_order(visit: Visit) -> Order:
    customer = visit.customer()
    number = visit.request.path_params["number"]
    with visit.database.reading() as session:
        order = orders.find_order(session, customer.id, number)
    if order is None:
        raise HTTPException(404, "You have no such order.")
    return order


routes = [
    Route("/cart", page(show_cart), methods=["GET"]),
    Route("/cart", page(add), methods=["POST"]),
    Route("/cart/{slug}", page(change), methods=["POST"]),
    Route("/checkout", page(show_checkout), methods=["GET"]),
    Route("/checkout", page(check_out), methods=["POST"]),
    Route("/orders", page(show_orders), methods=["GET"]),
    Route("/orders/{number:id}", page(show_order), methods=["GET"]),
]
