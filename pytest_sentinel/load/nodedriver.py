"""Playwright's own process, one for all browsers of a sidecar: started when needed, watched.

When it dies, everything that Playwright held through it is gone; whoever asks next gets another.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from playwright.async_api import async_playwright

from pytest_sentinel.errors import LocustfileError
from pytest_sentinel.load.endings import all_of
from pytest_sentinel.load.playing import is_playing
from pytest_sentinel.memory.processes import ProcessId, children_of, identify, is_alive, kill_group
from pytest_sentinel.pool.reaper import Reaper

_STOPPED_WITHIN: Final = 5.0

log = logging.getLogger("pytest_sentinel.load")


class NodeDriver:
    """The driver of this process.

    Args:
        reaper: ends it if this process is killed.
        directory: where it keeps its files, for the reaper to remove; None if that is shared.
    """

    def __init__(self, reaper: Reaper, directory: str | None = None) -> None:
        self._reaper = reaper
        self._directory = directory
        self._starting = asyncio.Lock()
        self._playwright: Any = None
        self._watch: int | None = None
        self._mourners: list[Callable[[], None]] = []
        self.process: ProcessId | None = None

    def when_dead(self, tell: Callable[[], None]) -> None:
        """Have ``tell`` called whenever the driver dies."""
        self._mourners.append(tell)

    async def playwright(self) -> Any:
        """Return Playwright, having started its driver if none runs."""
        async with self._starting:
            if self._playwright is None:
                before = set(children_of(os.getpid()))
                self._playwright = await async_playwright().start()
                _keep_errors_apart(self._playwright)
                self.process = _find(before)
                if self.process is not None:
                    self._reaper.adopt(self.process, self._directory)
                    self._watch_over(self.process)
            return self._playwright

    def kill(self) -> None:
        """End the driver by force: nobody reads any more what it says."""
        if self.process is not None and is_alive(self.process):
            kill_group(self.process)

    async def aclose(self) -> None:
        """Stop the driver, if one runs."""
        playwright, self._playwright = self._playwright, None
        self._forget()
        if playwright is None:
            return
        with suppress(Exception):
            await asyncio.wait_for(playwright.stop(), _STOPPED_WITHIN)
        if self.process is not None and is_alive(self.process):
            kill_group(self.process)

    def _watch_over(self, process: ProcessId) -> None:
        try:
            self._watch = os.pidfd_open(process.pid)
        except (AttributeError, OSError):  # not Linux: the ends of its browsers tell
            return
        asyncio.get_running_loop().add_reader(self._watch, self._died)

    def _died(self) -> None:
        self._forget()
        self._playwright = None
        for tell in self._mourners:
            tell()

    def _forget(self) -> None:
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch)
            os.close(self._watch)
            self._watch = None
        if self.process is not None:
            self._reaper.release(self.process)


def keep_open(browser: Any) -> None:
    """Refuse that a scenario closes a browser that others use, or whose end is its lease's."""
    close = browser.close

    async def refuse(*arguments: Any, **options: Any) -> None:
        if is_playing():
            raise LocustfileError(
                "browser.close()",
                "the browser belongs to the pool, and other users are on it; the context of an"
                " iteration is closed at its end, or by page.context.close()",
            )
        await close(*arguments, **options)

    browser.close = refuse


def _keep_errors_apart(playwright: Any) -> None:
    """Have a listener that raises harm nobody: Playwright would raise it in another's next call."""
    connection: Any = getattr(getattr(playwright, "_impl_obj", None), "_connection", None)
    if hasattr(connection, "_on_event_listener_error"):

        def note(error: BaseException) -> None:
            log.error("an event listener of a scenario raised: %s", all_of(error))

        connection._on_event_listener_error = note


def _find(before: set[int]) -> ProcessId | None:
    """Return Playwright's driver, which was not among our children ``before``."""
    for pid in set(children_of(os.getpid())) - before:
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"run-driver" in file.read():
                return identify(pid)
    return None
