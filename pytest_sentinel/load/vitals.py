"""The web vitals of every page that an iteration loads: the last word of each, and no other.

A page tells every change at once, for a page that is being left is not heard any more; those that
are open at the end are asked. What is measured, and how, stands in vitals.js. Firefox and WebKit
measure less.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.load.wire import PageLoad

_SCRIPT: Final = Path(__file__).with_name("vitals.js").read_text()
_BINDING: Final = "__sentinelVitals"
_READ: Final = "window.__sentinelRead ? window.__sentinelRead() : null"
_TELL: Final = "window.__sentinelRead?.tell()"
_MOST: Final = 1e12
_MOST_LOADS: Final = 500  # of one iteration


class Vitals:
    """What the pages of one context told.

    Args:
        step: returns the name of the step that is under way.
    """

    def __init__(self, step: Callable[[], str]) -> None:
        self._step = step
        self._loads: dict[str, dict[str, Any]] = {}
        self._opened_in = ""
        self._has_lines = False
        self._lines: dict[Any, asyncio.Task[Any]] = {}

    async def watch(self, context: Any) -> None:
        """Measure all pages of a context that is new."""
        self._has_lines = context.browser.browser_type.name == "chromium"
        if not self._has_lines:
            await context.expose_binding(_BINDING, lambda _, text: self._take(text))
        await context.add_init_script(_SCRIPT)
        context.on("page", self._follow)

    async def follow(self, page: Any) -> None:
        """Return when all is heard that a new page says from now on."""
        self._follow(page)
        if page in self._lines:
            await asyncio.wait({self._lines[page]})

    async def ask(self, context: Any, within: float) -> None:
        """Ask the pages that are still open for their last word."""
        pages = [page for page in context.pages if page.url.startswith(("http", "file"))]
        answers = asyncio.gather(*(self._read(page) for page in pages), return_exceptions=True)
        try:
            await asyncio.wait_for(answers, within)
        except TimeoutError:
            return

    def loads(self) -> tuple[PageLoad, ...]:
        """Return what is known of each page load, in their order."""
        return tuple(_load_of(facts) for facts in self._loads.values())

    def _follow(self, page: Any) -> None:
        if page in self._lines:
            return
        page.on("framenavigated", self._note_navigation)
        if self._has_lines:
            self._lines[page] = line = asyncio.create_task(self._connect(page))
            line.add_done_callback(_look_at)

    async def _connect(self, page: Any) -> Any:
        """Hear a page of Chromium by a line of its own.

        What Playwright exposes to pages is answered, and to answer it compiles its own code in each
        document: a tenth of all that a flow costs.
        """
        line = await page.context.new_cdp_session(page)
        line.on("Runtime.bindingCalled", self._heard)
        await asyncio.gather(
            line.send("Runtime.enable"),
            line.send("Runtime.addBinding", {"name": _BINDING}),
            # One that another page has opened may have loaded already; its window may be the one
            # of the empty page that was there first, which the script left alone.
            # It tells at once what it knows: the page may be left before its own turn comes.
            line.send("Runtime.evaluate", {"expression": _SCRIPT + _TELL}),
        )
        return line

    async def _read(self, page: Any) -> None:
        if page in self._lines:
            line = await asyncio.shield(self._lines[page])
            question = {"expression": _READ, "awaitPromise": True, "returnByValue": True}
            text = (await line.send("Runtime.evaluate", question))["result"].get("value")
        else:
            text = await page.evaluate(_READ)
        if isinstance(text, str):
            self._take(text)

    def _heard(self, event: dict[str, Any]) -> None:
        if event["name"] == _BINDING:
            self._take(event["payload"])

    def _note_navigation(self, frame: Any) -> None:
        if frame.parent_frame is None:
            self._opened_in = self._step()

    def _take(self, text: str) -> None:
        try:
            facts = json.loads(text)
            facts = {name: facts.get(name) for name in ("load", "ttfb", "fcp", "lcp", "inp", "cls")}
        except (ValueError, TypeError, AttributeError, RecursionError):
            return  # a page may call what measures it, and say what it likes
        if not isinstance(facts["load"], str):
            return
        known = self._loads.get(facts["load"])
        if known is None and len(self._loads) >= _MOST_LOADS:
            return
        page = known["page"] if known else self._opened_in or self._step()
        self._loads[facts["load"]] = {**facts, "page": page}


def _look_at(line: asyncio.Task[Any]) -> None:
    """A page that is gone before it is heard says nothing; nobody else need know."""
    if not line.cancelled():
        line.exception()


def _load_of(facts: dict[str, Any]) -> PageLoad:
    seconds = {name: _seconds(facts.get(name)) for name in ("ttfb", "fcp", "lcp", "inp")}
    return PageLoad(page=facts["page"], cls=_number(facts.get("cls")), **seconds)


def _seconds(milliseconds: object) -> float | None:
    number = _number(milliseconds)
    return None if number is None else number / 1000


def _number(value: object) -> float | None:
    """Return a number that may be one of a page; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _MOST:
        return None
    return float(value)
