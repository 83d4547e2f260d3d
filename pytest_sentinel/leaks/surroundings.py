"""What around a page may disturb a leak check on it, before the check begins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pytest_sentinel.leaks.verdict import Finding

if TYPE_CHECKING:
    from playwright.sync_api import Page


def disturbances(page: Page) -> Iterator[Finding]:
    """Yield what shares the page's renderer or keeps data of its own."""
    others = [other for other in page.context.pages if other is not page]
    related = [other for other in others if other.opener() is page]
    if page.opener() is not None or related:
        yield Finding("another page shares this page's renderer", True)
    elif others:
        yield Finding(f"{len(others)} more page(s) open in this context")
    if page.workers:
        yield Finding(f"{len(page.workers)} worker(s): their own heaps are not covered")
    tracing = getattr(page.context.tracing, "_impl_obj", None)
    if getattr(tracing, "_is_tracing", False):
        yield Finding("tracing is on and keeps data of its own", True)
