"""Customers of larder without a browser, at the seven endpoints that a shop lives on.

Run a shop for it, with enough to sell, and then the load:

    LARDER_STOCK=1000000 LARDER_LOGIN_RATE=100000 python -m tests.larder
    sentinel load run loadtests/api.py --users 8 --spawn-rate 8 --time '120 s'
    locust -f loadtests/api.py

More workers by `--processes 2`. What `loadtests/baseline.json` holds was written by
`--summary loadtests/baseline.json` with the first two lines.
"""

from __future__ import annotations

import random
import re
from typing import Any
from uuid import uuid4

import requests
from locust import FastHttpUser, between, task

from pytest_sentinel.load import require

require("load_requests: p(95) < 200ms", "error_rate: rate < 1%")

CARD = "4242 4242 4242 4242"


class Caller(FastHttpUser):
    """Reads, comes back, buys."""

    host = "http://127.0.0.1:8000"
    # Not at a pace: users that begin together would go on together, and queue behind each other.
    wait_time = between(1, 3)

    def on_start(self) -> None:
        """Open an account, which is no part of what is measured, and log in."""
        # Customers come from many places: one client address each.
        place = f"198.18.{random.randrange(256)}.{random.randrange(256)}"
        self.client.client.default_headers["X-Forwarded-For"] = place
        self.address = f"load-{uuid4().hex}@example.test"
        self.password = uuid4().hex
        with requests.Session() as session:
            form = session.get(f"{self.host}/register", timeout=30).text
            token = re.search(r'name="csrf" value="(\w+)"', form)
            assert token is not None, "bug: a form without a token"
            account = {"name": "Ada Byron", "address": self.address, "password": self.password}
            sent = {"csrf": token[1], **account}
            session.post(f"{self.host}/register", data=sent, timeout=30).raise_for_status()
        self.log_in()

    @task(5)
    def look(self) -> None:
        """Look at the list, at a meal, and at what to try next."""
        meal = random.choice(self.meals())
        self.client.get(f"/api/meals/{meal['slug']}", name="/api/meals/{slug}")
        self.client.get("/api/recommendations")

    @task(3)
    def buy(self) -> None:
        """Choose a meal, put it into the cart and pay."""
        meal = random.choice(self.meals())
        self.send("/api/cart", {"meal": meal["slug"], "quantity": 1})
        self.send("/api/checkout", {"card": CARD})

    @task(1)
    def log_in(self) -> None:
        """Log in, as on another day, and see that it is the right account."""
        form = {"csrf": self.profile()["csrf"], "address": self.address, "password": self.password}
        self.client.post("/login", data=form, allow_redirects=False)
        profile = self.profile()
        assert profile["user"]["address"] == self.address, "somebody else's account"
        self.token = profile["csrf"]

    def meals(self) -> list[dict[str, Any]]:
        """Return a page of the list."""
        found: list[dict[str, Any]] = self.client.get("/api/meals").json()["meals"]
        return found

    def profile(self) -> dict[str, Any]:
        """Return who larder thinks this is."""
        found: dict[str, Any] = self.client.get("/api/session").json()
        return found

    def send(self, path: str, what: dict[str, Any]) -> None:
        """Post JSON with the token of this session."""
        self.client.post(path, json=what, headers={"X-CSRF-Token": self.token})
