"""Three flows of customers with real browsers on larder, the shop of the tests.

Run a shop and then `locust -f loadtests/browser.py --host http://127.0.0.1:8000`, or
`sentinel load run loadtests/browser.py --host http://127.0.0.1:8000 --users 4 --time '60 s'`.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from locust import constant_pacing

from pytest_sentinel.load import BrowserUser, task


class Shopper(BrowserUser):
    """Looks for meals, registers, cooks."""

    host = "http://127.0.0.1:8000"
    wait_time = constant_pacing(5)

    @task(3)
    async def look(self, page: Any, step: Any) -> None:
        """Find a meal and read about it."""
        async with step("meals"):
            await page.goto("/meals")
        async with step("search"):
            await page.get_by_role("searchbox", name="Search").fill("soup")
            await page.wait_for_url("**/meals?q=soup*")
        async with step("meal"):
            await page.get_by_role("region", name="Meals").get_by_role("link").first.click()
            await page.get_by_role("heading", name="How we cook it").wait_for()

    @task(2)
    async def cook(self, page: Any, step: Any) -> None:
        """Open and close recipes in the kitchen."""
        async with step("kitchen"):
            await page.goto("/kitchen")
            await page.get_by_role("status", name="Kitchen").get_by_text("recipes").wait_for()
        rows = page.get_by_role("list", name="Recipes").locator("> li")
        for number in range(3):
            async with step("open a recipe"):
                await rows.nth(number).get_by_role("button").click()
                await rows.nth(number).get_by_role("region").wait_for()
        async with step("close a recipe"):
            await rows.first.get_by_role("button").click()
            await rows.first.get_by_role("region").wait_for(state="hidden")

    @task(1)
    async def register(self, page: Any, step: Any) -> None:
        """Open an account, and leave."""
        async with step("form"):
            await page.goto("/register")
        async with step("account"):
            await page.get_by_label("Name").fill("Ada Byron")
            await page.get_by_label("E-mail address").fill(f"ada-{uuid4().hex}@example.test")
            await page.get_by_label("Password").fill(uuid4().hex)
            await page.get_by_role("button", name="Create account").click()
            await page.wait_for_url("**/account")
        async with step("log out"):
            await page.get_by_role("button", name="Log out").click()
            await page.wait_for_url("**/login")
