"""Run a scenario and read the page: what has run, what was read, what may have disturbed it.

Knows no phases and has no opinion; phases.py decides what runs next. Law: no iteration begins that
the budget or the number of iterations does not allow.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from playwright.sync_api import Error as PlaywrightError

from pytest_sentinel.leaks.budget import Budget, OutOfTime
from pytest_sentinel.leaks.counters import Counters
from pytest_sentinel.leaks.plan import Plan
from pytest_sentinel.leaks.runaway import Point
from pytest_sentinel.leaks.verdict import Finding, Sample

if TYPE_CHECKING:
    from playwright.sync_api import Page

Scenario = Callable[[], object]

LANDSLIDE = {"nodes": 50_000, "listeners": 50_000, "heap": 48 * 1024**2}  # since the last sample
STALL_SECONDS, STALL = 1.0, 4.0  # an iteration that took so long, and so many times its neighbours


class Exhausted(Exception):
    """Raised inside a check when all iterations have run; never leaves it."""


class Iterating:
    """A scenario on a page, and the readings between its iterations."""

    settle = 2.0
    ignored: Sequence[str] = ()
    collections = True

    def __init__(
        self, page: Page, counters: Counters, steps: Sequence[Scenario], plan: Plan, budget: Budget
    ) -> None:
        self.page = page
        self.counters = counters
        self.steps = steps
        self.plan = plan
        self.budget = budget
        self.iterations = 0
        self.samples: list[Sample] = []
        self.audit: list[Finding] = []
        self.noted: list[int] = []
        self.pace = 0.0
        self.origin: float | None = None
        self.points: list[Point] = []
        self.base: dict[str, int] = {}
        self.disturbed = False

    def _once(self) -> None:
        """Run the scenario once; what a page still runs when the budget ends is cut off."""
        self.budget.check()
        if not self.plan.allows(1, self.iterations):
            raise Exhausted
        started = time.perf_counter()
        try:
            with self.counters.cutter:
                for step in self.steps:
                    _refuse_coroutine(step())
        except Exception as error:
            if not (self.counters.cutter.fired and self.iterations):
                raise
            said = str(error).partition("\n")[0]
            self._find(f"the call under way was cut off at the end of the budget: {said}")
            raise OutOfTime from error
        self.pace = time.perf_counter() - started
        if self.counters.cutter.fired:
            self._find("the call under way was cut off at the end of the budget")
            raise OutOfTime
        self.iterations += 1

    def _slides(self, usual: float) -> bool:
        if self.pace > STALL_SECONDS and self.pace > STALL * usual:
            return True
        if not self.samples:
            return False
        last = self._racing(self.samples[-1])
        now = self.counters.peek()
        return any(now[name] - last[name] > most for name, most in LANDSLIDE.items())

    def _sample(self) -> None:
        sample = self.counters.read(self.iterations, self.settle)
        self.disturbed = True
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

    def _racing(self, sample: Sample) -> dict[str, int]:
        return {**sample.counts, **{name: sample.sizes[name] for name in ("heap", "buffers")}}

    def _rebase(self) -> None:
        """Measure the next point from here: what our own readings took is no growth of the page."""
        self.base = self.counters.glance()
        self.disturbed = False
        if not self.points:
            self.points.append(Point(self.base))

    def _point(self) -> None:
        now, before = self.counters.glance(), self.points[-1].values
        values = {name: before[name] + now[name] - self.base[name] for name in now}
        self.points.append(Point(values, self.pace))
        self.base = now

    def _find(self, text: str, doubt: bool = False) -> None:
        finding = Finding(text, doubt)
        if finding not in self.audit:
            self.audit.append(finding)


def _refuse_coroutine(result: object) -> None:
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(
            "the scenario is a coroutine function, whose body would never run; leak checks drive "
            "pages of playwright.sync_api"
        )
