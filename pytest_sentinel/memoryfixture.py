"""The fixture ``memory``: read what pages and processes hold, and limit a page over a block.

It asks for no browser by itself, and costs nothing until it is used: no import either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import pytest

from pytest_sentinel.errors import MemoryBudgetExceeded, NotMeasurable, SettingError
from pytest_sentinel.running import Running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from pytest_sentinel.memory.limits import PageLimit
    from pytest_sentinel.memory.pagereading import PageReading
    from pytest_sentinel.memory.processes import MemoryReading


class Memory:
    """What a test may ask about memory, and what it may promise about a page."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def limit(self, page: Page, **allowed: str | int) -> AbstractContextManager[None]:
        """Limit what ``page`` may hold after the block, judged after garbage collection.

        ``heap="+5 MB"``, and any number, such as ``listeners=0``, say by how much a counter may
        grow over the block; ``heap="40 MB"``, a text without a sign, what it may be at its end.
        The names are those of a ``PageReading``. A block that raises is not judged.

        Raises:
            SettingError: at once, for an unknown name or a bad value.
            MemoryBudgetExceeded: at the end of the block.
            NotMeasurable: the page does not answer, or its browser cannot tell a counter.
        """
        __tracebackhide__ = True
        from pytest_sentinel.memory import limits

        try:
            understood = limits.parse_page_limits(allowed)
        except SettingError as error:
            # Without the way it took in here: the fault is in the line that called.
            raise error.with_traceback(None) from None
        return _Limited(page, understood, self._running)

    def read(self, page: Page) -> PageReading:
        """Return what ``page`` holds after garbage collection; takes about 0.1 s.

        Raises:
            NotMeasurable: the page is closed, has crashed, or does not answer.
        """
        from pytest_sentinel.memory.pagereading import read_page

        return read_page(page)

    def read_browser(self, of: Browser | BrowserContext | Page | None = None) -> MemoryReading:
        """Return what the processes of a browser hold: that of ``of``, or the only one.

        A reading also counts for the peak that ``limit_browser_memory`` judges.

        Raises:
            NotMeasurable: there is no such browser, or more than one.
        """
        found = self._running.pool().seats()
        if of is not None:
            context = getattr(of, "context", of)
            browser = getattr(context, "browser", context)
            found = {name: seat for name, seat in found.items() if seat.api is browser}
        if len(found) > 1:
            why = f"{len(found)} are open; name a page, such as memory.read_browser(page)"
            raise NotMeasurable("a browser's memory", why)
        for name in found:
            reading = self._running.sampler().read_now(name)
            if reading is not None:
                return reading
        raise NotMeasurable("a browser's memory", "no such browser runs on behalf of this process")

    def read_worker(self) -> MemoryReading:
        """Return what this Python process holds; Playwright's driver and browsers are not in it."""
        from pytest_sentinel.memory.processes import read_memory

        reading = read_memory([os.getpid()])
        assert reading is not None
        return reading


@pytest.fixture
def memory(pytestconfig: pytest.Config) -> Memory:
    """Limit and read memory: ``with memory.limit(page, heap="+5 MB", nodes="+100"): ...``."""
    return Memory(pytestconfig.pluginmanager.getplugin("sentinel-running"))


class _Limited:
    """A block over which a page must keep its limits."""

    def __init__(self, page: Page, allowed: Sequence[PageLimit], running: Running) -> None:
        self._page = page
        self._running = running
        self._allowed = allowed

    def __enter__(self) -> None:
        __tracebackhide__ = True
        from pytest_sentinel.memory.pagereading import read_page

        self._before = read_page(self._page)
        known = self._before.values
        untold = [limit.name for limit in self._allowed if limit.name not in known]
        if untold:
            raise NotMeasurable(", ".join(untold), f"not available on {self._before.engine}")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        __tracebackhide__ = True
        if kind is None:
            failure = self._judge()
            if failure is not None:
                raise failure

    def _judge(self) -> MemoryBudgetExceeded | None:
        from pytest_sentinel.memory import limits
        from pytest_sentinel.memory.pagereading import SETTLE_SECONDS, read_page
        from pytest_sentinel.memory.poolreading import look_into_heap

        after = read_page(self._page)
        values = self._before.values, after.values
        findings = limits.judge_page(self._allowed, *values)
        if not findings:
            return None
        details = limits.page_table(self._allowed, *values)
        if not after.settled:
            details.append(f"the page was still busy after {SETTLE_SECONDS:g} s")
        if any(
            limit.name in limits.SIZES and limits.is_broken(limit, *values)
            for limit in self._allowed
        ):
            pool, sampler = self._running.pool(), self._running.sampler()
            details += look_into_heap(self._page, after, pool, sampler)
        return MemoryBudgetExceeded("memory.limit", findings, details)
