"""The pages of accounts: registering, logging in and out, the back office."""

from __future__ import annotations

from playwright.sync_api import Locator, Page

from tests.e2e.pages.base import Customer, ShopPage


class RegisterPage(ShopPage):
    """The form for a new account."""

    path = "/register"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.name = page.get_by_label("Name")
        self.address = page.get_by_label("E-mail address")
        self.password = page.get_by_label("Password")
        self.submit = page.get_by_role("button", name="Create account")

    def register(self, customer: Customer) -> None:
        """Fill in the form and send it."""
        self.name.fill(customer.name)
        self.address.fill(customer.address)
        self.password.fill(customer.password)
        self.submit.click()


class LoginPage(ShopPage):
    """The login form."""

    path = "/login"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.address = page.get_by_label("E-mail address")
        self.password = page.get_by_label("Password")
        self.reveal = page.get_by_role("button", name="password")
        self.submit = page.get_by_role("main").get_by_role("button", name="Log in")

    def log_in(self, customer: Customer, password: str | None = None) -> None:
        """Fill in the form, with another password if one is given, and send it."""
        self.address.fill(customer.address)
        self.password.fill(password or customer.password)
        self.submit.click()


class ForgottenPage(ShopPage):
    """The form that asks for a reset link."""

    path = "/forgotten"

    def ask(self, address: str) -> None:
        """Ask for a link to ``address``."""
        self.page.get_by_label("E-mail address").fill(address)
        self.page.get_by_role("button", name="Send the link").click()


class OutboxPage(ShopPage):
    """The letters that larder sent."""

    path = "/outbox"

    def link_for(self, address: str) -> Locator:
        """Load the letters to ``address`` and return the link of the latest."""
        self.page.goto(f"/outbox?to={address}")
        return self.page.get_by_role("article").first.get_by_role("link")


class ResetPage(ShopPage):
    """Where a mailed link leads."""

    def choose(self, password: str) -> None:
        """Choose a new password."""
        self.page.get_by_label("New password").fill(password)
        self.page.get_by_role("button", name="Change password").click()


class AccountPage(ShopPage):
    """The customer's own page."""

    path = "/account"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.facts = page.get_by_role("definition")
        self.name = page.get_by_role("form", name="Name")
        self.password = page.get_by_role("form", name="Password")

    def rename(self, name: str) -> None:
        """Choose another name."""
        self.name.get_by_label("Name").fill(name)
        self.name.get_by_role("button", name="Change name").click()

    def change_password(self, old: str, new: str) -> None:
        """Choose another password."""
        self.password.get_by_label("Old password").fill(old)
        self.password.get_by_label("New password").fill(new)
        self.password.get_by_role("button", name="Change password").click()


class BackOfficePage(ShopPage):
    """What admins see: customers, orders and stock."""

    path = "/admin"

    def __init__(self, page: Page) -> None:
        super().__init__(page)
        self.orders = page.get_by_role("region", name="Orders").locator("tbody tr")
        self.stock = page.get_by_role("region", name="Stock").locator("tbody tr")

    def find(self, text: str) -> Locator:
        """Look for customers and return their rows."""
        self.page.get_by_label("Name or address").fill(text)
        self.page.get_by_role("button", name="Find").click()
        return self.page.get_by_role("region", name="Customers").locator("tbody tr")

    def unlock(self, address: str) -> None:
        """Press the button beside a locked customer."""
        self.page.get_by_role("button", name=f"Unlock {address}").click()
