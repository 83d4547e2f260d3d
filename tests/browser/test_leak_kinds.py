"""What holds an object beside a cache is named for what it is, whatever else its owner holds."""

from __future__ import annotations

import os

import pytest
from playwright.sync_api import Page

from pytest_sentinel.leaks.repeat import check_leaks
from tests.browser.leakpages import chromium, page
from tests.corpus.harness import act, load, served

__all__ = ["chromium", "page"]

pytestmark = pytest.mark.browser

NAMES = [name for name in load() if name.endswith("-beside-a-cache")]
USUAL = ["window-listener-beside-a-cache", "mutation-observer-beside-a-cache"]


@pytest.mark.parametrize("name", NAMES if os.environ.get("LEAK_KINDS") == "all" else USUAL)
def test_the_kind_is_that_of_the_retainer(page: Page, name: str) -> None:
    """The cache comes first; beside it there is a leak of the right kind, and of no other."""
    pair = load()[name]
    with served() as base:
        page.goto(f"{base}/{name}/leaky")
        report = check_leaks(page, lambda: act(page, pair.steps))

    assert report.verdict == "LEAK", str(report)
    first, *rest = [leak.kind for leak in report.leaks]
    assert first in pair.kind.split("|"), str(report)
    if pair.beside:
        assert {*rest} - {first}, str(report)
        assert {*rest} - {first} <= {*pair.beside.split("|")}, str(report)
