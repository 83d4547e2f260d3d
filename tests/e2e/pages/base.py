"""Who acts in a test, and what every page has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from playwright.sync_api import Page


@dataclass(frozen=True)
class Customer:
    """Who acts in a test."""

    name: str
    address: str
    password: str


class ShopPage:
    """What every page has: a path, a bar at the top and perhaps a notice."""

    path = "/"

    def __init__(self, page: Page) -> None:
        self.page = page
        self.heading = page.get_by_role("heading", level=1)
        self.notice = page.get_by_role("status", name="Notice")
        self.error = page.get_by_role("alert")
        self.account_bar = page.get_by_role("navigation", name="Account")

    def open(self) -> Self:
        """Load the page."""
        self.page.goto(self.path)
        return self

    def log_out(self) -> None:
        """Press the button in the bar."""
        self.account_bar.get_by_role("button", name="Log out").click()
