"""A browser of our own and a fresh page in it, for tests of leak checks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright

INSTALLED = "/usr/lib/chromium/chromium-headless-shell"


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Playwright's browser if it is there, else the system's."""
    own = playwright.chromium.executable_path
    browser = playwright.chromium.launch(executable_path=own if Path(own).exists() else INSTALLED)
    yield browser
    browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page in a context of its own."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()
