"""The health endpoint: what it says when all is well, and when the database is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.databases import Databases
from tests.e2e.pages import ShopPage
from tests.larder import __version__
from tests.larder.process import Larder, running_larder


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory, databases: Databases) -> Iterator[Larder]:
    """A larder whose database was taken away while it ran."""
    directory = tmp_path_factory.mktemp("broken")
    database = databases.new(directory)
    with running_larder(directory, {"LARDER_DATABASE_URL": database.url}) as larder:
        database.hide()
        yield larder


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

    assert report["version"] == __version__
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
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "camera=()" in headers["permissions-policy"]
        assert "strict-transport-security" not in headers


def test_health_is_503_when_the_database_is_gone(page: Page, broken: Larder) -> None:
    """A deleted database is noticed, although the server still holds it open."""
    response = page.request.get(f"{broken.url}/health")

    assert response.status == 503
    assert response.json()["status"] == "unavailable"


def test_health_says_which_part_is_broken_and_no_more(
    page: Page, broken: Larder, databases: Databases
) -> None:
    """The report blames the database and gives no path away."""
    response = page.request.get(f"{broken.url}/health")

    assert response.json()["database"] == {"status": "unavailable", "error": "OperationalError"}
    assert databases.of(broken).secret not in response.text()


def test_health_recovers_with_the_database(
    page: Page, start_larder: Callable[..., Larder], databases: Databases
) -> None:
    """Once the database is back the larder is well again, without a restart."""
    larder = start_larder()
    databases.of(larder).hide()
    assert page.request.get(f"{larder.url}/health").status == 503

    databases.of(larder).bring_back()

    assert page.request.get(f"{larder.url}/health").status == 200


def test_customers_see_a_closed_larder_when_the_database_is_gone(
    page: Page, broken: Larder
) -> None:
    """A page answers 503 in plain words, not with a stack trace."""
    response = page.goto(f"{broken.url}/meals")

    assert response is not None
    assert response.status == 503
    expect(ShopPage(page).heading).to_have_text("The larder is closed for a moment")


def test_health_does_not_wait_for_a_writer(
    page: Page, larder: Larder, databases: Databases
) -> None:
    """While somebody holds the lock of a writer the larder can still be read, and says so."""
    with databases.of(larder).written_to():
        assert page.request.get(f"{larder.url}/health").status == 200


def test_health_measures_disk_and_memory(page: Page) -> None:
    """What fills up and what grows can be watched from outside."""
    report = page.request.get("/health").json()

    assert report["disk"]["status"] == "ok"
    assert 0 < report["disk"]["free_bytes"] < report["disk"]["total_bytes"]
    assert report["memory"]["resident_bytes"] > 10 * 1024 * 1024


def test_a_disk_that_fills_up_is_told_while_it_still_sells(
    page: Page, start_larder: Callable[..., Larder]
) -> None:
    """The status is "degraded", and 200: no load balancer need send customers away."""
    larder = start_larder(LARDER_MIN_DISK_MIB="999999999")

    response = page.request.get(f"{larder.url}/health")

    assert (response.status, response.json()["status"]) == (200, "degraded")
    assert response.json()["disk"]["status"] == "low"
