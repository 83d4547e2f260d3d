"""Hold one object of a page to its promise to die, through a WeakRef that keeps nothing alive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytest_sentinel.errors import PageLeak
from pytest_sentinel.units import format_duration

if TYPE_CHECKING:
    from playwright.sync_api import Page

_PAUSE_MS = 50


class Watch:
    """One watched object; see ``watch``."""

    def __init__(self, page: Page, expression: str, name: str) -> None:
        self._page = page
        self._expression = expression
        self.name = name
        # The handle is to the WeakRef; one to the object itself would keep it alive.
        self._reference = page.evaluate_handle(
            """(expression) => {
                const found = (0, eval)(expression);
                return found !== null && ["object", "function"].includes(typeof found)
                    ? new WeakRef(found) : null;
            }""",
            expression,
        )
        if not self._reference.evaluate("(reference) => reference !== null"):
            self._reference.dispose()
            raise ValueError(f"{expression} is no object in this page, so it cannot be watched")

    def is_collected(self) -> bool:
        """Collect garbage and tell whether the object is gone."""
        # The element hit last is kept by the browser's input handling, whatever the page does.
        self._page.mouse.move(-1, -1)
        for _ in range(2):
            self._page.request_gc()
        return bool(self._reference.evaluate("(reference) => reference.deref() === undefined"))

    def expect_collected(self, timeout: float = 5.0) -> None:
        """Wait until the object is gone.

        Args:
            timeout: seconds.

        Raises:
            PageLeak: it is still alive when they are over.
        """
        __tracebackhide__ = True
        deadline = time.monotonic() + timeout
        while not self.is_collected():
            if time.monotonic() >= deadline:
                raise PageLeak(
                    f"{self.name}: {self._expression} is still alive {format_duration(timeout)} "
                    "after it should have died; something in the page refers to it"
                )
            self._page.wait_for_timeout(_PAUSE_MS)
        self._reference.dispose()


def watch(page: Page, expression: str, name: str) -> Watch:
    """Remember the object that ``expression`` gives now, without keeping it alive.

    Raises:
        ValueError: the expression gives no object.
    """
    return Watch(page, expression, name)
