"""Who guesses passwords: accounts close for a while, clients are slowed down, nobody is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import psutil
import pytest
from playwright.sync_api import APIRequestContext, APIResponse, Page, Playwright, expect

from tests.e2e.actors import Actor
from tests.e2e.databases import Databases
from tests.e2e.pages import (
    BackOfficePage,
    Customer,
    ForgottenPage,
    LoginPage,
    OutboxPage,
    ResetPage,
)
from tests.larder.process import Larder

FAILURES = 5
WRONG = "not-the-password"


@pytest.fixture
def request_context(playwright: Playwright, base_url: str) -> Iterator[APIRequestContext]:
    """Somebody who sends forms without a browser."""
    context = playwright.request.new_context(base_url=base_url)
    yield context
    context.dispose()


def try_to_log_in(
    context: APIRequestContext, address: str, password: str, *, base: str = "", client: str = ""
) -> APIResponse:
    """Send the login form once."""
    token = re.search(r'name="csrf" value="(\w+)"', context.get(f"{base}/login").text())
    assert token is not None
    return context.post(
        f"{base}/login",
        form={"csrf": token[1], "address": address, "password": password},
        headers={"X-Forwarded-For": client} if client else {},
        max_redirects=0,
    )


def guess(context: APIRequestContext, customer: Customer, times: int = FAILURES) -> None:
    """Give a wrong password so many times."""
    for _ in range(times):
        assert try_to_log_in(context, customer.address, WRONG).status == 422


def test_an_account_closes_after_failures(
    page: Page, customer: Customer, request_context: APIRequestContext
) -> None:
    """After the fifth failure in a row not even the right password opens it."""
    guess(request_context, customer)

    login = LoginPage(page).open()
    login.log_in(customer)

    expect(login.error).to_have_text("Address and password do not belong together.")


def test_a_success_forgets_the_failures(
    page: Page, customer: Customer, request_context: APIRequestContext
) -> None:
    """Failures count in a row, not in a lifetime."""
    guess(request_context, customer, FAILURES - 1)
    assert try_to_log_in(request_context, customer.address, customer.password).status == 303

    guess(request_context, customer, FAILURES - 1)

    LoginPage(page).open().log_in(customer)
    expect(page).to_have_url(re.compile("/account$"))


def test_an_account_opens_again_with_time(
    page: Page,
    customer: Customer,
    request_context: APIRequestContext,
    databases: Databases,
    larder: Larder,
) -> None:
    """When the lock is over the password is good again, and the count begins anew."""
    guess(request_context, customer)
    changed = databases.of(larder).execute(
        "UPDATE users SET locked_until = '2001-01-01 00:00:00' WHERE address = :address",
        address=customer.address,
    )
    assert changed == 1

    guess(request_context, customer, 1)
    LoginPage(page).open().log_in(customer)

    expect(page).to_have_url(re.compile("/account$"))


def test_the_owner_is_told_and_can_open_it(
    page: Page, customer: Customer, request_context: APIRequestContext
) -> None:
    """A letter leads him to a new password, which works at once."""
    guess(request_context, customer)
    OutboxPage(page).link_for(customer.address).click()

    ForgottenPage(page).ask(customer.address)
    OutboxPage(page).link_for(customer.address).click()
    ResetPage(page).choose("a-brand-new-password")
    LoginPage(page).log_in(customer, "a-brand-new-password")

    expect(page).to_have_url(re.compile("/account$"))


def test_an_admin_opens_it(
    page: Page, admin: Page, customer: Customer, request_context: APIRequestContext
) -> None:
    """The back office shows the lock and takes it off."""
    guess(request_context, customer)
    office = BackOfficePage(admin).open()
    row = office.find(customer.address)
    expect(row).to_contain_text("locked")

    office.unlock(customer.address)

    expect(office.notice).to_have_text(f"The account of {customer.name} is open again.")
    LoginPage(page).open().log_in(customer)
    expect(page).to_have_url(re.compile("/account$"))


def test_a_closed_account_answers_like_none_at_all(
    customer: Customer, request_context: APIRequestContext
) -> None:
    """The sixth try says the same of an account, closed or not, and of an address without one."""

    def answers(address: str) -> list[str]:
        tries = [try_to_log_in(request_context, address, WRONG) for _ in range(FAILURES + 1)]
        mask = re.compile(r'name="csrf" value="\w+"')
        return [f"{a.status} {mask.sub('', a.text())}".replace(address, "ADDRESS") for a in tries]

    assert answers(customer.address) == answers(f"not-{customer.address}")


def test_an_unknown_address_is_as_much_work(
    customer: Customer, request_context: APIRequestContext, start_larder: Callable[..., Larder]
) -> None:
    """A hash is computed for an address without an account, too: time tells nothing."""
    # So dear that the hash is nearly all of it. Work is what the server's processor did: seconds
    # would be those of whatever else this machine does.
    larder = start_larder(LARDER_ARGON2_TIME_COST="4", LARDER_ARGON2_MEMORY_KIB="32768")
    server = psutil.Process(larder.pid)
    visitor = Actor(request_context, larder.url)
    visitor.register(customer)
    visitor.log_out()
    work = {customer.address: 0.0, f"not-{customer.address}": 0.0}

    for address in list(work) * FAILURES:
        before = sum(server.cpu_times()[:2])
        assert try_to_log_in(request_context, address, WRONG, base=larder.url).status == 422
        work[address] += sum(server.cpu_times()[:2]) - before

    known, unknown = work.values()
    assert known / 3 < unknown < known * 3, work


def test_a_client_that_tries_too_often_is_slowed_down(
    request_context: APIRequestContext, newcomer: Customer, start_larder: Callable[..., Larder]
) -> None:
    """Beyond the rate it is 429 and told when to come back; other clients are not."""
    url = start_larder(LARDER_LOGIN_RATE="3").url

    def status(client: str) -> APIResponse:
        return try_to_log_in(request_context, newcomer.address, WRONG, base=url, client=client)

    assert [status("192.0.2.1").status for _ in range(4)] == [422, 422, 422, 429]
    refused = status("192.0.2.1")
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert "too many logins" in refused.text()
    assert status("192.0.2.2").status == 422
