"""People who act over HTTP: how tests come by the customers, meals and orders they start from.

What a test is about is done in the browser, on page objects; what it needs beforehand is done here.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from playwright.sync_api import APIRequestContext, APIResponse

from tests.e2e.pages import Customer
from tests.larder.payment import ACCEPTED_CARD


@dataclass(frozen=True)
class Dish:
    """A meal that a test made for itself."""

    name: str
    slug: str


class Actor:
    """Somebody with a session. With ``page.request`` it is the session of that page."""

    def __init__(self, request: APIRequestContext, base_url: str) -> None:
        self.request = request
        self._base_url = base_url

    def register(self, customer: Customer) -> None:
        """Open an account, which logs in."""
        fields = vars(customer)
        self.post("/register", {**fields})

    def log_in(self, customer: Customer) -> None:
        """Log in to an account that is there."""
        self.post("/login", {"address": customer.address, "password": customer.password})

    def log_out(self) -> None:
        """End the session."""
        self.post("/logout", {})

    def add_meal(self, **fields: Any) -> Dish:
        """Put a meal on the menu that nobody else has; this needs an admin."""
        name = fields.pop("name", None) or f"Dumplings {uuid4().hex[:10]}"
        meal = {
            "course": "main",
            "summary": "Made for a test.",
            "price": "10.00",
            "minutes": "30",
            "stock": "50",
            "ingredients": "100 g flour",
            "steps": "Cook it.",
            **fields,
        }
        answer = self.post("/meals/new", {"name": name, **meal}, multipart=True)
        return Dish(name, answer.headers["location"].removeprefix("/meals/"))

    def change_meal(self, dish: Dish, **fields: Any) -> None:
        """Change a meal; what is not named goes back to what ``add_meal`` takes by default."""
        meal = {
            "name": dish.name,
            "course": "main",
            "summary": "Made for a test.",
            "price": "10.00",
            "minutes": "30",
            "stock": "50",
            "stock_seen": "50",
            "ingredients": "100 g flour",
            "steps": "Cook it.",
            **fields,
        }
        self.post(f"/meals/{dish.slug}/change", meal, multipart=True)

    def remove_meal(self, dish: Dish) -> None:
        """Take a meal from the menu, unless it is gone."""
        form: dict[str, Any] = {"csrf": self.csrf()}
        url = f"{self._base_url}/meals/{dish.slug}/remove"
        assert self.request.post(url, form=form, max_redirects=0).status in {303, 404}

    def like(self, dish: Dish, likes: bool = True) -> None:
        """Like a meal, or like it no longer."""
        self.post(f"/meals/{dish.slug}/like", {"likes": "1" if likes else "0"})

    def put(self, dish: Dish, quantity: int = 1) -> None:
        """Put a meal into the cart."""
        self.post("/cart", {"meal": dish.slug, "quantity": str(quantity)})

    def buy(self, *dishes: Dish, card: str = ACCEPTED_CARD) -> int:
        """Buy one of each, and return the number of the order."""
        for dish in dishes:
            self.put(dish)
        answer = self.post("/checkout", {"card": card})
        return int(answer.headers["location"].removeprefix("/orders/"))

    def stock_of(self, dish: Dish) -> int:
        """Return how many of a meal are left."""
        stock: int = self.request.get(f"{self._base_url}/api/meals/{dish.slug}").json()["stock"]
        return stock

    def post(self, path: str, form: dict[str, Any], *, multipart: bool = False) -> APIResponse:
        """Send a form as a page would; it must be taken."""
        fields = {"csrf": self.csrf(), **form}
        url = self._base_url + path
        if multipart:
            answer = self.request.post(url, multipart=fields, max_redirects=0)
        else:
            answer = self.request.post(url, form=fields, max_redirects=0)
        assert answer.status == 303, f"POST {path}: {answer.status} {answer.text()[:2000]}"
        return answer

    def csrf(self) -> str:
        """Return the token that this session's forms must bring along."""
        token: str = self.request.get(f"{self._base_url}/api/session").json()["csrf"]
        return token


def png(side: int = 8) -> bytes:
    """Return a green square."""
    rows = (b"\0" + b"\x2f\x5d\x50" * side) * side

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
