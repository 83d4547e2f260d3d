"""The health endpoint: what it says when all is well, and when the database is not."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.pages import ShopPage
from tests.larder.process import Larder, running_larder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """A larder whose database was taken away while it ran."""
    with running_larder(tmp_path_factory.mktemp("broken")) as larder:
        hide(larder)
        yield larder


def hide(larder: Larder) -> None:
    """Take the database away."""
    larder.database.rename(larder.database.with_suffix(".hidden"))


def bring_back(larder: Larder) -> None:
    """Put the database back."""
    larder.database.with_suffix(".hidden").rename(larder.database)


def test_a_healthy_larder_says_so(page: Page) -> None:
    """The answer is 200 and "ok"."""
    response = page.request.get("/health")

    assert response.status == 200
    assert response.json()["status"] == "ok"


def test_health_looks_into_the_database(page: Page) -> None:
    """The report holds what the database answered, and how fast."""
    database = page.request.get("/health").json()["database"]

    assert database["status"] == "ok"
    assert database["meals"] == 24
    assert 0 < database["latency_seconds"] < 5


def test_health_names_version_and_uptime(page: Page) -> None:
    """Whoever is on call sees what runs and since when."""
    report = page.request.get("/health").json()

    assert report["version"] == "1.0"
    assert report["uptime_seconds"] > 0


def test_health_is_json_and_never_cached(page: Page) -> None:
    """No proxy may answer for the larder."""
    headers = page.request.get("/health").headers

    assert headers["content-type"] == "application/json"
    assert headers["cache-control"] == "no-store"


def test_health_starts_no_session(page: Page) -> None:
    """A probe that comes every second must not fill the session table."""
    page.request.get("/health")

    assert page.context.cookies() == []


def test_health_needs_no_login_in_a_browser(page: Page) -> None:
    """The report can be read in a browser, as it is."""
    response = page.goto("/health")

    assert response is not None
    assert response.request.redirected_from is None
    expect(page.locator("body")).to_contain_text('"status":"ok"')


def test_health_answers_head(page: Page) -> None:
    """A probe may ask for the status alone."""
    response = page.request.head("/health")

    assert (response.status, response.body()) == (200, b"")


def test_health_only_reads(page: Page) -> None:
    """Nothing can be posted to it."""
    assert page.request.post("/health").status == 405


def test_every_page_carries_the_security_headers(page: Page) -> None:
    """Pages, JSON, files and errors alike forbid inline scripts, framing and sniffing."""
    for path in ("/meals", "/health", "/static/larder.css", "/no-such-page"):
        headers = page.request.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"


def test_health_is_503_when_the_database_is_gone(page: Page, broken: Larder) -> None:
    """A deleted database is noticed, although the server still holds it open."""
    response = page.request.get(f"{broken.url}/health")

    assert response.status == 503
    assert response.json()["status"] == "unavailable"


def test_health_says_which_part_is_broken_and_no_more(page: Page, broken: Larder) -> None:
    """The report blames the database and gives no path away."""
    response = page.request.get(f"{broken.url}/health")

    assert response.json()["database"] == {"status": "unavailable", "error": "OperationalError"}
    assert str(broken.database.parent) not in response.text()


def test_health_recovers_with_the_database(page: Page, start_larder: Callable[..., Larder]) -> None:
    """Once the database is back the larder is well again, without a restart."""
    larder = start_larder()
    hide(larder)
    assert page.request.get(f"{larder.url}/health").status == 503

    bring_back(larder)

    assert page.request.get(f"{larder.url}/health").status == 200


def test_customers_see_a_closed_larder_when_the_database_is_gone(
    page: Page, broken: Larder
) -> None:
    """A page answers 503 in plain words, not with a stack trace."""
    response = page.goto(f"{broken.url}/meals")

    assert response is not None
    assert response.status == 503
    expect(ShopPage(page).heading).to_have_text("The larder is closed for a moment")


def test_health_does_not_wait_for_a_writer(page: Page, larder: Larder) -> None:
    """While somebody holds the write lock the larder can still be read, and says so."""
    with closing(sqlite3.connect(larder.database, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")

        assert page.request.get(f"{larder.url}/health").status == 200
        writer.execute("ROLLBACK")
