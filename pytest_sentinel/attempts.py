"""Run one attempt of a test, as pytest's own runner does, and hold back what a repeat replaces.

Nothing here knows why an attempt is repeated: ``Test.retry`` says whether it is. The parts of
pytest's runner and fixtures that have no public name are used in this file only.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import check_interactive_exception

from pytest_sentinel.errors import (
    IllegalTransition,
    PoolRefused,
    PoolUnavailable,
    SentinelError,
    SentinelFailure,
    SentinelFailures,
    ServiceUnreachable,
)

if TYPE_CHECKING:
    from pytest_sentinel.pool.deaths import Death

REPORT_ATTRIBUTE = "sentinel"
EVENTS_ATTRIBUTE = "sentinel_events"
STATUS_ATTRIBUTE = "sentinel_status"
_PACKAGE = Path(__file__).parent
_PHASES = {
    "setup": "pytest_runtest_setup",
    "call": "pytest_runtest_call",
    "teardown": "pytest_runtest_teardown",
}


@dataclass
class Test:
    """The attempt that runs now.

    Without slots, and nearly all by default: so a trivial test, which has nothing to say, costs
    next to nothing.

    Attributes:
        attempt: 1 for the first.
        may_retry: whether a repeat is allowed if the browser dies under it.
        earlier: how a browser died under an attempt before this one.
        found_dead: the deaths that the set-up found and could not put right; not this test's.
        death: how a browser died under it.
        launch_failed: it had no browser because none could be launched.
        fault: whose fault a failure is, unless its browser died.
        retry: it is lost to that death, and will be repeated.
        is_ours: its protocol is run by this plugin, not by another.
        sends_at_once: whoever runs it sends each report before the next phase begins.
        has_ended: its last report has been made.
        may_break: it may break a promise that is judged in its teardown.
        last: the newest report before the teardown.
        last_raised: the phase of that report ended with an exception.
        last_sent: others have seen it.
        held: a report that waits for the teardown.
        made: the newest report.
        unsent: the reports of phases that nobody has seen yet, where they may be kept back.
    """

    __test__ = False  # not a test class, whatever its name says

    item: pytest.Item
    attempt: int
    started: float = field(default_factory=time.time)
    may_retry: bool = False
    earlier: Death | None = None
    is_ours: bool = False
    sends_at_once: bool = False
    uses_browser: bool = field(init=False, default=False)
    passed: bool = field(init=False, default=False)
    found_dead: Sequence[Death] = field(init=False, default=())
    death: Death | None = field(init=False, default=None)
    launch_failed: bool = field(init=False, default=False)
    fault: str = field(init=False, default="product")
    retry: bool = field(init=False, default=False)
    has_ended: bool = field(init=False, default=False)
    may_break: bool = field(init=False, default=False)
    last: pytest.TestReport | None = field(init=False, default=None)
    last_raised: bool = field(init=False, default=False)
    last_sent: bool = field(init=False, default=False)
    held: pytest.TestReport | None = field(init=False, default=None)
    made: pytest.TestReport | None = field(init=False, default=None)
    unsent: dict[str, pytest.TestReport] | None = field(init=False, default=None)

    @property
    def has_news(self) -> bool:
        """Whether there is more to tell of it than when it ran."""
        died = self.death is not None or self.earlier is not None
        return died or self.launch_failed or self.attempt > 1 or self.fault != "product"

    def note_sent(self, report: pytest.TestReport) -> None:
        """Note that a report is on its way, and can no longer be changed."""
        self.last_sent = self.last_sent or report is self.last
        if self.unsent is not None and self.unsent.get(report.when) is report:
            del self.unsent[report.when]


def run_phases(test: Test, nextitem: pytest.Item | None) -> bool:
    """Set up, call and tear down ``test``; return whether it must be run again.

    An attempt that is repeated sends one report, when it has ended: that of the phase which was
    lost, with what the attempt measured. All its wider fixtures stay up.
    """
    item: Any = test.item
    if hasattr(item, "_request") and not item._request:
        item._initrequest()
    try:
        lost = report = _run_phase(test, "setup")
        if report.passed:
            lost = _run_phase(test, "call")
        following: Any = nextitem
        if item.session.shouldfail or item.session.shouldstop:
            following = None
        if test.retry:
            following = item.parent
        teardown = _run_phase(test, "teardown", nextitem=following)
    finally:
        _send_held(test)
        if hasattr(item, "_request"):
            item._request = False
            item.funcargs = None
    if test.retry:
        setattr(lost, REPORT_ATTRIBUTE, getattr(teardown, REPORT_ATTRIBUTE))
        item.ihook.pytest_runtest_logreport(report=lost)
        if getattr(item, "_instance", None) is not None:
            # The class instance of a test method carries what the lost attempt left on self.
            del item._instance
            item._obj = None
    return test.retry


def _run_phase(test: Test, when: str, **extra: Any) -> pytest.TestReport:
    item = test.item
    reraise: tuple[type[BaseException], ...] = (pytest.exit.Exception,)
    if not item.config.getoption("usepdb", False):
        reraise += (KeyboardInterrupt,)
    hook = getattr(item.ihook, _PHASES[when])

    def run_hook() -> None:
        __tracebackhide__ = True
        hook(item=item, **extra)

    call = pytest.CallInfo.from_call(
        run_hook,
        when=when,  # type: ignore[arg-type]
        reraise=reraise,
    )
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if not test.retry:
        if is_held_back(test, report, call):
            test.held = report
        else:
            _send_held(test)
            _send(test, report)
        if check_interactive_exception(call, report):
            item.ihook.pytest_exception_interact(node=item, call=call, report=report)
    return report


def is_held_back(test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> bool:
    """Tell whether a report waits for the teardown, which may make a failure of it.

    One that failed by an error of its own does not: ``-x`` needs to see it before the teardown.
    """
    is_last = report.when == "call" or (report.when == "setup" and not report.passed)
    failed = call.excinfo is not None and not report.skipped
    return test.may_break and is_last and not failed


def _send_held(test: Test) -> None:
    held, test.held = test.held, None
    if held is not None and not test.retry:
        _send(test, held)


def _send(test: Test, report: pytest.TestReport) -> None:
    test.note_sent(report)
    test.item.ihook.pytest_runtest_logreport(report=report)


def is_launch_failure(call: pytest.CallInfo[None]) -> bool:
    """Tell whether a phase failed because there was no browser to be had."""
    return call.excinfo is not None and hasattr(call.excinfo.value, "sentinel_launch_failed")


def fault_of(call: pytest.CallInfo[None]) -> str:
    """Tell whose fault a failed phase is, as far as what was raised tells it.

    A refusal of a pool is the infrastructure's. What was raised in a file of ours, and is neither
    a verdict nor an error that we mean to raise, is a fault of the harness.
    """
    if call.excinfo is None:
        return "product"
    error = call.excinfo.value
    if isinstance(error, PoolRefused | PoolUnavailable | ServiceUnreachable):
        return "infrastructure"
    if isinstance(error, IllegalTransition):
        return "harness"
    meant = isinstance(error, SentinelError | SentinelFailure | SentinelFailures | Warning)
    by_pytest = type(error).__module__.partition(".")[0] in ("_pytest", "pytest")
    ours = not meant and _PACKAGE in Path(call.excinfo.traceback[-1].path).parents
    return "harness" if ours and not by_pytest else "product"


def engine_of(test: Test) -> str:
    """Return the browser that a test was collected for, or else the one of the run."""
    chosen = getattr(getattr(test.item, "callspec", None), "params", {}).get("browser_name")
    if chosen:
        return str(chosen)
    named = test.item.config.getoption("browser", None)
    return str(named[0]) if isinstance(named, list) and len(named) == 1 else "chromium"


def is_browser(value: object) -> bool:
    """Tell whether a fixture gave a browser of Playwright."""
    kind = type(value)
    return kind.__name__ == "Browser" and kind.__module__.startswith("playwright.")


def is_marked(item: pytest.Item) -> bool:
    """Tell whether a test, or what it is collected from, has any marker at all.

    Most tests have none, and looking for one by its name costs many times as much.
    """
    node: Any = item
    while node is not None:
        if node.own_markers:
            return True
        node = node.parent
    return False


def is_quiet(item: pytest.Item) -> bool:
    """Tell whether a test looks for leaks or reads heaps, and nothing else may be in its pages."""
    asks = {"leaks", "memory"} & set(getattr(item, "fixturenames", ()))
    marks = ("leak_check", "limit_page_heap")
    return bool(asks) or any(item.get_closest_marker(name) is not None for name in marks)


def mark_lost(call: pytest.CallInfo[None]) -> None:
    """Mark what a set-up raised because its browser died; fixtures keep it otherwise."""
    if call.excinfo is not None:
        call.excinfo.value.__dict__["sentinel_lost"] = True


def forget_lost_fixtures(item: Any) -> None:
    """Let fixtures that failed for want of a living browser try again for this test."""
    definitions = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    for found in definitions.values():
        for fixturedef in found:
            cached = getattr(fixturedef, "cached_result", None)
            failure = cached[2] if cached is not None else None
            error = failure[0] if isinstance(failure, tuple) else failure
            if hasattr(error, "sentinel_launch_failed") or hasattr(error, "sentinel_lost"):
                fixturedef.cached_result = None
                finalizers = getattr(fixturedef, "_finalizers", None)
                if finalizers is not None:
                    finalizers.clear()


def kept_by(fixturedef: Any) -> list[object]:
    """Return what a fixture gave, and what will end it: for a generator, that with its locals."""
    cached = getattr(fixturedef, "cached_result", None)
    held = [cached[0]] if cached is not None and cached[2] is None else []
    return held + list(getattr(fixturedef, "_finalizers", ()))


def with_output_kept(option: Any) -> Generator[None, object, object]:
    """Keep upstream from wiping the artifacts of the worker that this one replaces."""
    __tracebackhide__ = True
    kept, option.output = option.output, os.devnull + "-nothing"
    try:
        return (yield)
    finally:
        option.output = kept


def mark_repeated(report: pytest.TestReport) -> None:
    """Make of a report one of an attempt that is repeated, as other plugins know them.

    The word and the attribute are those that pytest-rerunfailures has taught reporters.
    """
    report.outcome = "rerun"  # type: ignore[assignment]
    vars(report)["sentinel_repeated"] = True


def number(report: pytest.TestReport, attempt: int) -> None:
    """Say on a report which attempt it is of, counted from 0, as pytest-rerunfailures does."""
    vars(report)["rerun"] = attempt - 1


def name_failure(call: pytest.CallInfo[None], report: pytest.TestReport) -> None:
    """Give a failure of ours its own word and letter, as plain values that xdist carries."""
    if call.excinfo is None:
        return
    raised = error = call.excinfo.value
    if isinstance(error, SentinelFailures):
        error = error.exceptions[0]
    if isinstance(error, SentinelFailure):
        setattr(report, STATUS_ATTRIBUTE, [error.letter, error.status])
        if report.when == "teardown" and error is raised:
            # We raised it where there is nothing of the user's: only what it says is of interest.
            shown: Any = call.excinfo.getrepr(style="value")
            shown.reprcrash.message = error.in_brief()
            report.longrepr = shown


def send_happenings(report: pytest.TestReport, happenings: Sequence[Any]) -> None:
    """Have a report carry what happened to browsers."""
    if happenings:
        from pytest_sentinel.telemetry.relay import pack_happenings

        setattr(report, EVENTS_ATTRIBUTE, pack_happenings(happenings))


def is_playwright_error(call: pytest.CallInfo[None]) -> bool:
    """Tell whether all that the phase raised came from Playwright."""

    def is_theirs(error: BaseException) -> bool:
        if isinstance(error, BaseExceptionGroup):
            return all(is_theirs(inner) for inner in error.exceptions)
        return type(error).__module__.startswith("playwright.")

    return call.excinfo is not None and is_theirs(call.excinfo.value)
