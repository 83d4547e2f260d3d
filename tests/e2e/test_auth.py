"""Accounts: registering, logging in and out, and what a session is worth."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect
from pytest_playwright import CreateContextCallback

from tests.e2e.pages import (
    AccountPage,
    Customer,
    LoginPage,
    MealsPage,
    RegisterPage,
)

COOKIE = "larder_session"


def session_cookie(page: Page) -> dict[str, object]:
    """Return the session cookie that the browser holds."""
    (cookie,) = [cookie for cookie in page.context.cookies() if cookie["name"] == COOKIE]
    return dict(cookie)


def test_registration_logs_the_newcomer_in(page: Page, newcomer: Customer) -> None:
    """Whoever registers lands on his account, welcomed and logged in."""
    register = RegisterPage(page).open()

    register.register(newcomer)

    expect(page).to_have_url(re.compile("/account$"))
    expect(register.notice).to_have_text("Welcome to larder, Ada Byron.")
    expect(page.get_by_role("definition")).to_contain_text([newcomer.name, newcomer.address])


def test_an_address_has_one_account(page: Page, customer: Customer) -> None:
    """An address that has an account cannot be registered again, however it is written."""
    register = RegisterPage(page).open()

    register.register(Customer("Eve", customer.address.upper(), "another-password"))

    expect(register.error).to_have_text("This address has an account already.")
    expect(register.address).to_have_attribute("aria-invalid", "true")
    expect(register.password).to_be_empty()


def test_a_short_password_is_not_sent(page: Page, newcomer: Customer) -> None:
    """The browser itself holds back a password of less than eight letters."""
    register = RegisterPage(page).open()

    # The length is judged only where a person typed.
    register.password.press_sequentially("short")
    register.name.fill(newcomer.name)
    register.address.fill(newcomer.address)
    register.submit.click()

    expect(register.password).to_have_js_property("validity.tooShort", True)
    expect(page).to_have_url(re.compile("/register$"))


def test_the_server_refuses_a_short_password_too(page: Page, newcomer: Customer) -> None:
    """A form without the browser's checks is checked on the server."""
    register = RegisterPage(page).open()
    page.get_by_role("form", name="Register").evaluate("form => { form.noValidate = true }")

    register.register(Customer(newcomer.name, newcomer.address, "short"))

    expect(register.error).to_have_text("Choose a password of 8 to 128 letters.")
    expect(register.address).to_have_value(newcomer.address)


def test_the_server_refuses_what_is_no_address(page: Page, newcomer: Customer) -> None:
    """An address must look like one."""
    register = RegisterPage(page).open()
    page.get_by_role("form", name="Register").evaluate("form => { form.noValidate = true }")

    register.register(Customer(newcomer.name, "ada at example", newcomer.password))

    expect(register.error).to_have_text("This does not look like an e-mail address.")


def test_a_name_is_text_and_never_markup(page: Page, newcomer: Customer) -> None:
    """Markup in a name is shown as it was written."""
    register = RegisterPage(page).open()

    register.register(Customer("<img src=x> & Co", newcomer.address, newcomer.password))

    expect(register.account_bar).to_contain_text("<img src=x> & Co")
    expect(page.locator("img")).to_have_count(0)


def test_login_with_the_right_password(page: Page, customer: Customer) -> None:
    """A customer with the right password gets in."""
    login = LoginPage(page).open()

    login.log_in(customer)

    expect(page).to_have_url(re.compile("/account$"))
    expect(login.notice).to_have_text("Good to see you, Ada Byron.")


def test_login_with_a_wrong_password(page: Page, customer: Customer) -> None:
    """A wrong password is refused; the address need not be typed again."""
    login = LoginPage(page).open()

    login.log_in(customer, "not-the-password")

    expect(login.error).to_have_text("Address and password do not belong together.")
    expect(login.address).to_have_value(customer.address)
    expect(login.password).to_be_empty()
    expect(login.account_bar.get_by_role("link", name="Log in")).to_be_visible()


def test_login_does_not_tell_who_has_an_account(
    page: Page, customer: Customer, newcomer: Customer
) -> None:
    """A wrong password and an unknown address are answered with the very same page."""

    def refusal(address: str) -> str:
        login = LoginPage(page).open()
        with page.expect_response("/login") as answer:
            login.log_in(Customer("", address, "not-the-password"))
        expect(login.error).to_be_visible()
        text = page.get_by_role("main").inner_html()
        return f"{answer.value.status} {text}".replace(address, "ADDRESS")

    known = refusal(customer.address)
    unknown = refusal(f"not-{newcomer.address}")

    mask = re.compile(r'name="csrf" value="\w+"')
    assert mask.sub("", known) == mask.sub("", unknown)


def test_login_leads_back_to_where_the_customer_wanted(page: Page, customer: Customer) -> None:
    """A page that needs a login is shown right after it."""
    AccountPage(page).open()
    expect(page).to_have_url(re.compile(r"/login\?next=/account$"))

    LoginPage(page).log_in(customer)

    expect(page).to_have_url(re.compile("/account$"))
    expect(AccountPage(page).heading).to_have_text("Your account")


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("https://evil.test/", id="absolute"),
        pytest.param("//evil.test/", id="scheme-relative"),
        pytest.param("/\\evil.test/", id="backslash"),
    ],
)
def test_login_never_leads_to_another_site(
    page: Page, customer: Customer, base_url: str, target: str
) -> None:
    """A link to the login cannot send the customer elsewhere afterwards."""
    page.goto(f"/login?next={target}")

    LoginPage(page).log_in(customer)

    expect(page).to_have_url(f"{base_url}/meals")


def test_login_changes_the_session_token(page: Page, customer: Customer) -> None:
    """The token from before the login is worth nothing afterwards (session fixation)."""
    login = LoginPage(page).open()
    before = session_cookie(page)

    login.log_in(customer)
    page.wait_for_url("/account")
    after = session_cookie(page)

    assert after["value"] != before["value"]
    page.context.add_cookies([before])  # type: ignore[list-item]
    page.reload()
    expect(page).to_have_url(re.compile("/login"))


def test_the_session_cookie_is_out_of_reach(page: Page, logged_in: Customer) -> None:
    """No script reads the cookie, and no other site sends it along with a form."""
    cookie = session_cookie(page)

    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    assert COOKIE not in page.evaluate("document.cookie")


def test_a_password_can_be_shown(page: Page) -> None:
    """The button shows what was typed, and hides it again."""
    login = LoginPage(page).open()
    login.password.fill("open sesame")

    login.reveal.click()
    expect(login.password).to_have_attribute("type", "text")
    expect(login.reveal).to_have_text("Hide password")

    login.reveal.click()
    expect(login.password).to_have_attribute("type", "password")
    expect(login.password).to_have_value("open sesame")


def test_logout_ends_the_session(page: Page, logged_in: Customer) -> None:
    """After the logout the account is closed again, also to a copy of the cookie."""
    account = AccountPage(page)
    copy = session_cookie(page)

    account.log_out()
    expect(account.notice).to_have_text("You are logged out.")

    page.context.add_cookies([copy])  # type: ignore[list-item]
    account.open()
    expect(page).to_have_url(re.compile("/login"))


def test_the_back_button_does_not_undo_a_logout(page: Page, logged_in: Customer) -> None:
    """A page of the account does not come back from the browser's cache."""
    account = AccountPage(page)
    account.log_out()
    expect(account.heading).to_have_text("Log in")

    page.go_back()

    expect(page.get_by_text(logged_in.address)).to_have_count(0)
    expect(account.heading).to_have_text("Log in")


def test_a_form_of_another_session_is_refused(page: Page, customer: Customer) -> None:
    """A form without the right CSRF token does nothing."""
    login = LoginPage(page).open()
    page.locator("input[name=csrf]").first.evaluate("input => { input.value = 'forged' }")

    login.log_in(customer)

    expect(login.heading).to_have_text("Not like this")
    login.open()
    expect(login.account_bar.get_by_role("link", name="Log in")).to_be_visible()


def test_sessions_of_two_browsers_are_apart(
    logged_in: Customer, new_context: CreateContextCallback
) -> None:
    """Logging in here logs nobody in there."""
    meals = MealsPage(new_context().new_page()).open()

    expect(meals.account_bar.get_by_role("link", name="Log in")).to_be_visible()
