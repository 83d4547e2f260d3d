"""Watch what the pages of a test do: web vitals, console errors, failed requests.

Law: nobody waits for it. What a new context is told goes out without an answer being awaited,
before its owner can use it; figures come in when the page sends them. Where Playwright has not the
parts this needs, nothing is watched, and nothing breaks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from importlib import resources
from typing import Any, Final

from pytest_sentinel.errors import NotMeasurable
from pytest_sentinel.telemetry.record import PageFigures, Visit
from pytest_sentinel.telemetry.scrub import bare_url, scrub

BINDING: Final = "__sentinel_page__"

_VITALS = ("ttfb", "fcp", "lcp", "inp", "cls")
_MOST_VISITS = 50
_MOST_MESSAGES = 5
_LONGEST_MESSAGE = 300
_KINDS = {
    "document": "document",
    "script": "script",
    "stylesheet": "style",
    "image": "image",
    "fetch": "fetch",
    "xhr": "fetch",
}


class PageWatch:
    """What the pages of the running test have done so far."""

    def __init__(self) -> None:
        self._script = ""
        self._browsers: dict[int, object] = {}
        self._browser_objects: list[Any] = []
        self.paused = False
        self._forget()

    # Being told of browsers

    def follow(self, browser: Any) -> None:
        """Watch each context that is opened on a browser from now on."""
        if not any(browser is known for known in self._browser_objects):
            self._browser_objects.append(browser)
        self.refresh()

    def refresh(self) -> None:
        """Watch the browsers that have come to stand behind the same objects."""
        for browser in self._browser_objects:
            engine = getattr(browser, "_impl_obj", None)
            if engine is not None and self._browsers.get(id(browser)) is not engine:
                self._browsers[id(browser)] = engine
                engine.on("context", self._watch)

    def take(self) -> PageFigures | None:
        """Return what happened since the last call; None if no page was seen."""
        if not (self._contexts or self._visits or self._console or self._errors):
            return None
        visits: list[Visit] = []
        requests = Counter(self._failed)
        for told in list(self._visits.values())[:_MOST_VISITS]:
            found = {name: told["vitals"].get(name) for name in _VITALS}
            visits.append(Visit(bare_url(told["url"]), **_numbers(found)))
        for told in self._visits.values():
            requests.update(_counts(told["requests"]))
        figures = PageFigures(
            console=dict(self._console),
            errors=self._errors,
            requests=dict(requests),
            messages=(*self._messages, *self._unsaid()),
            visits=tuple(visits),
            heap=self._heap,
            nodes=self._nodes,
            more_visits=max(0, len(self._visits) - _MOST_VISITS),
        )
        self._forget()
        return figures

    def _forget(self) -> None:
        self._contexts = 0
        self._console: Counter[str] = Counter()
        self._errors = 0
        self._failed: Counter[str] = Counter()
        self._messages: list[str] = []
        self._more_messages = 0
        self._heap: int | None = None
        self._nodes: int | None = None
        # By page and the moment it was loaded: what it said last.
        self._visits: dict[tuple[int, str], dict[str, Any]] = {}

    def measure(self, contexts: Iterable[Any]) -> None:
        """Read heap and nodes of the pages that are open, which takes 0.1 s for each."""
        from pytest_sentinel.memory.pagereading import read_page

        for page in [page for context in contexts for page in context.pages]:
            with suppress(NotMeasurable):
                reading = read_page(page)
                self._heap = (self._heap or 0) + reading.heap
                self._nodes = (self._nodes or 0) + reading.nodes

    # Being told by pages

    def _watch(self, context: Any) -> None:
        """Have a new context tell; called before its owner has it."""
        if self.paused:
            return
        self._contexts += 1
        if not self._script:
            self._script = resources.files("pytest_sentinel").joinpath("pagevitals.js").read_text()
        try:
            # For each call of its API Playwright looks who has called it, which takes longer than
            # all the rest. To it, this is one call.
            together = getattr(context, "_wrap_api_call", None)
            tell = partial(self._tell, context)
            telling = tell() if together is None else together(tell)
            # What becomes of it is of no interest: the context may be closed at any time.
            context._loop.create_task(telling).add_done_callback(_ignore)
        except (AttributeError, TypeError):
            return  # another Playwright

    async def _tell(self, context: Any, *_zone: object) -> None:
        context.on("console", self._on_console)
        context.on("weberror", self._on_error)
        context.on("requestfailed", self._on_failed_request)
        await asyncio.gather(
            context.expose_binding(BINDING, self._told),
            context.add_init_script(self._script, None),
        )

    def _told(self, source: dict[str, Any], told: dict[str, Any]) -> None:
        key = (id(source.get("page")), f"{told.get('url')} {told.get('began')}")
        self._visits[key] = told

    def _on_console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self._console[message.type] += 1
            if message.type == "error":
                self._say("console", message.text)

    def _on_error(self, error: Any) -> None:
        self._errors += 1
        self._say("uncaught", str(error.error))

    def _on_failed_request(self, request: Any) -> None:
        why = str(request.failure or "")
        if "ERR_ABORTED" in why or "NS_BINDING_ABORTED" in why:
            return  # by the page or a navigation, on purpose
        self._failed[f"{_KINDS.get(request.resource_type, 'other')} failed"] += 1
        self._say("request", f"{why} {bare_url(request.url)}")

    def _say(self, what: str, text: str) -> None:
        if len(self._messages) < _MOST_MESSAGES:
            self._messages.append(f"{what}: {scrub(text[:2000])[:_LONGEST_MESSAGE]}")
        else:
            self._more_messages += 1

    def _unsaid(self) -> list[str]:
        return [f"and {self._more_messages} more"] if self._more_messages else []


def _ignore(task: Any) -> None:
    if not task.cancelled():
        task.exception()


def _numbers(found: dict[str, Any]) -> dict[str, float]:
    return {name: round(float(value), 6) for name, value in found.items()
            if isinstance(value, int | float)}  # fmt: skip


def _counts(found: dict[str, Any]) -> dict[str, int]:
    return {str(name): int(value) for name, value in found.items()
            if isinstance(value, int | float)}  # fmt: skip
