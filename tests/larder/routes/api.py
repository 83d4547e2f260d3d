"""The shop for programs: what the pages do, as JSON.

A program logs in by the form at /login like anybody else and keeps the cookie. ``/api/session``
tells it the CSRF token, which it sends back as ``X-CSRF-Token`` with everything it posts.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import update_wrapper
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.larder import cart, catalogue, orders
from tests.larder.accounts import InvalidField
from tests.larder.models import Meal
from tests.larder.orders import CannotBuy
from tests.larder.payment import PaymentTimedOut
from tests.larder.routes.kitchen import recipe
from tests.larder.routes.meals import the_meal
from tests.larder.routes.shopping import SILENCE, the_cart
from tests.larder.suggestions import suggest
from tests.larder.web import View, Visit, answer, page


def show_session(visit: Visit) -> Response:
    """Answer with who is logged in, and the token for what is posted."""
    user = visit.user
    who = {"name": user.name, "address": user.address, "role": user.role} if user else None
    return JSONResponse({"user": who, "csrf": visit.csrf()})


def list_meals(visit: Visit) -> Response:
    """Answer with a page of the meals that fulfil the wish in the query."""
    wish = catalogue.Wish.from_query(visit.request.query_params)
    with visit.database.reading() as session:
        found = catalogue.find_meals(session, wish)
    return JSONResponse(
        {
            "meals": [_in_short(meal) for meal in found.meals],
            "page": found.number,
            "pages": found.pages,
            "found": found.found,
        }
    )


def show_meal(visit: Visit) -> Response:
    """Answer with one meal and its recipe."""
    meal = the_meal(visit)
    return JSONResponse({**_in_short(meal), **recipe(meal)})


def list_recommendations(visit: Visit) -> Response:
    """Answer with what to try next, and why."""
    with visit.database.reading() as session:
        suggestions = suggest(session, visit.user.id if visit.user else None)
    offers = [
        {**_in_short(each.meal), "reason": each.why.reason, "detail": each.why.detail}
        for each in suggestions
    ]
    return JSONResponse({"recommendations": offers})


def show_cart(visit: Visit) -> Response:
    """Answer with what is in the cart."""
    current = the_cart(visit)
    lines = [
        {
            "slug": line.meal.slug,
            "name": line.meal.name,
            "price_cents": line.meal.price_cents,
            "quantity": line.quantity,
        }
        for line in current.lines
    ]
    return JSONResponse({"lines": lines, "total_cents": current.total_cents})


def add_to_cart(visit: Visit) -> Response:
    """Put ``quantity`` of ``meal`` into the cart, and answer with it."""
    slug, quantity = visit.form.get("meal", ""), visit.form.get("quantity", "1")
    cart.put_into_cart(visit.database, visit.customer().id, slug, quantity)
    return show_cart(visit)


def check_out(visit: Visit) -> Response:
    """Buy what is in the cart with ``card``, for ``total`` cents if that is given."""
    customer, payments = visit.customer(), visit.shop.payments
    order = orders.check_out(visit.database, payments, customer.id, visit.form)
    return JSONResponse({"order": order.id, "total_cents": order.total_cents}, 201)


def program(view: View) -> Callable[[Request], Awaitable[Response]]:
    """Make an endpoint of ``view`` that reads its form from a JSON object, and errs in JSON."""

    def told(visit: Visit) -> Response:
        try:
            return view(visit)
        except InvalidField as error:
            return JSONResponse({"error": str(error), "field": error.field}, 422)
        except CannotBuy as error:
            return JSONResponse({"error": str(error)}, 409)
        except PaymentTimedOut:
            return JSONResponse({"error": SILENCE}, 504)

    async def endpoint(request: Request) -> Response:
        form = _read(await request.body())
        return await run_in_threadpool(answer, told, request, form)

    return update_wrapper(endpoint, view)


def _read(body: bytes) -> dict[str, str]:
    try:
        sent = json.loads(body)
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict):
        raise HTTPException(400, "Send a JSON object.")
    return {name: _text(name, value) for name, value in sent.items()}


def _text(name: str, value: object) -> str:
    # Half of a surrogate pair can be written in JSON, and nowhere else.
    if isinstance(value, str) and value.isascii() | value.isprintable():
        return value
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12:
        return str(value)
    raise HTTPException(422, f"{name[:40]!r} must be a text or a whole number.")


def _in_short(meal: Meal) -> dict[str, Any]:
    return {
        "slug": meal.slug,
        "name": meal.name,
        "summary": meal.summary,
        "course": meal.course,
        "minutes": meal.minutes,
        "vegetarian": meal.vegetarian,
        "price_cents": meal.price_cents,
        "stock": meal.stock,
    }


routes = [
    Route("/api/session", page(show_session), methods=["GET"]),
    Route("/api/meals", page(list_meals), methods=["GET"]),
    Route("/api/meals/{slug}", page(show_meal), methods=["GET"]),
    Route("/api/recommendations", page(list_recommendations), methods=["GET"]),
    Route("/api/cart", page(show_cart), methods=["GET"]),
    Route("/api/cart", program(add_to_cart), methods=["POST"]),
    Route("/api/checkout", program(check_out), methods=["POST"]),
]
