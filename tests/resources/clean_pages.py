"""Tests with browsers that leave nothing open, whatever stays open around them."""

from __future__ import annotations

import unittest
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

SOME = pytest.mark.parametrize("number", range(8))


@SOME
def test_page(page: Page, site: str, number: int) -> None:
    page.goto(site)
    page.on("request", lambda request: None)
    page.route("**/x", lambda route: route.abort())
    assert page.query_selector("h1") is not None
    expect(page.get_by_role("heading")).to_have_text("Clean")


@SOME
def test_own_context(browser: Browser, number: int) -> None:
    with browser.new_context() as context:
        context.new_page()
        context.tracing.start()


@SOME
def test_contexts(new_context: Callable[..., BrowserContext], number: int) -> None:
    new_context().new_page()
    new_context().new_page()


@SOME
def test_session_page(session_page: Page, site: str, number: int) -> None:
    session_page.goto(site)
    session_page.wait_for_selector("h1")
    session_page.wait_for_function("document.title == 'clean'")
    assert session_page.evaluate("answer()") == 42
    # The arguments of console messages come with handles that nobody asked for.
    session_page.evaluate("console.log({}, document.body, [1])")
    with session_page.expect_request("**/other") as request:
        session_page.evaluate("fetch('/other')")
    assert request.value.url.endswith("/other")


@SOME
def test_undone(session_page: Page, session_context: BrowserContext, number: int) -> None:
    def see(anything: Any) -> None:
        """See."""

    session_page.on("request", see)
    session_page.remove_listener("request", see)
    session_page.route("**/y", see)
    session_page.unroute("**/y", see)
    handle = session_page.evaluate_handle("window")
    handle.dispose()
    session_context.new_cdp_session(session_page).detach()
    session_context.tracing.start()
    session_context.tracing.stop()
    session_context.new_page().close()


@SOME
def test_popup_closes(session_page: Page, session_context: BrowserContext, number: int) -> None:
    with session_page.expect_popup() as popup:
        session_page.evaluate("setTimeout(() => open('about:blank').close(), 0)")
    assert popup.value in (*session_context.pages, popup.value)


@SOME
def test_module_page(module_page: Page, number: int) -> None:
    module_page.set_content(f"<h1>{number}</h1>")
    module_page.get_by_role("heading").click()


class TestClass:
    @SOME
    def test_class_page(self, class_page: Page, number: int) -> None:
        class_page.set_content(f"<h1>{number}</h1>")


@SOME
def test_factory(open_context: Callable[[], BrowserContext], number: int) -> None:
    open_context().new_page()


@SOME
def test_people(people: Any, number: int) -> None:
    people["ada"].set_content("<h1>Ada</h1>")
    people[f"guest {number % 3}"].set_content("<h1>Guest</h1>")
    people.listen("ada")


@SOME
def test_handed_over(opened_here: list[BrowserContext], browser: Browser, number: int) -> None:
    opened_here.append(browser.new_context())


@SOME
def test_asked_late(request: pytest.FixtureRequest, number: int) -> None:
    page = request.getfixturevalue("page")
    page.set_content("<h1>late</h1>")
    request.getfixturevalue("session_page").title()


@SOME
def test_only_requests(playwright: Playwright, site: str, number: int) -> None:
    api = playwright.request.new_context()
    assert api.get(site).ok
    api.dispose()


@pytest.mark.parametrize("number", range(2))
def test_browser_of_its_own(launch_browser: Callable[..., Browser], number: int) -> None:
    with launch_browser() as extra:
        extra.new_page()


@pytest.mark.fresh_browser
def test_fresh_browser(page: Page) -> None:
    page.set_content("<h1>fresh</h1>")


class UnitTest(unittest.TestCase):
    @pytest.fixture(autouse=True)
    def _take(self, page: Page, browser: Browser) -> None:
        self.page, self.browser = page, browser

    def setUp(self) -> None:
        self.context = self.browser.new_context()
        self.addCleanup(self.context.close)

    def test_page(self) -> None:
        self.page.set_content("<h1>unit</h1>")
        self.context.new_page()
