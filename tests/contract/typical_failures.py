"""Tests that fail, are skipped or break, in each way that leaves artifacts behind."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect


@pytest.fixture
def breaks_before(page: Page) -> Page:
    page.set_content("<h1>set-up</h1>")
    raise RuntimeError("set-up breaks")


@pytest.fixture
def breaks_after(page: Page) -> Iterator[Page]:
    yield page
    raise RuntimeError("teardown breaks")


def test_fails(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    assert page.locator("h1").text_content() == "two"


def test_expects_in_vain(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    expect(page.locator("h1")).to_have_text("two", timeout=50)


def test_times_out(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    page.locator("h2").click(timeout=50)


def test_fails_softly(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    expect.soft(page.locator("h1")).to_have_text("two", timeout=50)
    expect.soft(page.locator("h1")).to_have_text("three", timeout=50)
    page.set_content("<h1>went on</h1>")


def test_breaks_before(breaks_before: Page) -> None:
    raise AssertionError("is not reached")


def test_breaks_after(breaks_after: Page) -> None:
    breaks_after.set_content("<h1>fine so far</h1>")


def test_fails_with_two_contexts(page: Page, new_context: Callable[..., BrowserContext]) -> None:
    page.set_content("<h1>one</h1>")
    other = new_context().new_page()
    other.set_content("<h1>two</h1>")
    raise ValueError("on purpose")


def test_page_crashes(page: Page) -> None:
    page.goto("chrome://crash", timeout=5000)


@pytest.mark.xfail(reason="known", strict=True)
def test_known_to_fail(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    raise ValueError("on purpose")


@pytest.mark.skip(reason="not today")
def test_skipped(page: Page) -> None:
    raise AssertionError("is not reached")


def test_skips_itself(page: Page) -> None:
    page.set_content("<h1>one</h1>")
    pytest.skip("on second thoughts")


class UnitTest(unittest.TestCase):
    """A class of the standard library, with a page by an autouse fixture."""

    @pytest.fixture(autouse=True)
    def _take_page(self, page: Page) -> None:
        self.page = page

    def setUp(self) -> None:
        self.page.set_content("<h1>unit</h1>")

    def test_passes(self) -> None:
        self.assertEqual(self.page.locator("h1").text_content(), "unit")  # noqa: PT009

    def test_fails(self) -> None:
        self.assertEqual(self.page.locator("h1").text_content(), "other")  # noqa: PT009

    @unittest.skip("not today")
    def test_skipped(self) -> None:
        self.fail("is not reached")
