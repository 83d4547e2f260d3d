"""How long a session lasts, and where its cookie goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.databases import Databases
from tests.e2e.pages import AccountPage, Customer
from tests.e2e.test_auth import session_cookie
from tests.larder.process import Larder


def ages(page: Page, databases: Databases, larder: Larder) -> Callable[..., int]:
    """Return what sets or looks at a column of the session of ``page``."""
    digest = sha256(str(session_cookie(page)["value"]).encode()).hexdigest()

    def update(change: str, condition: str = "1 = 1", **values: str) -> int:
        statement = f"UPDATE sessions SET {change} WHERE token_digest = :digest AND {condition}"
        return databases.of(larder).execute(statement, digest=digest, **values)

    return update


@pytest.mark.parametrize("age", ["expires_at", "seen_at"])
def test_a_session_expires(
    page: Page, logged_in: Customer, larder: Larder, databases: Databases, age: str
) -> None:
    """It is over when its time is, or when nobody used it for long, whatever the browser sends."""
    update = ages(page, databases, larder)
    assert update(f"{age} = '2001-01-01 00:00:00'") == 1

    page.reload()

    expect(page).to_have_url(re.compile("/login"))


def test_a_session_in_use_stays(
    page: Page, logged_in: Customer, larder: Larder, databases: Databases
) -> None:
    """Each visit puts off the end of a session that nobody uses."""
    update = ages(page, databases, larder)
    an_hour_ago = str(datetime.now(UTC) - timedelta(hours=1))
    assert update("seen_at = :then", then=an_hour_ago) == 1

    page.reload()

    expect(AccountPage(page).heading).to_have_text("Your account")
    assert update("notice = notice", "seen_at > :then", then=an_hour_ago) == 1


def test_the_cookie_is_for_https_alone_where_the_shop_is(
    page: Page, start_larder: Callable[..., Larder]
) -> None:
    """Behind a proxy that speaks https the cookie is secure, and browsers never try without."""
    larder = start_larder(LARDER_PUBLIC_URL="https://larder.test")

    headers = page.request.get(f"{larder.url}/login").headers

    assert "Secure" in headers["set-cookie"]
    assert headers["strict-transport-security"] == "max-age=31536000"
