"""The pytest edge of memory budgets: holds tests to what their markers allow.

Reads processes before a marked test's own fixtures and judges when its body has passed, while its
pages are still open: the test then fails in its call, and pytest-playwright keeps its artifacts.
What a marker may say is for ``memorymarkers`` to refuse, what a reading means for ``limits``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pytest_sentinel.errors import MemoryBudgetExceeded, NotMeasurable
from pytest_sentinel.memory import limits
from pytest_sentinel.memory.limits import LIMIT_BROWSER, LIMIT_PAGE, LIMIT_WORKER, Budget, Held
from pytest_sentinel.running import Running

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from pytest_sentinel.memory.pagereading import PageReading
    from pytest_sentinel.memory.processes import MemoryReading
    from pytest_sentinel.memory.sampler import Window

_URL_WIDTH = 80
_WORKER = "this Python process; Playwright's driver and the browsers are not in it"
_HOW_GROWTH = "growth is judged without pages of files, which move with other browsers' lives"


@dataclass(slots=True)
class _Promise:
    """What the running test is allowed, and what each browser held by itself when it began."""

    item: pytest.Item
    budgets: dict[str, Budget]
    starts: dict[str, tuple[MemoryReading | None, int]] = field(default_factory=dict)

    @property
    def uses_browser(self) -> bool:
        return "browser" in getattr(self.item, "fixturenames", ())

    @property
    def limits_growth(self) -> bool:
        budget = self.budgets.get(LIMIT_BROWSER)
        return budget is not None and budget.growth is not None


class MemoryBudgets:
    """Judges tests by their markers; a plugin from the first test on that has one."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._promise: _Promise | None = None
        self._raised: Exception | None = None
        self._calm: set[str] = set()

    def begin(self, item: pytest.Item) -> None:
        """Read the processes that this test is to be judged on, before its own fixtures."""
        budgets = {}
        for name in limits.GOOD_MARKERS:
            mark = item.get_closest_marker(name)
            if mark is not None:
                budgets[name] = limits.parse_marker(name, mark.args, mark.kwargs)
        self._promise = _Promise(item, budgets) if budgets else None
        if LIMIT_WORKER in budgets or LIMIT_BROWSER in budgets:
            self._begin_readings()

    def end(self) -> None:
        """Forget the test: it was judged when its body had passed."""
        self._promise = None

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Generator[None, object, object]:
        """Count a browser that a wider fixture launches from then on."""
        result = yield
        if self._promise is not None and fixturedef.scope != "function":
            self._note_new_browsers(self._promise)
        return result

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        """Judge the test whose body has just passed."""
        __tracebackhide__ = True
        result = yield
        if self._promise is not None and self._promise.item is item:
            try:
                failures = list(self._judge(self._promise))
            except NotMeasurable as error:
                self._raised = NotMeasurable("memory limits", f"not checked; {error}")
                raise self._raised from None
            if failures:
                self._raised = _in_one(failures)
                raise self._raised
        return result

    # Registered late, and yet before whoever else reads the report, as if it had been early.
    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Show of a failure of ours what it says, not the way it took through hooks."""
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        if call.excinfo is not None and error is self._raised:
            report.longrepr = call.excinfo.getrepr(style="value")
        if isinstance(error, MemoryBudgetExceeded | NotMeasurable):
            crash: Any = getattr(report.longrepr, "reprcrash", None)
            if crash is not None:
                crash.message = str(error)
        return report

    def _begin_readings(self) -> None:
        assert self._promise is not None
        sampler = self._running.sampler()
        if LIMIT_WORKER in self._promise.budgets:
            sampler.read_now("worker")
        self._note_new_browsers(self._promise)
        # What was read before belongs to the test before, and would pass for this one's peak.
        sampler.mark()

    def _note_new_browsers(self, promise: _Promise) -> None:
        """Note what each browser holds that this test has not met before."""
        from pytest_sentinel.memory.poolreading import own_memory_of, wait_until_calm

        if LIMIT_BROWSER not in promise.budgets:
            return
        for name, seat in self._running.pool().seats().items():
            if name not in promise.starts:
                if promise.limits_growth and name not in self._calm:
                    self._calm.add(name)
                    wait_until_calm(seat)
                reading = self._running.sampler().read_now(name)
                own = own_memory_of(seat) if promise.limits_growth else 0
                promise.starts[name] = reading, own

    # Judging

    def _judge(self, promise: _Promise) -> Iterator[MemoryBudgetExceeded]:
        sampler = self._running.sampler()
        if LIMIT_WORKER in promise.budgets:
            end = sampler.read_now("worker")
            budget, window = promise.budgets[LIMIT_WORKER], sampler.window()["worker"]
            yield from _judge_processes(LIMIT_WORKER, budget, window, end, None, _WORKER)
        if LIMIT_BROWSER not in promise.budgets and LIMIT_PAGE not in promise.budgets:
            return
        from pytest_sentinel.memory.poolreading import read_pages

        ends = self._read_browsers(promise)
        pages: list[tuple[Page, PageReading]] = []
        if LIMIT_PAGE in promise.budgets or promise.limits_growth:
            pages = read_pages(self._running.pool(), self._running.outlives_the_test)
        if promise.limits_growth:
            # Garbage belongs to the peak, which has been read, and is no growth.
            ends = self._read_browsers(promise)
        if LIMIT_BROWSER in promise.budgets:
            yield from self._judge_browsers(promise, sampler.window(), ends)
        if LIMIT_PAGE in promise.budgets:
            # After the processes: a heap snapshot takes memory itself.
            if not pages:
                _warn(promise.item, LIMIT_PAGE, "no page was open when the test ended")
            yield from self._judge_pages(promise.budgets[LIMIT_PAGE], pages)

    def _read_browsers(self, promise: _Promise) -> dict[str, MemoryReading | None]:
        """Read the browsers that the test used, as far as their memory is limited."""
        if LIMIT_BROWSER not in promise.budgets:
            return {}
        found = self._running.pool().seats()
        used = [name for name, seat in found.items() if seat.used or seat.api.contexts]
        if not used and promise.uses_browser:
            used = list(found)
        return {name: self._running.sampler().read_now(name) for name in used}

    def _judge_browsers(
        self,
        promise: _Promise,
        windows: dict[str, Window],
        ends: dict[str, MemoryReading | None],
    ) -> Iterator[MemoryBudgetExceeded]:
        from pytest_sentinel.memory.poolreading import own_memory_of

        there = self._running.pool().seats()
        # One that the test launched and closed itself is gone; its peak is not.
        gone = {name for name in windows if name.startswith("browser-")} - set(there)
        read = {name for name, window in windows.items() if window.peak is not None}
        judged = sorted(read & {*ends, *gone})
        if not judged:
            why = "could be read" if promise.uses_browser else "was used"
            _warn(promise.item, LIMIT_BROWSER, f"no browser of this process {why}")
        for name in judged:
            start, own_start = promise.starts.get(name, (None, 0))
            grows = promise.limits_growth and name in there
            own = (own_start, own_memory_of(there[name])) if grows else None
            yield from _judge_processes(
                LIMIT_BROWSER,
                promise.budgets[LIMIT_BROWSER],
                replace(windows[name], start=start),
                ends.get(name),
                own,
                f"{name} with all its processes",
            )

    def _judge_pages(
        self, budget: Budget, pages: list[tuple[Page, PageReading]]
    ) -> Iterator[MemoryBudgetExceeded]:
        from pytest_sentinel.memory.poolreading import look_into_heap

        limit = limits.PageLimit("heap", budget.limit, is_growth=False)
        findings, details = [], []
        pages = sorted(pages, key=lambda entry: -entry[1].heap)
        for page, reading in pages:
            found = limits.judge_page([limit], reading.values, reading.values)
            if found:
                findings += found
                details += [page.url[:_URL_WIDTH], f"  {limits.describe_page(reading.values)}"]
        if findings:
            running = self._running
            details += look_into_heap(*pages[0], running.pool(), running.sampler())
            yield MemoryBudgetExceeded(LIMIT_PAGE, findings, details)


def _in_one(failures: list[MemoryBudgetExceeded]) -> MemoryBudgetExceeded:
    """Return one failure that says everything: a test has one status and one first line."""
    first, *others = failures
    findings = [f"{other.promise}: {finding}" for other in others for finding in other.findings]
    details = [line for failure in failures for line in failure.details]
    return MemoryBudgetExceeded(first.promise, [*first.findings, *findings], details)


def _judge_processes(
    marker: str,
    budget: Budget,
    window: Window,
    end: MemoryReading | None,
    own: tuple[int, int] | None,
    whose: str,
) -> Iterator[MemoryBudgetExceeded]:
    assert window.peak is not None
    found = [limits.judge_peak(budget, window.peak.pss)]
    if own is not None:
        found.append(limits.judge_growth(budget, *own))
    findings = [finding for finding in found if finding is not None]
    if findings:
        details = limits.process_table(_moments(window, end, own))
        details.append(f"PSS of {whose}")
        if own is not None:
            details.append(_HOW_GROWTH)
        yield MemoryBudgetExceeded(marker, findings, details)


def _moments(window: Window, end: MemoryReading | None, own: tuple[int, int] | None) -> list[Held]:
    """Return start, peak and end as far as they were read."""
    at_start, at_end = own or (None, None)
    read = (("start", window.start, at_start), ("peak", window.peak, None), ("end", end, at_end))
    return [
        Held(moment, reading.pss, held, reading.processes)
        for moment, reading, held in read
        if reading is not None
    ]


def _warn(item: pytest.Item, marker: str, why: str) -> None:
    item.warn(pytest.PytestWarning(f"sentinel: {marker} could not be checked: {why}"))
