"""One leak check under way: warm up, iterate, sample, ask the judges, dig for the owner.

Counters first: a page that stands still costs three samples. Only growth, or the suspicion of it,
pays for more iterations, so that caches may fill, and then for two heap snapshots. What disturbs
the measurement can turn LEAK into INCONCLUSIVE, never CLEAN into anything. Law: whatever ends a
check, its budget, its number of iterations or an error, what was read until then is judged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from pytest_sentinel.leaks.budget import OutOfTime
from pytest_sentinel.leaks.conclusion import Conclusion
from pytest_sentinel.leaks.growth import QUIET_BYTES, Growth, Trend
from pytest_sentinel.leaks.iterating import Exhausted, Iterating
from pytest_sentinel.leaks.plan import (
    BURST_LEAST,
    CYCLES,
    CYCLES_UNSURE,
    FEWEST_CLEAN,
    FEWEST_LEAK,
    LONG_WINDOWS,
    UNEVEN,
    WINDOWS,
)
from pytest_sentinel.leaks.runaway import has_jumped, is_due, is_rising, speeding
from pytest_sentinel.leaks.surroundings import disturbances
from pytest_sentinel.leaks.suspicion import (
    is_plain_growth,
    is_unsure,
    keeps_pace,
    proven,
    suspects,
)
from pytest_sentinel.leaks.verdict import Leak, LeakReport

Snapshots = Literal["on-suspicion", "always", "never"]

WATCHED = (
    "nodes",
    "listeners",
    "documents",
    "frames",
    "contexts",
    "observers",
    "workers",
    "array buffers",
    "peers",
    "audio",
    "css rules",
    "heap",
    "native",
    "buffers",
    "collections",
)

BURST_SECONDS, BURST_MOST = 0.9, 84  # spent on further iterations before an accusation
TIMER_SECONDS, TIMER_LOOKS = 4.0, 2  # for timers that refer to what is accused, before it is
RACES = 3  # snapshots of growth that then stopped speeding up


class Ended(Exception):
    """Carries the report of a check that ends before its last phase."""

    def __init__(self, report: LeakReport) -> None:
        self.report = report
        super().__init__()


class Check(Iterating):
    """The phases, one after the other; see ``run``."""

    allow: Sequence[str] = ()
    snapshots: Snapshots = "on-suspicion"
    collections_grow = False
    races = 0
    hint = ""

    def run(self) -> LeakReport:
        """Go through the phases and return the report, its time still missing."""
        try:
            return self._run()
        except Ended as ended:
            return ended.report
        except Exhausted:
            return self._too_few(suspects(self.samples, self.ignored) if self.samples else ())
        except OutOfTime:
            return self._conclude().out_of_time(self.iterations, self.budget.seconds, self.pace)

    def so_far(self) -> LeakReport:
        """Judge what was read until now, without another look at the page."""
        report = self._conclude().so_far("the scenario failed")
        return replace(report, seconds=self.budget.spent, ran=self.iterations)

    # ---- phases

    def _run(self) -> LeakReport:
        self.audit.extend(disturbances(self.page))
        self._warm_up()
        moving, grown = self._cycles()
        if self.snapshots != "always" and not moving and not grown:
            return self._stands_still()
        if not self.plan.allows(sum(WINDOWS), self.iterations) or not self.plan.finds_leaks:
            return self._too_few(moving)
        if self.snapshots == "never":
            return self._without_snapshots(moving, grown)
        forensics = self._forensics()
        if forensics is None:
            return self._without_snapshots(moving, grown)
        self._burst()
        self.collections_grow = bool(self._note())
        return self._dig(forensics)

    def _warm_up(self) -> None:
        self._rebase()
        for _ in range(self.plan.warm_up):
            self._once()
            self._race()
        if self.plan.finds_leaks:
            self._note()  # in fewer iterations it would disturb more than it tells
        self._sample()

    def _cycles(self) -> tuple[Sequence[Growth], int]:
        for number in range(CYCLES_UNSURE):
            kept_back = self.plan.kept_back if number >= CYCLES else 0
            if not self.plan.allows(self.plan.cycle + kept_back, self.iterations):
                break
            closely = number < CYCLES or not self.plan.finds_leaks
            self._iterate(self.plan.cycle, closely)
            if not self.plan.finds_leaks and is_rising(self.points, self.ignored):
                continue  # no sample, which would hide how it goes on
            self._sample()
            if has_jumped([self._racing(sample) for sample in self.samples], self.ignored):
                self.points = []
                self._rebase()
                self._follow()
            if is_plain_growth(self.samples, self.ignored) or (
                number + 1 >= CYCLES and not is_unsure(self.samples, self.ignored)
            ):
                break
        if self.iterations > self.samples[-1].iterations:
            self._sample()
        moving = suspects(self.samples, self.ignored) or self._restless()
        return moving, self._note()

    def _stands_still(self) -> LeakReport:
        rest = self.plan.left(self.iterations)
        if rest:
            # Whoever asks for so many gets them: exact counters may begin to move late.
            self._iterate(rest, closely=not self.plan.finds_leaks)
            self._sample()
            if suspects(self.samples, [*self.ignored, "heap", "native", "buffers"]):
                return self._too_few(suspects(self.samples, self.ignored))
        if not self.plan.finds_clean:
            return self._conclude().too_few(self.iterations, (), FEWEST_CLEAN, FEWEST_LEAK)
        return self._conclude().report("CLEAN", "nothing grew")

    def _too_few(self, moving: Sequence[Growth]) -> LeakReport:
        """Use up what is left, for growth that speeds up shows in few, and say what would do."""
        rest = self.plan.left(self.iterations)
        if rest and not self.plan.finds_leaks:
            self._iterate(rest, closely=True)
        if not self.samples or self.iterations > self.samples[-1].iterations:
            self._sample()
        fewest = UNEVEN if self.plan.finds_leaks else FEWEST_LEAK
        if self.plan.most is not None:
            fewest = max(fewest, self.plan.most + sum(WINDOWS)) if self.plan.finds_leaks else fewest
        return self._conclude().too_few(self.iterations, moving, fewest)

    def _iterate(self, times: int, closely: bool = False) -> int:
        """Run the scenario so often, or less if the page grows like a landslide; return how often.

        ``closely`` looks after each iteration for growth that speeds up.
        """
        if times < 1:
            return 0
        started = time.perf_counter()
        for number in range(1, times + 1):
            usual = (time.perf_counter() - started) / max(number - 1, 1)
            self._once()
            if closely and self.disturbed:
                self._rebase()  # what follows a sample is slower to settle
            elif closely:
                self._race()
            elif self._slides(usual if number > 1 else self.pace):
                break
        self.pace = (time.perf_counter() - started) / number
        return number

    def _restless(self) -> Sequence[Growth]:
        """Look longer at a page whose heap moves by itself: its stillness was a coincidence."""
        before = self.samples[-1].sizes["heap"]
        if "heap" in self.ignored or abs(self.counters.heap() - before) <= QUIET_BYTES:
            return []
        first = self.samples[-1]
        rising = 0
        for number in range(2 * CYCLES):
            if not self.plan.allows(self.plan.cycle + self.plan.kept_back, self.iterations):
                return suspects(self.samples, self.ignored)
            last = self.samples[-1].sizes["heap"]
            self._iterate(self.plan.cycle)
            self._sample()
            now = self.samples[-1].sizes["heap"]
            rising += now - last > QUIET_BYTES
            if number + 1 >= CYCLES and now - before <= QUIET_BYTES:
                break
        rise = self.samples[-1].sizes["heap"] - before
        # What is made once rises once; a leak rises with every window that noise leaves alone.
        if rise <= QUIET_BYTES or rising < CYCLES:
            return suspects(self.samples, self.ignored)
        span = self.samples[-1].iterations - first.iterations
        return [Growth("heap", Trend.UNSURE, rise / span, 0.0)]

    def _burst(self) -> None:
        times = min(max(int(BURST_SECONDS / max(self.pace, 0.001)), BURST_LEAST), BURST_MOST)
        left = self.plan.left(self.iterations)
        self._iterate(times if left is None else min(times, left - sum(WINDOWS)))

    # ---- growth that speeds up

    def _race(self) -> None:
        """Note one more point, and follow it up if the increments multiply."""
        self._point()
        if speeding(self.points, self.ignored):
            self._follow()

    def _follow(self) -> None:
        """Go on one by one until it is certain or over; two iterations are kept for snapshots."""
        if self.races >= RACES:
            return
        while len(self.points) < 4 or speeding(self.points, self.ignored):
            if not self.plan.allows(2, self.iterations):
                return
            found = speeding(self.points, self.ignored)
            last_chance = not self.plan.allows(3, self.iterations)
            hurried = self.budget.left < self.budget.seconds / 2
            if found and (last_chance or hurried or is_due(self.points, found)):
                self._dig_race()
                return
            self._once()
            self._point()

    def _dig_race(self) -> None:
        """Enclose the next iterations in two snapshots, until growth is certain or over."""
        self.races += 1
        forensics = None if self.snapshots == "never" else self._forensics()
        leaks: list[Leak] = []
        try:
            if forensics is not None:
                forensics.begin()
                self._note()
                self._rebase()
            ran = 0
            while ran < 2 or (speeding(self.points, self.ignored) and not self._is_certain()):
                if not self.plan.allows(1, self.iterations):
                    break
                self._once()
                self._point()
                ran += 1
            # The points tell growth from what is made once: no snapshot between is needed.
            if forensics is not None and self._is_certain():
                forensics.end()
                found = self.counters.grown_collections(ran) if self._note() else []
                leaks, _ = forensics.leaks((ran,), found)
        except OutOfTime:
            if not self._is_certain():
                raise
        if self._is_certain():
            raise Ended(self._conclude(forensics).runaway(leaks))

    def _is_certain(self) -> bool:
        found = speeding(self.points, self.ignored)
        return bool(found) and found[0].is_certain

    # ---- owners

    def _forensics(self) -> Any:
        try:
            from pytest_sentinel.leaks.forensics import Forensics
        except ImportError:
            self.hint = "pip install 'pytest-sentinel[heap]' names the owner"
            return None
        return Forensics(self.counters)

    def _dig(self, forensics: Any) -> LeakReport:
        self._sample()
        self._wait_for_late_tails()
        leaks, weak = self._two_windows(forensics, WINDOWS)
        if weak and not leaks:
            if not self.plan.allows(sum(LONG_WINDOWS), self.iterations):
                return self._too_few(suspects(self.samples, self.ignored))
            leaks, weak = self._two_windows(forensics, LONG_WINDOWS)
        if forensics.awaits_timers:
            leaks, weak = self._after_timers(forensics, leaks)
        conclusion = self._conclude(forensics)
        return conclusion.judge(
            leaks or proven(self.samples, self.ignored, forensics.explained), weak
        )

    def _two_windows(self, forensics: Any, windows: tuple[int, int]) -> tuple[list[Leak], bool]:
        forensics.begin()
        first = self._iterate(windows[0])
        self._sample()
        # A snapshot between the windows tells growth from what is made once. Where an exact
        # counter, or the size of a collection, has told it already, it is not needed.
        if not (self.collections_grow or keeps_pace(self.samples, first, self.ignored)):
            forensics.divide()
        second = self._iterate(windows[1])
        self._sample()
        self._wait_for_late_tails()
        forensics.end()
        found: list[Any] = []
        if self._note():
            found = self.counters.grown_collections((first + second) // 4)
        leaks, weak = forensics.leaks((first, second), found)
        return leaks, weak

    def _after_timers(self, forensics: Any, leaks: list[Leak]) -> tuple[list[Leak], bool]:
        """Give pending timers the time to fire before what they refer to is accused."""
        for _ in range(TIMER_LOOKS):
            self.page.wait_for_timeout(1000 * TIMER_SECONDS / TIMER_LOOKS)
            returned = forensics.given_back()
            if returned:
                self._find("timers gave objects back some time after the scenario had run")
                counts = self.counters.count()
                self.samples[-1] = replace(self.samples[-1], counts=counts)
                return [leak for leak in leaks if leak not in returned], False
        # Nothing was given back. Who holds it now that the timers are through?
        again, weak = forensics.leaks(forensics.windows, ())
        return again or leaks, weak

    def _wait_for_late_tails(self) -> None:
        """Wait while counters still fall: what an iteration cleans up late is no leak."""
        deadline = time.monotonic() + self.settle
        lowest = dict(self.samples[-1].counts)
        if len(self.samples) > 1 and lowest == dict(self.samples[-2].counts):
            return
        while time.monotonic() < deadline:
            self.page.wait_for_timeout(60)
            now = self.counters.count()
            if all(now[name] >= lowest[name] for name in now):
                break
            lowest = now
        if lowest != dict(self.samples[-1].counts):
            self.samples[-1] = replace(self.samples[-1], counts=lowest)

    def _without_snapshots(self, moving: Sequence[Growth], grown: int) -> LeakReport:
        """Judge by counters alone: exact ones may accuse, bytes only raise a question."""
        self._burst()
        self._sample()
        for window in WINDOWS:
            self._iterate(window)
            self._sample()
        self._wait_for_late_tails()
        return self._conclude().by_counters(moving, grown)

    # ---- the end

    def _conclude(self, forensics: Any = None) -> Conclusion:
        audit = [*self.audit, *(forensics.findings if forensics is not None else ())]
        return Conclusion(
            samples=tuple(self.samples),
            audit=tuple(audit),
            points=tuple(self.points),
            ignored=tuple(self.ignored),
            allow=tuple(self.allow),
            raw=forensics.raw if forensics is not None else (),
            hint=self.hint,
        )
