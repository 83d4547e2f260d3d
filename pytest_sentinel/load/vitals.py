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
_ASK: Final = "() => window.__sentinelRead ? window.__sentinelRead() : null"
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

    async def watch(self, context: Any) -> None:
        """Measure all pages of a context that is new."""
        await context.expose_binding(_BINDING, lambda _, text: self._take(text))
        await context.add_init_script(_SCRIPT)
        context.on("page", self._follow)

    async def ask(self, context: Any, within: float) -> None:
        """Ask the pages that are still open for their last word."""
        pages = [page for page in context.pages if page.url.startswith(("http", "file"))]
        answers = asyncio.gather(*(page.evaluate(_ASK) for page in pages), return_exceptions=True)
        try:
            for text in await asyncio.wait_for(answers, within):
                if isinstance(text, str):
                    self._take(text)
        except TimeoutError:
            return

    def loads(self) -> tuple[PageLoad, ...]:
        """Return what is known of each page load, in their order."""
        return tuple(_load_of(facts) for facts in self._loads.values())

    def _follow(self, page: Any) -> None:
        page.on("framenavigated", self._note_navigation)

    def _note_navigation(self, frame: Any) -> None:
        if frame.parent_frame is None:
            self._opened_in = self._step()

    def _take(self, text: str) -> None:
        facts = json.loads(text)
        known = self._loads.get(facts["load"])
        if known is None and len(self._loads) >= _MOST_LOADS:
            return
        page = known["page"] if known else self._opened_in or self._step()
        self._loads[facts["load"]] = {**facts, "page": page}


def _load_of(facts: dict[str, Any]) -> PageLoad:
    seconds = {name: _seconds(facts.get(name)) for name in ("ttfb", "fcp", "lcp", "inp")}
    return PageLoad(page=facts["page"], cls=facts.get("cls"), **seconds)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
