"""The browsers of a shared pool: which are missing, worn, or too many.

Law: a browser that is worn is replaced before it is retired, one at a time in the whole pool; only
a place that is given up (resize, memory, room for another engine) empties without a successor.
Knows no client: how many of them wait, and which browsers are in use, it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pytest_sentinel.pool.actions import End, Launch
from pytest_sentinel.pool.breaker import PROVEN_UPTIME, Breaker, BreakerState
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.places import Place
from pytest_sentinel.pool.states import BrowserEvent, BrowserState
from pytest_sentinel.pool.wear import Browser, Reason, Wear

_GOLDEN = 0.618034  # multiples of it, without their whole part, never lie close together


class Supply:
    """All places of one pool.

    Args:
        options: what the pool was told.
        launches_at_once: how many browsers may be starting.
        jitter: any number from 0 to 1; spreads wear limits.
        count: adds one to a counter, by name and cause.
    """

    def __init__(
        self,
        options: PoolOptions,
        launches_at_once: int,
        jitter: float,
        count: Callable[[str, str], None],
    ) -> None:
        self._options = options
        self._launches_at_once = launches_at_once
        self._jitter = jitter
        self._count = count
        self._wear = Wear(
            options.recycle_after, options.max_browser_age, options.max_browser_memory
        )
        self._places: dict[int, Place] = {}
        self.breakers = {engine: Breaker() for engine in options.engines}
        self._lost = dict.fromkeys(options.engines, 0)  # crashed, and to be replaced
        self._names = 0
        self._place_numbers = 0
        self.maximum = options.maximum
        self.generation = 1

    # Asking

    @property
    def places(self) -> list[Place]:
        """Return the pages of all places, oldest first."""
        return list(self._places.values())

    def find(self, name: str) -> tuple[Place, Browser]:
        """Return where the browser called ``name`` is, and its page."""
        for place in self._places.values():
            for browser in place.browsers():
                if browser.name == name:
                    return place, browser
        raise KeyError(f"bug: no browser {name} in the books")

    def has_hope(self, engine: str) -> bool:
        """Tell whether a browser of ``engine`` serves, or is starting."""
        return any(place.ready() or place.starting() for place in self._of(engine))

    # What browsers do

    def launched(self, name: str, now: float) -> None:
        """``name`` answers: it takes its place, and what served there before drains."""
        place, browser = self.find(name)
        browser.take(BrowserEvent.LAUNCHED)
        browser.ready_at = now
        self._count("launches_total", browser.reason.value)
        if browser is place.successor:
            place.succeed()
        if place.retiring:
            browser.take(BrowserEvent.RETIRED)

    def launch_failed(self, name: str, now: float, cause: str, log: str) -> End:
        """``name`` did not start: a strike, and whatever is left of it must go."""
        place, browser = self.find(name)
        browser.take(BrowserEvent.LAUNCH_FAILED)
        self._count("launch_failures_total", browser.reason.value)
        self.breakers[place.engine].strike(now, name, cause, log)
        if browser is place.successor:
            place.successor = None
            place.leaving.append(browser)
        return End(name, kill=True, why="launch failed")

    def crashed(
        self, place: Place, browser: Browser, now: float, cause: str, log: str, under: str
    ) -> End:
        """``browser`` died or hangs: a strike unless it was proven, and its place is to be filled.

        ``under`` names who used it: deaths under the same users are one strike.
        """
        browser.take(BrowserEvent.CRASHED)
        self._count("crashes_total", place.engine)
        if browser.proven or now - browser.ready_at >= PROVEN_UPTIME:
            self.prove(place, browser)
        else:
            self.breakers[place.engine].strike(now, browser.name, cause, log, under=under)
        if browser is place.browser and not place.retiring:
            self._lost[place.engine] += 1
        return End(browser.name, kill=True, why=cause)

    def gone(self, name: str) -> None:
        """The last process of ``name`` has ended: its place can be used again."""
        place, browser = self.find(name)
        browser.take(BrowserEvent.GONE)
        if not browser.proven:
            self.breakers[place.engine].abandon(name)
        place.remove(browser)
        if not any(place.browsers()):
            del self._places[place.number]

    def prove(self, place: Place, browser: Browser) -> None:
        """Note that ``browser`` works: it has served, or lived long enough."""
        browser.proven = True
        self.breakers[place.engine].prove(browser.name)

    def prove_old(self, now: float) -> None:
        """Note of each browser that has lived long enough that it works."""
        for place in self._places.values():
            browser = place.ready()
            if browser and not browser.proven and now - browser.ready_at >= PROVEN_UPTIME:
                self.prove(place, browser)

    # What is missing

    def fill(self, wants: Mapping[str, int], now: float) -> list[Launch]:
        """Launch what crashed, what is to be warm, and what waiting clients need.

        Args:
            wants: by engine, how many clients wait that may be served.
            now: the time.
        """
        launches: list[Launch] = []
        for engine in self._options.engines:
            while self._is_short(engine, wants) and self._has_room(engine):
                reason = Reason.CRASH if self._lost[engine] else Reason.START
                launch = self._launch(engine, None, reason, now)
                if launch is None:
                    break
                launches.append(launch)
                self._lost[engine] = max(0, self._lost[engine] - 1)
            if self.breakers[engine].state(now) is BreakerState.OPEN:
                self._lost[engine] = 0  # from here on only those who ask are worth a trial
        wanting = [engine for engine in self._options.engines if self._unserved(engine, wants) > 0]
        for engine in wanting:
            if not self._has_room(engine):
                self._make_room(engine, wanting)
        return launches

    def _is_short(self, engine: str, wants: Mapping[str, int]) -> bool:
        here = [place for place in self._of(engine) if place.ready() or place.starting()]
        few = len(here) < self._options.minimum
        return bool(self._lost[engine]) or few or self._unserved(engine, wants) > 0

    def _unserved(self, engine: str, wants: Mapping[str, int]) -> int:
        """Return how many waiting clients no starting browser will serve."""
        coming = sum(place.free() for place in self._of(engine) if place.starting())
        return wants.get(engine, 0) - coming

    def _has_room(self, engine: str) -> bool:
        return len(self._places) < self.maximum or self._hollow(engine) is not None

    def _hollow(self, engine: str) -> Place | None:
        """Return a place of ``engine`` whose leases drain while nothing serves new ones there."""
        places = self._of(engine)
        return next((p for p in places if p.browser is None and not p.retiring), None)

    def _make_room(self, engine: str, wanting: Collection[str]) -> None:
        """Give up a place of another engine: an idle one, or one in use if there is no other."""
        if self._is_giving_up():
            return
        others = [p for p in self._places.values() if p.engine != engine and p.ready()]
        idle = [p for p in others if p.is_idle() and p.engine not in wanting]
        if idle:
            self.retire(idle[0], "room")
        elif others and not self._of(engine):
            self.retire(min(others, key=lambda place: place.load()), "room")

    # What is worn

    def replace(self, now: float) -> list[Launch]:
        """Launch the successor of one browser that is worn or of an earlier generation."""
        if any(place.is_replacing() for place in self._places.values()):
            return []
        for place in self._places.values():
            browser = place.ready()
            if browser is None:
                continue
            reason = browser.wear(self._wear, now)
            if browser.generation < self.generation:
                reason = Reason.RESTART
            launch = self._launch(place.engine, place, reason, now) if reason else None
            if launch is not None:
                self._count("retirements_total", launch.reason.value)
                return [launch]
        return []

    def _launch(
        self, engine: str, place: Place | None, reason: Reason, now: float
    ) -> Launch | None:
        name = f"browser-{self._names + 1}"
        if self._is_at_launch_limit() or not self.breakers[engine].may_launch(now, name):
            return None
        self._names += 1
        place = place or self._hollow(engine) or self._new_place(engine)
        jitter = (self._jitter + self._names * _GOLDEN) % 1
        place.add(Browser(name, reason, jitter, launched_at=now, generation=self.generation))
        return Launch(name, engine, reason, self.generation)

    def _new_place(self, engine: str) -> Place:
        self._place_numbers += 1
        slots: list[str | None] = [None] * self._options.contexts_per_browser
        place = Place(self._place_numbers, engine, slots)
        self._places[place.number] = place
        return place

    def _is_at_launch_limit(self) -> bool:
        browsers = [b for place in self._places.values() for b in place.browsers()]
        starting = [b for b in browsers if b.state is BrowserState.LAUNCHING]
        return len(starting) >= self._launches_at_once

    # What is too many

    def shrink(self) -> None:
        """Give up the places above the maximum, those with the fewest leases first."""
        staying = [place for place in self._places.values() if not place.retiring]
        staying.sort(key=lambda place: place.load())
        for place in staying[: max(0, len(staying) - self.maximum)]:
            self.retire(place, "resize")

    def shed(self) -> None:
        """Give up one idle browser for the memory it holds, but never the last that serves."""
        if self._is_giving_up():
            return
        idle = [place for place in self._places.values() if place.is_idle()]
        serving = [place for place in self._places.values() if place.ready()]
        if idle and len(serving) > 1:
            self.retire(idle[0], "memory")

    def retire(self, place: Place, why: str) -> None:
        """Give ``place`` up: nobody new gets it, and it goes when it is empty."""
        if not place.retiring:
            self._count("retirements_total", why)
        place.retiring = why
        for browser in place.browsers():
            if browser.state is BrowserState.READY:
                browser.take(BrowserEvent.RETIRED)

    def end_drained(self, busy: Collection[str]) -> list[End]:
        """End the draining browsers that are not among the ``busy`` ones."""
        ends: list[End] = []
        for place in self._places.values():
            for browser in place.browsers():
                if browser.state is BrowserState.DRAINING and browser.name not in busy:
                    browser.take(BrowserEvent.DRAINED)
                    why = place.retiring or "replaced"
                    ends.append(End(browser.name, kill=False, why=why))
        return ends

    def _is_giving_up(self) -> bool:
        return any(place.retiring for place in self._places.values())

    def _of(self, engine: str) -> list[Place]:
        return [place for place in self._places.values() if place.engine == engine]
