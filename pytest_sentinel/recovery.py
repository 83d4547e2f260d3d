"""Hooks of others that touch a page whose browser has died: the run goes on.

A conftest's hook that takes a screenshot raises what Playwright raises, and pytest ends the run
for it. Where a browser is known to have died under the test, and the error comes of that, the
hook is as good as done, and whoever it kept from being called is called. Any other error of a
hook stays what it is. Registered with the first browser, when all conftests are loaded: so these
wrappers are the outermost.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pluggy import HookCaller, HookImpl

    from pytest_sentinel.attempts import Test


class Recovery:
    """The outermost wrappers.

    Args:
        test: returns the attempt that runs now.
        has_lost: tells whether a browser has died under an attempt.
    """

    def __init__(self, test: Callable[[], Test | None], has_lost: Callable[..., bool]) -> None:
        self._test = test
        self._has_lost = has_lost
        self.inner = Innermost()

    def report_despite(self, error: Exception) -> pytest.TestReport:
        """Return the report as it was before a wrapper failed on a dead browser.

        Raises:
            Exception: ``error``, if it is no such thing.
        """
        made = self.inner.made
        if made is None or not self._is_lost(error):
            raise error
        return made

    def _is_lost(self, error: BaseException) -> bool:
        """Tell whether an error of a hook comes of the death of this test's browser."""
        test = self._test()
        return (
            test is not None
            and comes_from_playwright(error)
            and self._has_lost(test, thoroughly=True)
        )

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep the report that was made before an outer wrapper failed."""
        self.inner.forget()
        try:
            return (yield)
        except Exception as error:
            test = self._test()
            # Only where our own wrapper has seen it: it decides what becomes of the attempt.
            if test is None or test.made is None or test.made is not self.inner.made:
                raise
            if not self._is_lost(error):
                raise
            return test.made

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item, nextitem: Any) -> Generator[None]:
        """Tear the test down even if a hook before that fails; the error stays the phase's."""
        __tracebackhide__ = True
        self.inner.reached.discard("pytest_runtest_teardown")
        try:
            yield
        except Exception as error:
            if self._is_lost(error):
                given = {"item": item, "nextitem": nextitem}
                self._go_on(item.ihook.pytest_runtest_teardown, error, given)
            raise

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Generator[None]:
        """Report to everybody else."""
        yield from self._survive("pytest_runtest_logreport", {"report": report})

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_exception_interact(self, node: Any, call: Any, report: Any) -> Generator[None]:
        """Have everybody else look at the failure."""
        given = {"node": node, "call": call, "report": report}
        yield from self._survive("pytest_exception_interact", given)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_post_finalizer(self, fixturedef: Any, request: Any) -> Generator[None]:
        """Let pytest forget the fixture's value: the next attempt needs a new one."""
        given = {"fixturedef": fixturedef, "request": request}
        yield from self._survive("pytest_fixture_post_finalizer", given)

    def _survive(self, name: str, given: dict[str, Any]) -> Generator[None]:
        __tracebackhide__ = True
        self.inner.reached.discard(name)
        try:
            yield
        except Exception as error:
            test = self._test()
            if test is None or not self._is_lost(error):
                raise
            self._go_on(getattr(test.item.ihook, name), error, given)

    def _go_on(self, caller: HookCaller, error: BaseException, given: dict[str, Any]) -> None:
        """Call the implementations that ``error`` kept from being called."""
        called = list(_plain(caller))
        culprit = _culprit(called, error)
        if culprit is not None:
            called = called[culprit + 1 :]
        elif caller.name in self.inner.reached:
            return  # a wrapper failed when all had been called
        for implementation in called:
            try:
                implementation.function(*[given[name] for name in implementation.argnames])
            except Exception as another:
                if not self._is_lost(another):
                    raise


class Innermost:
    """What is called inside everybody's wrappers.

    Attributes:
        made: the report as pytest made it; others' wrappers change it in place.
        reached: the hooks that got past everybody's wrappers when they were called last.
    """

    def __init__(self) -> None:
        self.made: pytest.TestReport | None = None
        self.reached: set[str] = set()

    def forget(self) -> None:
        """Begin with the next report."""
        self.made = None

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep the report."""
        self.made = yield
        return self.made

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Note that it is called."""
        self.reached.add("pytest_runtest_teardown")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self) -> None:
        """Note that it is called."""
        self.reached.add("pytest_runtest_logreport")

    @pytest.hookimpl(tryfirst=True)
    def pytest_exception_interact(self) -> None:
        """Note that it is called."""
        self.reached.add("pytest_exception_interact")

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_post_finalizer(self) -> None:
        """Note that it is called."""
        self.reached.add("pytest_fixture_post_finalizer")


def comes_from_playwright(error: BaseException) -> bool:
    """Tell whether an error is Playwright's, or was raised over one of Playwright's."""
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        one = pending.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__module__.startswith("playwright."):
            return True
        pending += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return False


def _plain(caller: HookCaller) -> Iterator[HookImpl]:
    """Yield the implementations that are no wrappers, in the order in which they are called."""
    for implementation in reversed(caller.get_hookimpls()):
        if not (implementation.wrapper or implementation.hookwrapper):
            yield implementation


def _culprit(called: list[HookImpl], error: BaseException) -> int | None:
    """Return which of the implementations raised ``error``; None if it was none of them."""
    codes = {}
    for number, implementation in enumerate(called):
        code = getattr(implementation.function, "__code__", None)
        codes[code] = number
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code in codes:
            return codes[step.tb_frame.f_code]
        step = step.tb_next
    return None
