"""What a worker's pool keeps of each browser: who sits on it, and what happened to it.

A *seat* is the Browser object that tests hold; the browser behind it may change.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from playwright.sync_api import Browser

from pytest_sentinel.pool.deaths import Death
from pytest_sentinel.pool.launcher import LocalBrowser
from pytest_sentinel.pool.leased import LeasedBrowser

LAUNCH_FAILED = "sentinel_launch_failed"


@dataclass(slots=True)
class Seat:
    """What the holder of one Browser object sits on."""

    number: int
    launch: Callable[[], Browser]
    api: Browser
    local: LocalBrowser | LeasedBrowser
    name: str
    used: bool = False
    deaths: list[tuple[str, Death]] = field(default_factory=list)

    def death(self) -> Death | None:
        """Return how the browser now behind this seat died; None while it lives."""
        if self.deaths and self.deaths[-1][0] == self.name:
            return self.deaths[-1][1]
        return None


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened to a browser, for the run record.

    Attributes:
        event: launched, replaced, crashed, launch-failed, deferred, handed-over or driver-died.
        seconds: how long it took, where it took time.
        detail: reason, cause or signal.
        what: which browser it is: engine, version and executable, as far as they are known.
    """

    event: str
    browser: str
    slot: int
    at: float
    detail: str = ""
    seconds: float | None = None
    what: str = ""


class Diary:
    """What happened to browsers, until somebody takes it to the run record."""

    def __init__(self) -> None:
        self._happenings: list[Happening] = []
        self.on_happening: Callable[[Happening], None] = lambda happening: None

    def happen(
        self,
        event: str,
        browser: str,
        slot: int,
        detail: str,
        seconds: float | None = None,
        what: str = "",
    ) -> None:
        """Write down that something happened now."""
        happening = Happening(event, browser, slot, time.time(), detail, seconds, what)
        self._happenings.append(happening)
        self.on_happening(happening)

    def note(self, event: str, seat: Seat, detail: str) -> None:
        """Write down what happened to the browser behind a seat."""
        self.happen(event, seat.name, seat.number, detail)

    def take(self) -> list[Happening]:
        """Return what happened since the last call."""
        taken, self._happenings = self._happenings, []
        return taken


def marked(error: BaseException) -> BaseException:
    """Mark an error as a failed launch: the fixtures that keep it let the next test try again."""
    error.__dict__[LAUNCH_FAILED] = True
    return error
