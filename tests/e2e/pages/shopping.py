"""The pages of shopping: cart, checkout, orders, recommendations."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from tests.e2e.pages.base import ShopPage


class CartPage(ShopPage):
    """What the customer means to buy."""

    path = "/cart"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.lines = page.get_by_role("table", name="Cart").locator("tbody tr")
        self.total = page.get_by_role("status", name="Total")
        self.checkout = page.get_by_role("link", name="Go to checkout")

    def line(self, meal: str) -> Locator:
        """Return the line of a meal."""
        return self.lines.filter(has_text=meal)

    def quantity(self, meal: str) -> Locator:
        """Return the field with how many of a meal there are."""
        return self.page.get_by_label(f"Quantity of {meal}")

    def change(self, meal: str, quantity: int) -> None:
        """Have so many of a meal."""
        self.quantity(meal).fill(str(quantity))
        self.page.get_by_role("button", name=f"Update {meal}").click()

    def remove(self, meal: str) -> None:
        """Take a meal out."""
        self.page.get_by_role("button", name=f"Remove {meal}").click()


class CheckoutPage(ShopPage):
    """Where the cart is paid."""

    path = "/checkout"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.lines = page.get_by_role("list", name="To pay").get_by_role("listitem")
        self.card = page.get_by_label("Card number")
        self.submit = page.get_by_role("button", name="Pay")

    def pay(self, card: str) -> None:
        """Pay with a card."""
        self.card.fill(card)
        self.submit.click()


class OrdersPage(ShopPage):
    """What the customer bought so far."""

    path = "/orders"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.rows = page.get_by_role("table", name="Orders").locator("tbody tr")


class OrderPage(ShopPage):
    """One order."""

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.lines = page.get_by_role("table", name="Order").locator("tbody tr")
        self.total = page.get_by_role("status", name="Total")


class RecommendationsPage(ShopPage):
    """What larder offers next."""

    path = "/recommendations"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.cards = page.get_by_role("list", name="Recommendations").get_by_role("article")
        self.names = self.cards.get_by_role("heading")

    def reason(self, meal: str) -> Locator:
        """Return why a meal is offered."""
        return self.cards.filter(has_text=meal).locator(".reason")
