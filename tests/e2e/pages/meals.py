"""The pages of meals: the list, a meal, its form, the kitchen."""

from __future__ import annotations

import re
from typing import Self

from playwright.sync_api import Locator, Page

from tests.e2e.pages.base import ShopPage


class MealsPage(ShopPage):
    """The list of meals with its search."""

    path = "/meals"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.search = page.get_by_role("searchbox", name="Search")
        self.course = page.get_by_label("Course")
        self.minutes = page.get_by_label("Ready in")
        self.sort = page.get_by_label("Sort by")
        self.vegetarian = page.get_by_label("Vegetarian only")
        self.submit = page.get_by_role("button", name="Find")
        self.count = page.get_by_role("status", name="Results")
        self.names = page.get_by_role("region", name="Meals").get_by_role("heading")
        self.pages = page.get_by_role("navigation", name="Pages")
        self.add = page.get_by_role("link", name="Add a meal")

    def card(self, name: str) -> Locator:
        """Return the card of a meal."""
        return self.page.get_by_role("article").filter(has_text=name)

    def turn(self, name: str) -> None:
        """Go to another page of the list: a number, Next or Previous."""
        self.pages.get_by_role("link", name=name, exact=True).click()

    def choose(self, name: str) -> None:
        """Follow the link of a meal."""
        self.page.get_by_role("link", name=name).click()


class MealPage(ShopPage):
    """The page of one meal."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.facts = page.get_by_role("definition")
        self.ingredients = page.get_by_role("list", name="Ingredients for one")
        self.steps = page.get_by_role("list", name="How we cook it").get_by_role("listitem")
        self.plate = page.locator("article .plate")
        self.quantity = page.get_by_label("Quantity")
        self.order = page.get_by_role("button", name="Add to cart")
        self.like = page.get_by_role("button", name="Like")
        self.login = page.get_by_role("link", name="Log in to order")
        self.change = page.get_by_role("link", name="Change")
        self.remove = page.get_by_role("link", name="Remove")

    def visit(self, slug: str) -> Self:
        """Load the page of a meal."""
        self.page.goto(f"/meals/{slug}")
        return self


class MealFormPage(ShopPage):
    """The form in which admins write a meal."""

    path = "/meals/new"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.form = page.get_by_role("form", name="Meal")
        self.picture = page.get_by_label("Picture", exact=True)
        self.submit = self.form.get_by_role("button", name=re.compile("^(Add meal|Save)$"))

    def field(self, label: str) -> Locator:
        """Return a field of the form."""
        return self.form.get_by_label(label, exact=True)

    def write(self, **fields: str) -> None:
        """Fill in a whole meal, with ``fields`` by their labels in place of good values."""
        meal = {
            "Name": "Plum Dumplings",
            "Summary": "Plums in potato dough.",
            "Price in euros": "7.40",
            "Minutes": "35",
            "Stock": "12",
            "Ingredients for one": "3 plums\n120 g potatoes\n0.5 tsp cinnamon",
            "Steps": "Boil.\nMash.\nWrap.",
            **fields,
        }
        for label, text in meal.items():
            self.field(label).fill(text)

    def send(self) -> None:
        """Send the form as it is, without the browser's own checks."""
        self.form.evaluate("form => { form.noValidate = true }")
        self.submit.click()


class KitchenPage(ShopPage):
    """The single page with the recipes."""

    path = "/kitchen"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.state = page.get_by_role("status", name="Kitchen")
        self.rows = page.get_by_role("list", name="Recipes").locator("> li")

    def panel(self, meal: str) -> Locator:
        """Return the panel of ``meal``, open or not."""
        return self.page.get_by_role("region", name=f"Recipe for {meal}")

    def open_panel(self, meal: str) -> Locator:
        """Open the panel of ``meal``."""
        self.page.get_by_role("button", name=f"Open {meal}").click()
        return self.panel(meal)

    def close_panel(self, meal: str) -> None:
        """Close the panel of ``meal``."""
        self.page.get_by_role("button", name=f"Close {meal}").click()
