"""Pages whose growth speeds up are accused, by name, long before they are too large to answer."""

from __future__ import annotations

import os
import re

import pytest
from playwright.sync_api import Page

from pytest_sentinel.leaks.repeat import check_leaks
from tests.browser.leakpages import chromium, page
from tests.corpus.doubling import PAGES

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser

USUAL = ["test", "event_listener_leak"]


@pytest.mark.parametrize("name", PAGES if os.environ.get("LEAKS_THAT_DOUBLE") == "all" else USUAL)
def test_a_page_that_doubles_is_a_leak_with_a_name(page: Page, name: str) -> None:
    """LEAK, the right owner first, in less than the budget of thirty seconds."""
    page.set_content(PAGES[name].page())

    report = check_leaks(page, lambda: page.click("#go"))

    assert report.verdict == "LEAK", str(report)
    assert re.search(PAGES[name].owner, report.leaks[0].owner), str(report)
    assert report.seconds < 30
