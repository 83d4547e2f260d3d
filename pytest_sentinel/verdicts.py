"""A promise that a test broke is found when its fixtures are gone, and fails the test once.

pytest counts a teardown that fails beside the call: one test, two results. So what the guards
raise in a teardown becomes the result of the phase before, while nobody has seen that yet. A
test that has failed already stays failed as it is, and the finding is told beside.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import Any

import pytest

from pytest_sentinel.attempts import STATUS_ATTRIBUTE, Test, is_marked
from pytest_sentinel.errors import SentinelFailure, SentinelFailures
from pytest_sentinel.protocols import may_run


class Guard:
    """Holds each test to a promise; what it does not care for, it leaves as it is here."""

    def around(
        self, fixturedef: Any, request: Any, steps: Generator[None, object, object]
    ) -> Generator[None, object, object]:
        """Return the steps of a wider fixture's set-up, with its own around them."""
        return steps

    def ended(self, fixturedef: Any) -> None:
        """Look at what a wider fixture leaves when it ends."""

    def begin(self, item: pytest.Item, *, marked: bool) -> None:
        """Look, before the test's own fixtures are set up; ``marked``: it has any marker."""

    def called(self, item: pytest.Item) -> None:
        """See to it that the body of a marked test is run as its marker says."""

    def end(self, item: pytest.Item) -> Iterable[SentinelFailure]:
        """Return what was broken, when the test's own fixtures are gone."""
        return ()


class Guarding:
    """Has the guards look before a test's own fixtures, and judge when those are gone.

    Where an autouse fixture would stand that is set up first: after the fixtures of wider scopes
    that the test needs, and before its own. A finalizer of the test's node is that fixture's
    teardown, known in time for pytest-playwright to keep the test's artifacts; a fixture costs a
    trivial test a tenth of its time.
    """

    def __init__(self) -> None:
        self.guards: list[Guard] = []
        self._item: pytest.Item | None = None
        self._is_marked = False

    def begin(self, item: pytest.Item) -> None:
        """Have the guards look, unless they have; they judge as soon as the test's node ends."""
        if self._item is None:
            self._is_marked = is_marked(item)
            for guard in self.guards:
                guard.begin(item, marked=self._is_marked)
            self._item = item
            item.addfinalizer(self._end)

    def called(self, item: pytest.Item) -> None:
        """Begin with the body of a test that has no fixture of its own."""
        # What is collected from other files than Python's has no fixtures, and no promises.
        if self._item is None and hasattr(item, "fixturenames"):
            self.begin(item)
        # A fixture may have marked it since then.
        if self._is_marked or item.own_markers:
            for guard in self.guards:
                guard.called(item)

    def around(
        self, fixturedef: Any, request: Any, steps: Generator[None, object, object]
    ) -> Generator[None, object, object]:
        """Return the steps of a wider fixture's set-up, with those of the guards around them."""
        for guard in self.guards:
            steps = guard.around(fixturedef, request, steps)
        return steps

    def ended(self, fixturedef: Any) -> None:
        """Have the guards look at what a wider fixture leaves."""
        for guard in self.guards:
            guard.ended(fixturedef)

    def _end(self) -> None:
        __tracebackhide__ = True
        item, self._item = self._item, None
        assert item is not None
        failures = [failure for guard in self.guards for failure in guard.end(item)]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise SentinelFailures("the test broke its promises", failures)


class Sending:
    """Knows whether each report is sent as soon as it is made, and if not, which have been.

    pytest's own runner sends at once. Another that runs tests may keep reports to itself, or send
    them later. As long as there is none, nothing is looked after: most runs have none.

    Args:
        ours: the plugin that implements ``pytest_runtest_protocol`` here.
        running_test: returns the attempt that runs now.
    """

    def __init__(
        self, config: pytest.Config, ours: object, running_test: Callable[[], Test | None]
    ) -> None:
        self._config = config
        self._ours = ours
        self._running_test = running_test
        self._is_at_once = True
        self._implementations = 0
        self.asked: pytest.Item | None = None  # the test that pytest asked about last

    def is_at_once(self, item: pytest.Item) -> bool:
        """Tell whether pytest's own runner runs a test, and has run all before."""
        if self._is_at_once and (self.asked is not item or self._has_others()):
            self._is_at_once = False
            self._config.pluginmanager.register(self, "sentinel-sending")
        return self._is_at_once

    def _has_others(self) -> bool:
        """Tell whether any plugin but pytest's own runner may run tests."""
        found = self._config.hook.pytest_runtest_protocol.get_hookimpls()
        if len(found) == self._implementations:
            return False
        self._implementations = len(found)
        runner = self._config.pluginmanager.getplugin("runner")
        return any(one.plugin not in (runner, self._ours) and may_run(one) for one in found)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note that a report is on its way, and can no longer be changed."""
        test = self._running_test()
        if test is not None:
            test.note_sent(report)


def take(test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Take the newest report of an attempt, as it will be sent."""
    if report.when == "teardown":
        _settle(test, report, call)
        test.has_ended = True
    else:
        test.last, test.last_sent = report, test.sends_at_once
        test.last_raised = call.excinfo is not None
    if not (test.is_ours or test.sends_at_once):
        test.unsent = {**(test.unsent or {}), str(report.when): report}
    test.made = report


def _settle(test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Have what guards raised in the teardown count for the phase before, if that can still be."""
    before = test.last
    if before is None or report.passed or not _is_ours(call):
        return
    assert call.excinfo is not None
    is_bad = before.failed or hasattr(before, "wasxfail")
    if is_bad and test.last_raised:
        text = "\n".join(map(str, _leaves(call.excinfo.value)))
        report.sections.append(("sentinel: found at teardown", text))
        _pass(report)
    elif not test.last_sent:
        before.outcome, before.longrepr = report.outcome, report.longrepr
        for name in ("wasxfail", STATUS_ATTRIBUTE):
            value = vars(report).pop(name, None)
            vars(before).pop(name, None)
            if value is not None:
                setattr(before, name, value)
        _pass(report)


def _pass(report: pytest.TestReport) -> None:
    report.outcome, report.longrepr = "passed", None
    vars(report).pop("wasxfail", None)


def _is_ours(call: pytest.CallInfo[None]) -> bool:
    return call.excinfo is not None and all(
        isinstance(error, SentinelFailure) for error in _leaves(call.excinfo.value)
    )


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in _leaves(inner)]
    return [error]
