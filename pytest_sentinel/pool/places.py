"""One place for a browser: its slots, the browser that serves them, and those that come and go.

A place has as many slots as one browser may serve leases. While a browser is replaced, the leases
that still run on the old one keep their slots: both together never serve more than one alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pytest_sentinel.pool.states import BrowserEvent, BrowserState
from pytest_sentinel.pool.wear import Browser


@dataclass(slots=True)
class Place:
    """One place's page in the books.

    Attributes:
        slots: for each slot the id of the ticket that has it, or None.
        browser: serves new leases when READY.
        successor: about to take over.
        leaving: taken over from, and not DEAD yet.
        suspect: a probe of the browser has failed; it gets nobody new.
        retiring: why the place is being given up; empty while it is not.
    """

    number: int
    engine: str
    slots: list[str | None]
    browser: Browser | None = None
    successor: Browser | None = None
    leaving: list[Browser] = field(default_factory=list)
    suspect: bool = False
    retiring: str = ""

    def browsers(self) -> Iterator[Browser]:
        """Yield every browser that is here."""
        if self.browser is not None:
            yield self.browser
        if self.successor is not None:
            yield self.successor
        yield from self.leaving

    def load(self) -> int:
        """Return how many slots are taken."""
        return sum(slot is not None for slot in self.slots)

    def free(self) -> int:
        """Return how many slots are not taken."""
        return len(self.slots) - self.load()

    def ready(self) -> Browser | None:
        """Return the browser that serves new leases, if there is one."""
        if self.browser is None or self.browser.state is not BrowserState.READY:
            return None
        return None if self.suspect or self.retiring else self.browser

    def starting(self) -> bool:
        """Tell whether a browser is starting here that waiting clients can count on."""
        if self.retiring or (self.ready() is not None):
            return False
        return any(browser.state is BrowserState.LAUNCHING for browser in self.browsers())

    def is_replacing(self) -> bool:
        """Tell whether a replacement is under way."""
        return self.successor is not None or bool(self.leaving)

    def is_idle(self) -> bool:
        """Tell whether a ready browser is here that nobody uses and nobody follows."""
        return self.ready() is not None and not self.load() and not self.is_replacing()

    def take(self, ticket: str) -> None:
        """Give the first free slot to ``ticket``."""
        self.slots[self.slots.index(None)] = ticket

    def give_back(self, ticket: str) -> None:
        """Free the slot of ``ticket``."""
        self.slots[self.slots.index(ticket)] = None

    def add(self, browser: Browser) -> None:
        """Note ``browser`` as starting: to serve here at once, or after the one that does."""
        if self.browser is None:
            self.browser = browser
        else:
            self.successor = browser

    def succeed(self) -> None:
        """Let the successor, now READY, take over."""
        old, self.browser, self.successor = self.browser, self.successor, None
        assert old is not None, f"bug: nobody to succeed in place {self.number}"
        self.suspect = False
        self.leaving.append(old)
        if old.state is BrowserState.READY:
            old.take(BrowserEvent.SUCCEEDED)

    def remove(self, browser: Browser) -> None:
        """Take out a browser that is DEAD."""
        if browser is self.browser:
            self.browser, self.successor = self.successor, None
            self.suspect = False
        else:
            self.leaving.remove(browser)


def least_loaded(places: Iterable[Place], engine: str) -> Place | None:
    """Return the place with a ready ``engine`` and a free slot that has the fewest leases."""
    open_ones = [p for p in places if p.engine == engine and p.ready() is not None and p.free()]
    return min(open_ones, key=lambda place: (place.load(), place.number), default=None)
