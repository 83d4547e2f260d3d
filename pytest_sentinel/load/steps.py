"""Steps: what a scenario times, and what it says when one fails; and a scenario as a test.

Law: a step is told whether it went well or not, once; one that is cut off by its user is not.
"""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

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
        cut: says why a step is cut off, unless nobody listens to it any more.
    """

    tell: Callable[[StepResult], None]
    failed: Callable[[str], Awaitable[None]]
    judge: Callable[[BaseException], Awaitable[Failure]]
    cut: Callable[[], Failure | None] = lambda: None
    under_way: list[str] = field(default_factory=list)
    last: str = ""
    reported: BaseException | None = None

    @property
    def current(self) -> str:
        """The name of the step that is under way, or was last."""
        return self.under_way[-1] if self.under_way else self.last

    @asynccontextmanager
    async def __call__(self, name: str) -> AsyncIterator[None]:
        """Time a step."""
        started, began = time.time(), time.perf_counter()
        self.under_way.append(name)
        self.last = name
        try:
            yield
        except Exception as error:
            seconds = time.perf_counter() - began
            failure = await self.judge(error)
            if self.reported is not error:
                await self.failed(name)
            self.reported = error
            self.tell(StepResult(name, started, seconds, failure))
            raise
        except asyncio.CancelledError as error:
            if (why := self.cut()) is not None:
                self.reported = error
                self.tell(StepResult(name, started, time.perf_counter() - began, why))
            raise
        else:
            self.tell(StepResult(name, started, time.perf_counter() - began))
        finally:
            self.under_way.pop()


def failure_of(error: BaseException) -> Failure:
    """Return what an exception says, in short and in full."""
    first = (str(error).strip().splitlines() or [""])[0][:300]
    return Failure(type(error).__name__, first, all_of(error))


def all_of(error: BaseException) -> str:
    """Return all that an exception says, with where it came from."""
    return "".join(traceback.format_exception(error))[-8000:]


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
    await scenario(person, page, Steps(steps.append, nothing, judge))
    return steps


def stand_in(cls: type, number: int, host: str | None) -> Any:
    """Return what scenarios of ``cls`` get as ``self``: its attributes and methods, no Locust."""
    person: Any = object.__new__(cls)
    person.environment = None
    person.user_number = number
    if host is not None:
        person.host = host
    return person
