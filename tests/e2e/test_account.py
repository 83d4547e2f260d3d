"""The customer's own page: another name, another password, and who may."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.pages import AccountPage, Customer, LoginPage


def test_a_customer_changes_his_name(page: Page, logged_in: Customer) -> None:
    """The new name is on the page and in the bar."""
    account = AccountPage(page)

    account.rename("Augusta King")

    expect(account.notice).to_have_text("Your name is changed.")
    expect(account.facts.first).to_have_text("Augusta King")
    expect(account.account_bar).to_contain_text("Augusta King")


def test_a_name_must_be_one(page: Page, logged_in: Customer) -> None:
    """Blanks alone are no name; the old one stays."""
    account = AccountPage(page)

    account.rename("   ")

    expect(account.error).to_have_text("Tell us your name, in at most 80 letters.")
    expect(account.facts.first).to_have_text(logged_in.name)


def test_a_customer_changes_his_password(page: Page, logged_in: Customer) -> None:
    """The new one opens the account, the old one does not."""
    account = AccountPage(page)

    account.change_password(logged_in.password, "a-brand-new-password")
    expect(account.notice).to_contain_text("Your password is changed.")
    account.log_out()

    login = LoginPage(page)
    login.log_in(logged_in)
    expect(login.error).to_be_visible()
    login.log_in(logged_in, "a-brand-new-password")
    expect(page).to_have_url(re.compile("/account$"))


def test_the_old_password_is_asked_for(page: Page, logged_in: Customer) -> None:
    """Whoever finds a browser open cannot take the account."""
    account = AccountPage(page)

    account.change_password("not-the-password", "a-brand-new-password")

    expect(account.error).to_have_text("This is not your password.")


def test_a_new_password_ends_all_other_sessions(
    page: Page, logged_in: Customer, new_context: CreateContextCallback
) -> None:
    """The device on which it was changed stays logged in, a thief's does not."""
    elsewhere = new_context().new_page()
    LoginPage(elsewhere).open().log_in(logged_in)
    elsewhere.wait_for_url("/account")

    account = AccountPage(page)
    account.change_password(logged_in.password, "a-brand-new-password")
    expect(account.notice).to_be_visible()

    elsewhere.reload()
    expect(elsewhere).to_have_url(re.compile("/login"))
    page.reload()
    expect(account.heading).to_have_text("Your account")
