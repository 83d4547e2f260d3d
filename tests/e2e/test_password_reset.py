"""A new password by mail, for its owner and for nobody else."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.pages import Customer, ForgottenPage, LoginPage, OutboxPage, ResetPage


def test_a_forgotten_password_is_replaced_by_mail(page: Page, customer: Customer) -> None:
    """The mailed link lets its owner choose a password that works from then on."""
    forgotten = ForgottenPage(page).open()
    forgotten.ask(customer.address)
    expect(forgotten.notice).to_contain_text("a letter with a link is on its way")

    OutboxPage(page).link_for(customer.address).click()
    ResetPage(page).choose("a-brand-new-password")
    expect(LoginPage(page).notice).to_contain_text("Your password is changed.")

    LoginPage(page).log_in(customer, "a-brand-new-password")
    expect(page).to_have_url(re.compile("/account$"))


def test_a_replaced_password_is_dead(page: Page, customer: Customer) -> None:
    """After the reset the old password opens nothing."""
    ForgottenPage(page).open().ask(customer.address)
    OutboxPage(page).link_for(customer.address).click()
    ResetPage(page).choose("a-brand-new-password")

    login = LoginPage(page)
    login.log_in(customer)

    expect(login.error).to_have_text("Address and password do not belong together.")


def test_a_reset_link_works_once(page: Page, customer: Customer) -> None:
    """A link that was used asks to be requested anew."""
    ForgottenPage(page).open().ask(customer.address)
    link = OutboxPage(page).link_for(customer.address).get_attribute("href")
    assert link is not None
    page.goto(link)
    ResetPage(page).choose("a-brand-new-password")
    page.wait_for_url("/login")

    page.goto(link)

    expect(ForgottenPage(page).notice).to_contain_text("This link was used already")


def test_a_reset_ends_every_session(
    page: Page, logged_in: Customer, new_context: CreateContextCallback
) -> None:
    """Who resets his password is logged out everywhere, and so is a thief."""
    elsewhere = new_context().new_page()
    ForgottenPage(elsewhere).open().ask(logged_in.address)
    OutboxPage(elsewhere).link_for(logged_in.address).click()
    ResetPage(elsewhere).choose("a-brand-new-password")
    elsewhere.wait_for_url("/login")

    page.reload()

    expect(page).to_have_url(re.compile("/login"))


def test_asking_for_a_reset_does_not_tell_who_has_an_account(
    page: Page, customer: Customer
) -> None:
    """Known and unknown addresses get the same answer on the page; the letters differ."""
    forgotten = ForgottenPage(page).open()
    stranger = f"not-{customer.address}"

    forgotten.ask(customer.address)
    known = forgotten.notice.inner_text()
    forgotten.ask(stranger)
    unknown = forgotten.notice.inner_text()

    assert known == unknown
    expect(OutboxPage(page).link_for(customer.address)).to_have_text(re.compile("/reset/"))
    expect(OutboxPage(page).link_for(stranger)).to_have_text(re.compile("/register$"))


def test_a_made_up_reset_link_opens_nothing(page: Page) -> None:
    """A guessed token is like a used one."""
    page.goto("/reset/made-up")

    expect(ForgottenPage(page).notice).to_contain_text("This link was used already")
