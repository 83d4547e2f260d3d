"""The books of a pool: which slot holds which browser, and what is due next.

A slot is a place that its user sees as one browser for as long as he wants it; the browsers
behind it come and go. Every change goes through one plain method here, which takes ``now``
(seconds, any monotonic clock), does no I/O, and returns the actions that its shell must carry
out and report back as events. Counts are derived from the states, never kept beside them.

The order of a replacement is always: launch the successor, hand the slot over, end the old one.
A browser that is worn keeps its slot when its successor does not launch; one that crashed
leaves the slot empty, and its next user is told why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pytest_sentinel.errors import BreakerOpen
from pytest_sentinel.pool.breaker import PROVEN_UPTIME, Breaker
from pytest_sentinel.pool.states import BrowserEvent, BrowserState
from pytest_sentinel.pool.wear import Browser, Reason, Wear


@dataclass(frozen=True, slots=True)
class Launch:
    """Start ``browser`` for ``slot``."""

    slot: int
    browser: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class HandOver:
    """Let ``slot`` be served by ``new`` instead of ``old`` from now on."""

    slot: int
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Dispose:
    """End ``browser``: politely within a deadline, or at once if ``kill``."""

    browser: str
    kill: bool


@dataclass(frozen=True, slots=True)
class Refuse:
    """Give ``slot``'s user ``error`` instead of a browser."""

    slot: int
    error: BreakerOpen


@dataclass(frozen=True, slots=True)
class Defer:
    """Leave the worn browser of ``slot`` in place: somebody holds a context on it. Said once."""

    slot: int
    browser: str
    reason: Reason


Action = Launch | HandOver | Dispose | Refuse | Defer


@dataclass(slots=True)
class Slot:
    """One place in the pool; ``browser`` serves it, ``successor`` is about to."""

    number: int
    key: str
    browser: Browser | None = None
    successor: Browser | None = None
    leaving: list[Browser] = field(default_factory=list)
    wanted: bool = True

    def browsers(self) -> Iterator[Browser]:
        """Yield every browser that is not DEAD yet."""
        for browser in (self.browser, self.successor, *self.leaving):
            if browser is not None and browser.state is not BrowserState.DEAD:
                yield browser


@dataclass(frozen=True, slots=True)
class Statistics:
    """A pool at one moment. Counters are totals since the pool began.

    Attributes:
        browsers: live browsers by state name; states without one are absent.
        launches: launches that succeeded, by reason.
        launch_failures: launches that did not.
        crashes: browsers that died or hung by themselves.
        deferred: worn browsers that stayed because a context on them was in use.
    """

    browsers: dict[str, int]
    launches: dict[str, int]
    launch_failures: int
    crashes: int
    deferred: int


class Ledger:
    """The books of one pool."""

    def __init__(self, wear: Wear) -> None:
        self._wear = wear
        self._slots: dict[int, Slot] = {}
        self._breakers: dict[str, Breaker] = {}
        self._names = 0
        self._launches: dict[str, int] = {}
        self._launch_failures = 0
        self._crashes = 0
        self._deferred = 0

    # Asking

    def slot(self, number: int) -> Slot:
        """Return the page of slot ``number``."""
        return self._slots[number]

    def breaker(self, key: str) -> Breaker:
        """Return the breaker of launch key ``key``."""
        return self._breakers.setdefault(key, Breaker())

    def statistics(self) -> Statistics:
        """Return an immutable snapshot."""
        counts: dict[str, int] = {}
        for slot in self._slots.values():
            for browser in slot.browsers():
                counts[browser.state.value] = counts.get(browser.state.value, 0) + 1
        return Statistics(
            browsers=counts,
            launches=dict(self._launches),
            launch_failures=self._launch_failures,
            crashes=self._crashes,
            deferred=self._deferred,
        )

    # What users do

    def request(self, key: str, now: float, jitter: float) -> Launch | Refuse:
        """Open a slot for a new user of ``key``; ``jitter`` is any number from 0 to 1."""
        number = len(self._slots) + 1
        slot = Slot(number, key)
        self._slots[number] = slot
        return self._launch(slot, Reason.START, now, jitter)

    def close_asked(self, number: int) -> list[Action]:
        """Give the slot up: its user closed the browser. The shell reports ``gone`` later."""
        return self._give_up(number, BrowserEvent.CLOSE_ASKED, kill=False)

    def served(self, number: int, passed: bool) -> None:
        """Count a test that used the slot; one that passed proves the browser."""
        slot = self._slots[number]
        if slot.browser is None:
            return
        slot.browser.tests += 1
        if passed:
            self._prove(slot, slot.browser)

    # What browsers do

    def launched(self, number: int, now: float) -> list[Action]:
        """The slot's launch succeeded: hand the slot over and end what served it before."""
        slot = self._slots[number]
        new = slot.successor
        assert new is not None, f"bug: slot {number} was not launching"
        new.take(BrowserEvent.LAUNCHED)
        new.ready_at = now
        self._launches[new.reason] = self._launches.get(new.reason, 0) + 1
        old, slot.browser, slot.successor = slot.browser, new, None
        if not slot.wanted:
            # Its user left while it was starting.
            if old is not None and old.state is not BrowserState.DEAD:
                slot.leaving.append(old)
            return self.close_asked(number)
        if old is None:
            return []
        actions: list[Action] = [HandOver(number, old.name, new.name)]
        if old.state is BrowserState.READY:
            old.take(BrowserEvent.SUCCEEDED)
            # Nothing runs on it: a hand-over is only begun when no context is held.
            old.take(BrowserEvent.DRAINED)
            slot.leaving.append(old)
            actions.append(Dispose(old.name, kill=False))
        elif old.state is not BrowserState.DEAD:
            slot.leaving.append(old)
        return actions

    def launch_failed(self, number: int, now: float, cause: str, log: str = "") -> list[Action]:
        """The slot's launch failed: a strike, and whatever is left of it must go."""
        slot = self._slots[number]
        assert slot.successor is not None, f"bug: slot {number} was not launching"
        self._launch_failures += 1
        self.breaker(slot.key).strike(now, slot.successor.name, cause, log)
        return self.launch_interrupted(number)

    def launch_interrupted(self, number: int) -> list[Action]:
        """The slot's launch was called off, as by Ctrl-C: nothing failed, its rest must go."""
        slot = self._slots[number]
        new = slot.successor
        assert new is not None, f"bug: slot {number} was not launching"
        new.take(BrowserEvent.LAUNCH_FAILED)
        slot.successor = None
        slot.leaving.append(new)
        self.breaker(slot.key).abandon(new.name)
        return [Dispose(new.name, kill=True)]

    def crashed(
        self, number: int, now: float, cause: str, log: str = "", *, under: str = ""
    ) -> list[Action]:
        """The slot's browser died, or hangs: a strike unless it was proven, and kill the rest.

        ``under`` is the test that ran, if one did: deaths under the same test are one strike.
        """
        slot = self._slots[number]
        browser = slot.browser
        if browser is None or browser.state in (BrowserState.CLOSING, BrowserState.DEAD):
            return []
        browser.take(BrowserEvent.CRASHED)
        self._crashes += 1
        if not browser.proven and now - browser.ready_at < PROVEN_UPTIME:
            self.breaker(slot.key).strike(now, browser.name, cause, log, under=under)
        else:
            self._prove(slot, browser)
        return [Dispose(browser.name, kill=True)]

    def orphaned(self, number: int) -> list[Action]:
        """What drives the slot's browser died: the browser goes too, and it is not its fault.

        Nobody can use the slot again: its user's object is void.
        """
        return self._give_up(number, BrowserEvent.CRASHED, kill=True)

    def _give_up(self, number: int, event: BrowserEvent, *, kill: bool) -> list[Action]:
        slot = self._slots[number]
        slot.wanted = False
        browser = slot.browser
        if browser is None or browser.state in (BrowserState.CLOSING, BrowserState.DEAD):
            return []
        browser.take(event)
        if not browser.proven:
            self.breaker(slot.key).abandon(browser.name)
        return [Dispose(browser.name, kill=kill)]

    def measured(self, number: int, memory: int) -> None:
        """Note the highest PSS, in bytes, that the slot's browser tree reached lately."""
        browser = self._slots[number].browser
        if browser is not None:
            browser.peak_memory = max(browser.peak_memory, memory)

    def gone(self, name: str) -> None:
        """The last process of browser ``name`` has ended: its place is free."""
        for slot in self._slots.values():
            for browser in slot.browsers():
                if browser.name == name:
                    browser.take(BrowserEvent.GONE)
                    slot.leaving = [b for b in slot.leaving if b is not browser]
                    return

    # What is due

    def due(
        self, number: int, now: float, *, held: bool, jitter: float, fresh: bool = False
    ) -> list[Action]:
        """Say what a slot needs before its next user gets it.

        Args:
            number: the slot.
            now: the time.
            held: a context that outlives a test is open on its browser.
            jitter: any number from 0 to 1, for the wear limits of a new browser.
            fresh: the next user must get a browser that nobody has used.
        """
        slot = self._slots[number]
        browser = slot.browser
        if not slot.wanted or slot.successor is not None:
            return []
        if browser is None or browser.state in (BrowserState.CLOSING, BrowserState.DEAD):
            return [self._launch(slot, Reason.CRASH, now, jitter)]
        if now - browser.ready_at >= PROVEN_UPTIME and not browser.proven:
            self._prove(slot, browser)
        reason = browser.wear(self._wear, now)
        if reason is None and fresh and browser.tests:
            reason = Reason.FRESH
        if reason is None:
            return []
        if held:
            if browser.deferred:
                return []
            browser.deferred = True
            self._deferred += 1
            return [Defer(number, browser.name, reason)]
        launch = self._launch(slot, reason, now, jitter)
        # A worn browser is better than none.
        return [] if isinstance(launch, Refuse) else [launch]

    def _prove(self, slot: Slot, browser: Browser) -> None:
        browser.proven = True
        self.breaker(slot.key).prove(browser.name)

    def _launch(self, slot: Slot, reason: Reason, now: float, jitter: float) -> Launch | Refuse:
        breaker = self.breaker(slot.key)
        name = f"browser-{self._names + 1}"
        if not breaker.may_launch(now, name):
            return Refuse(
                slot.number,
                BreakerOpen(
                    slot.key, breaker.strikes, breaker.retry_in(now), breaker.cause, breaker.log
                ),
            )
        if slot.browser is None and reason is Reason.CRASH:
            reason = Reason.START  # the first launch failed; nothing has crashed
        self._names += 1
        slot.successor = Browser(name, reason, jitter, launched_at=now)
        return Launch(slot.number, name, reason)
