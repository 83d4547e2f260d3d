"""No secret is written; what is no secret stays readable."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.scrub import bare_url, scrub

SECRET = "s3cr3t-" + "x7Kq9" * 3


@pytest.mark.parametrize(
    "text",
    [
        f"GET https://shop/a?token={SECRET}&page=2",
        f"GET https://shop/a?page=2&access_token={SECRET}#top",
        f"GET https://shop/callback?code={SECRET}&state={SECRET}",
        f"https://anna:{SECRET}@shop/a",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f"{{'authorization': 'Token {SECRET}', 'accept': '*/*'}}",
        f"sent with Bearer {SECRET} to it",
        f"Cookie: session={SECRET}; theme=dark",
        f"set-cookie: sid={SECRET}; Path=/; HttpOnly",
        f"password={SECRET}",
        f'{{"password": "{SECRET}", "user": "anna"}}',
        f"PGPASSWORD={SECRET} psql",
        f"api_key: {SECRET}",
        f"X-Api-Key={SECRET}",
        f"client_secret={SECRET}",
        f"session_id={SECRET}",
        "the token is eyJhbGciOiJIUzI1NiJ9." + SECRET + "." + SECRET,
        "pushed with ghp_" + "s3cr3t" * 6,
        "asked with sk-" + SECRET,
    ],
)
def test_secrets_are_hidden(text: str) -> None:
    """Headers, cookies, queries, passwords and known kinds of keys."""
    assert "s3cr3t" not in scrub(text)
    assert "[hidden]" in scrub(text)


@pytest.mark.parametrize(
    "text",
    [
        "TypeError: Cannot read properties of undefined (reading 'name')",
        "net::ERR_CONNECTION_REFUSED http://127.0.0.1:9/a",
        "error code: 404, key: Enter",
        "the browser died (SIGKILL)",
        "test_login.py:17 in log_in",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    """Errors, addresses and places can still be read."""
    assert scrub(text) == text


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://anna:pw@shop:8443/a/b?token=1#top", "https://shop:8443/a/b"),
        ("data:text/html,<p>secret", "data:"),
        ("about:blank", "about:"),
        ("file:///shop/a.html?x=1", "/shop/a.html"),
        ("http://[half", ""),
    ],
)
def test_an_address_is_kept_without_what_it_carries(url: str, expected: str) -> None:
    """No user, no query, no fragment, and nothing of an address that is content itself."""
    assert bare_url(url) == expected
