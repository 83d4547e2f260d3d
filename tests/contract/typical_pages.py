"""Pages and contexts, as most suites use them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect


def test_content(page: Page) -> None:
    page.set_content("<h1>Meals</h1><button>Order</button>")
    expect(page.get_by_role("heading")).to_have_text("Meals")
    expect(page.get_by_role("button", name=re.compile("order", re.I))).to_be_visible()


def test_clicks(page: Page) -> None:
    page.set_content("<button onclick='this.textContent = +this.textContent + 1'>0</button>")
    for _ in range(3):
        page.locator("button").click()
    expect(page.locator("button")).to_have_text("3")


def test_navigation(page: Page, site: str) -> None:
    page.goto(site)
    expect(page).to_have_title("Index")
    response = page.goto(f"{site}/other.html")
    assert response is not None
    assert response.status == 200
    page.go_back()
    expect(page).to_have_title("Index")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("colour", ["red", pytest.param("blue", id="sky")])
def test_parametrized(page: Page, number: int, colour: str) -> None:
    page.set_content(f"<p style='color: {colour}'>{number}</p>")
    assert page.locator("p").evaluate("p => p.style.color") == colour


def test_page_belongs_to_context_and_browser(
    page: Page, context: BrowserContext, browser: Browser
) -> None:
    assert page.context is context
    assert context.browser is browser
    assert context in browser.contexts
    assert isinstance(browser, Browser)
    assert browser.is_connected()


def test_a_fresh_context_for_each_test_1(page: Page, site: str) -> None:
    page.goto(site)
    assert page.evaluate("localStorage.length") == 0
    page.evaluate("localStorage.setItem('left', 'here')")
    assert len(page.context.browser.contexts) in (1, 2)


def test_a_fresh_context_for_each_test_2(page: Page, site: str) -> None:
    page.goto(site)
    assert page.evaluate("localStorage.length") == 0
    page.evaluate("localStorage.setItem('left', 'here')")


def test_two_contexts(new_context: Callable[..., BrowserContext]) -> None:
    one, two = new_context(user_agent="one"), new_context(user_agent="two")
    pages = [one.new_page(), two.new_page()]
    assert [page.evaluate("navigator.userAgent") for page in pages] == ["one", "two"]
    one.close()
    with pytest.raises(ValueError, match=r"x not in list"):
        one.close()


def test_arguments_given_twice(
    new_context: Callable[..., BrowserContext], browser_context_args: dict[str, Any]
) -> None:
    browser_context_args["locale"] = "en-GB"
    try:
        assert new_context().new_page().evaluate("navigator.language") != ""
    finally:
        del browser_context_args["locale"]


@pytest.mark.browser_context_args(user_agent="marked", locale="fr-FR")
def test_marker(page: Page) -> None:
    assert page.evaluate("[navigator.userAgent, navigator.language]") == ["marked", "fr-FR"]


def test_fixture_on_new_context(german: Page) -> None:
    assert german.evaluate("navigator.language") == "de-DE"


class TestOverride:
    """A class with its own browser_context_args."""

    @pytest.fixture
    def browser_context_args(self, browser_context_args: dict[str, Any]) -> dict[str, Any]:
        return {**browser_context_args, "viewport": {"width": 321, "height": 123}}

    def test_size(self, page: Page) -> None:
        assert page.evaluate("[innerWidth, innerHeight]") == [321, 123]


class TestModuleContext:
    """Tests that share a page on a context of the module."""

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls, module_context: BrowserContext) -> Page:
        return module_context.new_page()

    def test_first(self, shared: Page, site: str) -> None:
        shared.goto(site)
        shared.evaluate("window.kept = 'kept'")

    def test_second(self, shared: Page) -> None:
        assert shared.evaluate("window.kept || 'another worker'") in ("kept", "another worker")


def test_storage_state(logged_in_state: Path, browser: Browser, site: str) -> None:
    context = browser.new_context(storage_state=logged_in_state)
    page = context.new_page()
    page.goto(site)
    assert page.evaluate("[localStorage.token, document.cookie]") == ["abc", "user=ada"]
    context.close()


def test_page_of_the_browser(browser: Browser) -> None:
    before = len(browser.contexts)
    page = browser.new_page(java_script_enabled=False)
    page.set_content("<noscript>off</noscript>")
    assert len(browser.contexts) == before + 1
    page.close()
    assert len(browser.contexts) == before


def test_popup(page: Page, context: BrowserContext) -> None:
    page.set_content("<a href='about:blank' target=_blank>open</a>")
    with context.expect_page() as popup:
        page.locator("a").click()
    assert popup.value in context.pages


def test_routes(page: Page, site: str) -> None:
    page.route("**/other.html", lambda route: route.fulfill(body="<title>Mocked</title>"))
    page.goto(f"{site}/other.html")
    expect(page).to_have_title("Mocked")


def test_requests(playwright: Playwright, site: str) -> None:
    api = playwright.request.new_context(base_url=site)
    assert api.get("/file.bin").body() == b"0123456789"
    api.dispose()


def test_without_a_browser(tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []
