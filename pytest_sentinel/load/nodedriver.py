"""Playwright's own process, one for all browsers of a sidecar: started when needed, watched.

When it dies, everything that Playwright held through it is gone; whoever asks next gets another.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from playwright.async_api import async_playwright

from pytest_sentinel.memory.processes import ProcessId, children_of, identify, is_alive, kill_group
from pytest_sentinel.pool.reaper import Reaper

_STOPPED_WITHIN: Final = 5.0


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
                self.process = _find(before)
                if self.process is not None:
                    self._reaper.adopt(self.process, self._directory)
                    self._watch_over(self.process)
            return self._playwright

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


def _find(before: set[int]) -> ProcessId | None:
    """Return Playwright's driver, which was not among our children ``before``."""
    for pid in set(children_of(os.getpid())) - before:
        with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
            if b"run-driver" in file.read():
                return identify(pid)
    return None
