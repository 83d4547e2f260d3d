"""Contexts that outlive a test, and the fixture that opened each: a crash has them built again.

Nothing of tests and reports here: running.py asks at the borders of fixtures and of tests.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class _Held:
    slot: int
    context: Any
    fixturedef: Any
    request: Any


class WideContexts:
    """What fixtures wider than a test hold open, on which slot of the pool.

    Args:
        contexts: returns every open context with the number of its slot.
    """

    def __init__(self, contexts: Callable[[], Iterable[tuple[int, Any]]]) -> None:
        self._contexts = contexts
        self._held: list[_Held] = []
        self._older: list[Any] = []

    def begin_test(self) -> None:
        """Note what is open before a test's fixtures are set up."""
        self._older = [context for _, context in self._contexts()]

    def holds(self, context: Any) -> bool:
        """Tell whether a context outlives the test: it is older, or a wider fixture's."""
        held = (one.context for one in self._held)
        return any(context is one for one in (*self._older, *held))

    def watch(self, fixturedef: Any, request: Any) -> Generator[None, object, object]:
        """Let the fixture be set up, and note what it leaves open."""
        __tracebackhide__ = True
        # Kept, not only its ids: one that is closed meanwhile would give its id to a new one.
        before = list(self._contexts())
        result = yield
        known = {id(context) for _, context in before} | {id(held.context) for held in self._held}
        self._held += [
            _Held(slot, context, fixturedef, request)
            for slot, context in self._contexts()
            if id(context) not in known
        ]
        return result

    def rebuild(self, dead: Collection[int]) -> None:
        """End the fixtures that had a context on a ``dead`` slot; their users rebuild them."""
        for held in [held for held in self._held if held.slot in dead]:
            self._held.remove(held)
            # Its teardown talks to a browser that is gone; what it says of that is no news.
            with suppress(Exception):
                held.fixturedef.finish(held.request)
