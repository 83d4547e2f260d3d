"""Move Playwright's virtual clock with each iteration, so that an app's long timers fire.

The clock replaces the page's timers when it is installed. What a page has set before then runs in
real time, out of reach; that is said, not passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_sentinel.errors import SettingError
from pytest_sentinel.leaks.counters import Counters

if TYPE_CHECKING:
    from playwright.sync_api import Page

_INSTALLED = "typeof globalThis.__pwClock !== 'undefined'"
_TIMER = b'"DOMTimer"'  # among the names in a heap snapshot, if the page has any that is pending


class VirtualTime:
    """The virtual clock of one page.

    Raises:
        SettingError: the page has timers that the clock cannot move.
    """

    def __init__(self, page: Page, counters: Counters, seconds: float) -> None:
        self._page = page
        self._milliseconds = round(seconds * 1000)
        if not page.evaluate(_INSTALLED):
            if _TIMER in counters.snapshot():
                raise SettingError(
                    "clock",
                    f"{seconds:g} s",
                    "cannot move timers that the page set before its clock was installed",
                    "page.clock.install() before page.goto(...)",
                )
            page.clock.install()

    def move(self) -> None:
        """Let the time of one iteration pass, and with it fire what falls due."""
        self._page.clock.run_for(self._milliseconds)
