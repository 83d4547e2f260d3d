"""Drive a scenario: warm up, iterate, sample, ask the judges, dig for the owner.

Counters first: a page that stands still costs three samples. Only growth, or the suspicion of it,
pays for more iterations, so that caches may fill, and then for two heap snapshots. What disturbs
the measurement can turn LEAK into INCONCLUSIVE, never CLEAN into anything.
"""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from playwright.sync_api import Error as PlaywrightError

from pytest_sentinel.leaks.counters import Counters, CountersUnavailable
from pytest_sentinel.leaks.growth import QUIET_BYTES, Growth, Trend
from pytest_sentinel.leaks.suspicion import (
    growing_lately,
    is_plain_growth,
    is_unsure,
    keeps_pace,
    proven,
    suspects,
)
from pytest_sentinel.leaks.verdict import Finding, Leak, LeakReport, Sample, Verdict

if TYPE_CHECKING:
    from playwright.sync_api import Page

Scenario = Callable[[], object]
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

WARM_UP = 8  # the virtual machine compiles what runs often, pages fill their small caches
CYCLE = 4
CYCLES = 2  # sampled at least; CYCLES_UNSURE at most
CYCLES_UNSURE = 5
WINDOWS = (5, 7)  # coprime, so that noise of any period cannot imitate one object per iteration
LONG_WINDOWS = (15, 21)
BURST_SECONDS = 0.9  # spent on further iterations before an accusation, so that caches fill
BURST_LEAST, BURST_MOST = 12, 84
TIMER_SECONDS, TIMER_LOOKS = 4.0, 2  # for timers that refer to what is accused, before it is
SETTLE_SECONDS = 2.0  # at most, for one sample


def check_leaks(
    page: Page,
    scenario: Scenario | tuple[Scenario, Scenario],
    *,
    iterations: int | Literal["auto"] = "auto",
    settle: float | None = None,
    watch: Sequence[str] = WATCHED,
    allow: Sequence[str] = (),
    snapshots: Snapshots = "on-suspicion",
) -> LeakReport:
    """Run ``scenario`` again and again and say whether the page keeps something of each run.

    Never raises on a verdict; what the scenario itself raises passes through.

    Args:
        page: the page the scenario works on.
        scenario: one iteration, as a callable or as ``(action, back)``.
        iterations: sampled iterations after the warm-up, or "auto".
        settle: seconds to wait at most for the page to come to rest before a sample.
        watch: names of the counters to judge; all by default.
        allow: patterns (fnmatch) of owners, kinds or fingerprints that may grow.
        snapshots: when heap snapshots are taken; "never" gives verdicts without owners.
    """
    started = time.perf_counter()
    steps = scenario if isinstance(scenario, tuple) else (scenario,)
    try:
        counters = Counters(page)
    except CountersUnavailable as error:
        seconds = time.perf_counter() - started
        return LeakReport("INCONCLUSIVE", reason=f"counters are {error}", seconds=seconds)
    check = _Check(page, counters, steps, settle or SETTLE_SECONDS, watch, allow, snapshots)
    try:
        report = check.run(iterations)
    finally:
        counters.close()
    return replace(report, seconds=time.perf_counter() - started)


class _Check:
    """One check under way: what has run, what was read, what may have disturbed it."""

    def __init__(
        self,
        page: Page,
        counters: Counters,
        steps: Sequence[Scenario],
        settle: float,
        watch: Sequence[str],
        allow: Sequence[str],
        snapshots: Snapshots,
    ) -> None:
        self.page = page
        self.counters = counters
        self.steps = steps
        self.settle = settle
        self.ignored = [name for name in WATCHED if name not in watch]
        self.collections = "collections" in watch
        self.allow = allow
        self.snapshots = snapshots
        self.iterations = 0
        self.samples: list[Sample] = []
        self.audit: list[Finding] = []
        self.collections_grow = False
        self.noted: list[int] = []
        self.raw: tuple[bytes, ...] = ()
        self.pace = 0.0
        self.origin: float | None = None

    def run(self, wanted: int | Literal["auto"]) -> LeakReport:
        """Go through the phases and return the report, its time still missing."""
        self._audit_surroundings()
        cycle = CYCLE if wanted == "auto" else max(1, wanted // CYCLES)
        self._iterate(WARM_UP)
        self._note()
        self._sample()
        for number in range(CYCLES_UNSURE):
            self._iterate(cycle)
            self._sample()
            if is_plain_growth(self.samples, self.ignored) or (
                number + 1 >= CYCLES and not is_unsure(self.samples, self.ignored)
            ):
                break
        moving = suspects(self.samples, self.ignored) or self._restless(cycle)
        grown = self._note()
        if self.snapshots != "always" and not moving and not grown:
            return self._report("CLEAN", "nothing grew")
        if self.snapshots == "never":
            return self._without_snapshots(moving, grown)
        try:
            from pytest_sentinel.leaks.forensics import Forensics
        except ImportError:
            return self._without_snapshots(
                moving, grown, "; install pytest-sentinel[heap] for heap snapshots and owners"
            )
        self._burst()
        self.collections_grow = bool(self._note())
        return self._dig(Forensics(self.counters))

    # ---- phases

    def _iterate(self, times: int) -> None:
        started = time.perf_counter()
        for _ in range(times):
            for step in self.steps:
                step()
        self.iterations += times
        self.pace = (time.perf_counter() - started) / times

    def _sample(self) -> None:
        sample = self.counters.read(self.iterations, self.settle)
        self.samples.append(sample)
        if self.origin is not None and self.counters.origin != self.origin:
            self._find("the scenario loads a new document: objects of the old one are gone", True)
        if not sample.settled:
            self._find(f"a request was still open after {self.settle:g} s")
        self.origin = self.counters.origin

    def _note(self) -> int:
        """Note the sizes of collections; return how many grew at a pace worth a suspicion."""
        if not self.collections:
            return 0
        try:
            ran = self.iterations - self.noted[0] if self.noted else 0
            grown = self.counters.note_collections(max(1, ran // 4))
        except (PlaywrightError, KeyError):  # a navigation took the noted sizes with it
            self.collections = False
            return 0
        self.noted.append(self.iterations)
        return grown if len(self.noted) > 1 else 0

    def _restless(self, cycle: int) -> list[Growth]:
        """Look longer at a page whose heap moves by itself: its stillness was a coincidence."""
        before = self.samples[-1].sizes["heap"]
        if "heap" in self.ignored or abs(self.counters.heap() - before) <= QUIET_BYTES:
            return []
        first = self.samples[-1]
        rising = 0
        for number in range(2 * CYCLES):
            last = self.samples[-1].sizes["heap"]
            self._iterate(cycle)
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
        times = int(BURST_SECONDS / max(self.pace, 0.001))
        self._iterate(min(max(times, BURST_LEAST), BURST_MOST))

    def _dig(self, forensics: Any) -> LeakReport:
        self._sample()
        self._wait_for_late_tails()
        leaks, weak = self._two_windows(forensics, WINDOWS)
        if weak and not leaks:
            leaks, weak = self._two_windows(forensics, LONG_WINDOWS)
        if forensics.awaits_timers:
            leaks, weak = self._after_timers(forensics, leaks)
        self.raw = forensics.raw
        self.audit.extend(forensics.findings)
        return self._judge(leaks or proven(self.samples, self.ignored, forensics.explained), weak)

    def _two_windows(self, forensics: Any, windows: tuple[int, int]) -> tuple[list[Leak], bool]:
        forensics.begin()
        self._iterate(windows[0])
        self._sample()
        # A snapshot between the windows tells growth from what is made once. Where an exact
        # counter, or the size of a collection, has told it already, it is not needed.
        if not (self.collections_grow or keeps_pace(self.samples, windows[0], self.ignored)):
            forensics.divide()
        self._iterate(windows[1])
        self._sample()
        self._wait_for_late_tails()
        forensics.end()
        found: list[Any] = []
        if self._note():
            found = self.counters.grown_collections(sum(windows) // 4)
        leaks, weak = forensics.leaks(windows, found)
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

    # ---- judging

    def _judge(self, found: Sequence[Leak], weak: bool) -> LeakReport:
        allowed = [leak for leak in found if self._is_allowed(leak)]
        leaks = [leak for leak in found if leak not in allowed]
        doubts = [finding for finding in self.audit if finding.doubt]
        if not leaks:
            if weak and not allowed:
                return self._report("INCONCLUSIVE", "something grew, but not with every iteration")
            return self._report("CLEAN", "what grew at first stopped growing", allowed=allowed)
        if doubts:
            return self._report(
                "INCONCLUSIVE", f"growth was found, but {doubts[0].text}", leaks, allowed
            )
        worst = leaks[0]
        reason = f"{worst.owner or worst.kind} grows with every iteration"
        return self._report("LEAK", reason, leaks, allowed)

    def _without_snapshots(
        self, moving: Sequence[Growth], grown: int, hint: str = ""
    ) -> LeakReport:
        """Judge by counters alone: exact ones may accuse, bytes only raise a question."""
        self._burst()
        self._sample()
        for window in WINDOWS:
            self._iterate(window)
            self._sample()
        self._wait_for_late_tails()
        leaks = proven(self.samples, self.ignored)
        if leaks:
            report = self._judge(leaks, weak=False)
            return replace(report, reason=report.reason + hint)
        names = {growth.name for growth in moving}
        growing = growing_lately(self.samples, self.ignored)
        if grown or any(growth.name in names for growth in growing):
            return self._report("INCONCLUSIVE", "bytes grew and no snapshot was taken" + hint)
        return self._report("CLEAN", "what grew at first stopped growing")

    def _is_allowed(self, leak: Leak) -> bool:
        names = (leak.owner, leak.kind, leak.fingerprint)
        return any(fnmatch.fnmatchcase(name, glob) for glob in self.allow for name in names)

    # ---- the surroundings

    def _audit_surroundings(self) -> None:
        others = [other for other in self.page.context.pages if other is not self.page]
        related = [other for other in others if other.opener() is self.page]
        if self.page.opener() is not None or related:
            self._find("another page shares this page's renderer", True)
        elif others:
            self._find(f"{len(others)} more page(s) open in this context")
        if self.page.workers:
            self._find(f"{len(self.page.workers)} worker(s): their own heaps are not covered")
        tracing = getattr(self.page.context.tracing, "_impl_obj", None)
        if getattr(tracing, "_is_tracing", False):
            self._find("tracing is on and keeps data of its own", True)

    def _find(self, text: str, doubt: bool = False) -> None:
        finding = Finding(text, doubt)
        if finding not in self.audit:
            self.audit.append(finding)

    def _report(
        self,
        verdict: Verdict,
        reason: str,
        leaks: Sequence[Leak] = (),
        allowed: Sequence[Leak] = (),
    ) -> LeakReport:
        return LeakReport(
            verdict,
            tuple(leaks),
            tuple(self.samples),
            tuple(self.audit),
            reason=reason,
            allowed=tuple(allowed),
            snapshots=self.raw if verdict != "CLEAN" else (),
        )
