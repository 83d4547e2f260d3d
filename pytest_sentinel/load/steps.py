"""Steps: what a scenario times, and what it says when one fails; and a scenario as a test.

Law: a step is told whether it went well or not, once. One that is cut off by its user, or left by
a skip, is not told: it was neither.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pytest_sentinel.load.endings import Kind, ending_of, failure_of, plain
from pytest_sentinel.load.standin import stand_in
from pytest_sentinel.load.wire import Failure


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step that ended; ``started`` is in seconds since the epoch."""

    name: str
    started: float
    seconds: float
    failure: Failure | None = None


@dataclass(slots=True, eq=False)
class Steps:
    """What a scenario calls to begin a step: ``async with step("home"):``.

    Args:
        tell: called with each step that ended.
        failed: awaited while the page is still as the failure left it.
        judge: says what a failure is, once it is known whose fault it was.
        is_cut: whether the iteration is being cut off, and an end of it is nobody's own.
        why_cut: says why, unless nobody listens to it any more.
    """

    tell: Callable[[StepResult], None]
    failed: Callable[[str], Awaitable[None]]
    judge: Callable[[BaseException], Awaitable[Failure]]
    is_cut: Callable[[], bool] = lambda: False
    why_cut: Callable[[], Failure | None] = lambda: None
    under_way: list[str] = field(default_factory=list)
    last: str = ""
    reported: BaseException | None = None

    @property
    def current(self) -> str:
        """The name of the step that is under way, or was last."""
        return self.under_way[-1] if self.under_way else self.last

    def __call__(self, name: str) -> _Step:
        """Time a step."""
        return _Step(self, plain(name))


class _Step:
    """One step. No generator: what a body raises would mean something else to one."""

    def __init__(self, steps: Steps, name: str) -> None:
        self._steps = steps
        self._name = name
        self._started = self._began = 0.0

    async def __aenter__(self) -> None:
        self._started, self._began = time.time(), time.perf_counter()
        self._steps.under_way.append(self._name)
        self._steps.last = self._name

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        seconds = time.perf_counter() - self._began
        try:
            await self._end(seconds, error)
        finally:
            self._steps.under_way.remove(self._name)

    async def _end(self, seconds: float, error: BaseException | None) -> None:
        steps = self._steps
        meant = ending_of(error).kind
        if meant is Kind.SKIPPED:
            return
        if error is None or meant is not Kind.FAILED:
            self._tell(seconds, None)
        elif isinstance(error, asyncio.CancelledError) and steps.is_cut():
            if (why := steps.why_cut()) is not None:
                steps.reported = error
                self._tell(seconds, why)
        else:
            failure = await steps.judge(error)
            if steps.reported is not error:
                await steps.failed(self._name)
            steps.reported = error
            self._tell(seconds, failure)

    def _tell(self, seconds: float, failure: Failure | None) -> None:
        self._steps.tell(StepResult(self._name, self._started, seconds, failure))


async def run_scenario(
    task: Any, page: Any, *, person: Any = None, host: str | None = None
) -> list[StepResult]:
    """Run a task of a browser user as a test, on a page of async Playwright; return its steps.

    The first thing that goes wrong is raised as it is. ``page.goto("/")`` needs the ``base_url`` of
    the page's context.

    Args:
        task: such as ``Shopper.buy``.
        page: Playwright's, asynchronous.
        person: what the task gets as ``self``; by default an object of its class that belongs to
            no Locust.
        host: the host of that object.
    """
    scenario = getattr(task, "scenario", task)
    steps: list[StepResult] = []

    async def nothing(_: str) -> None:
        return

    async def judge(error: BaseException) -> Failure:
        return failure_of(error)

    if person is None and hasattr(task, "owner"):
        person = stand_in(task.owner, 1, host)
    made = scenario(person, page, Steps(steps.append, nothing, judge))
    if inspect.isawaitable(made):
        await made
    return steps
