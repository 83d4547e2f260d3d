"""A browser of our own and a fresh page in it, for tests of leak checks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Playwright's browser if it is there, else the system's."""
    browser = playwright.chromium.launch()
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a context of its own."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()
