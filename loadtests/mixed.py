"""Customers with real browsers beside clients that only speak HTTP, on larder.

`locust -f loadtests/mixed.py --host http://127.0.0.1:8000 --headless -u 12 -r 4 -t 60s`
"""

from __future__ import annotations

import sys
from pathlib import Path

from locust import FastHttpUser, constant_pacing, task

sys.path.insert(0, str(Path(__file__).parent))

from browser import Shopper


class Caller(FastHttpUser):
    """Reads pages and recipes, without a browser."""

    host = "http://127.0.0.1:8000"
    wait_time = constant_pacing(0.5)
    weight = 2

    @task(3)
    def meals(self) -> None:
        """Read the list of meals."""
        self.client.get("/meals")

    @task(2)
    def recipes(self) -> None:
        """Read all recipes."""
        self.client.get("/api/recipes")

    @task(1)
    def health(self) -> None:
        """Ask how the shop is."""
        self.client.get("/health")


__all__ = ["Caller", "Shopper"]
