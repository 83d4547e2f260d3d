"""A promise that a test broke is found when its fixtures are gone, and fails the test once.

pytest counts a teardown that fails beside the call: one test, two results. So what the guards
raise in a teardown becomes the result of the phase before, while nobody has seen that yet. A
test that has failed already stays failed as it is, and the finding is told beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import pytest

from pytest_sentinel.attempts import STATUS_ATTRIBUTE, Test
from pytest_sentinel.errors import SentinelFailure, SentinelFailures


class Guard(Protocol):
    """Holds each test to a promise; see ``Guarding``."""

    def begin(self, item: pytest.Item) -> None:
        """Look, before the test's own fixtures are set up."""
        ...

    def end(self, item: pytest.Item) -> Iterable[SentinelFailure]:
        """Return what was broken, when the test's own fixtures are gone."""
        ...


class Guarding:
    """Has the guards look before a test's own fixtures, and judge when those are gone.

    Where an autouse fixture would stand that is set up first: after the fixtures of wider scopes
    that the test needs, and before its own. A finalizer of the test's node is that fixture's
    teardown, known in time for pytest-playwright to keep the test's artifacts; a fixture costs a
    trivial test a tenth of its time.
    """

    def __init__(self, guards: Sequence[Guard]) -> None:
        self._guards = guards
        self._item: pytest.Item | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef: Any, request: Any) -> None:
        """Begin with the first fixture that is the test's own."""
        if self._item is None and fixturedef.scope == "function":
            self._begin(request.node)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item: pytest.Item) -> None:
        """Begin with the body of a test that has no fixture of its own."""
        # What is collected from other files than Python's has no fixtures, and no promises.
        if self._item is None and hasattr(item, "fixturenames"):
            self._begin(item)

    def _begin(self, item: pytest.Item) -> None:
        for guard in self._guards:
            guard.begin(item)
        self._item = item
        item.addfinalizer(self._end)

    def _end(self) -> None:
        __tracebackhide__ = True
        item, self._item = self._item, None
        assert item is not None
        failures = [failure for guard in self._guards for failure in guard.end(item)]
        if len(failures) == 1:
            raise failures[0]
        if failures:
            raise SentinelFailures("the test broke its promises", failures)


def take(test: Test, report: pytest.TestReport, call: pytest.CallInfo[None]) -> None:
    """Take the newest report of an attempt, as it will be sent."""
    if report.when == "teardown":
        _settle(test, report, call)
        test.has_ended = True
    else:
        test.last, test.last_sent = report, False
        test.last_raised = call.excinfo is not None
    if not test.is_ours:
        test.unsent[str(report.when)] = report
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
