"""One user in one process, before a person's eyes: no Locust run, no sidecar, a debugger works.

The same scenarios, steps and terms as under load; only an iteration may take as long as it likes.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.errors import LocustfileError
from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.localpool import LocalPool
from pytest_sentinel.load.locustfile import scenarios_of
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.load.scenario import Iteration, Result, call
from pytest_sentinel.load.standin import stand_in
from pytest_sentinel.load.steps import StepResult
from pytest_sentinel.load.tasks import needs_page, plan_of
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.units import format_duration

_FOR_EVER: Final = 1e9
_LAUNCHED_WITHIN: Final = 60.0
_ENDS: Final = ("StopUser", "StopTest", "GreenletExit")


async def run_one_user(
    cls: type,
    say: Callable[[str], None],
    *,
    host: str | None,
    pool: str,
    headed: bool,
    iterations: int | None,
    seconds: float | None,
    artifacts: Path,
    token: str | None = None,
) -> int:
    """Run one user of a class; return how many iterations failed or were lost.

    Args:
        cls: the class; its tasks are chosen as Locust would.
        say: takes a line for the person who watches.
        host: where ``page.goto("/")`` goes; None takes what the class says.
        pool: ``auto`` or the address of a service.
        token: what the service wants to see.
        headed: whether the browser has a window.
        iterations: how many; None is without end.
        seconds: after which no more begin; None is without end.
        artifacts: the directory for what failures leave.

    Raises:
        LocustfileError: there is no task.
    """
    if not getattr(cls, "tasks", ()):
        raise LocustfileError(cls.__name__, "has no async tasks")
    found = {one.task: one.terms for one in scenarios_of(cls)}
    host = host or getattr(cls, "host", None)
    reaper = Reaper()
    driver = NodeDriver(reaper)
    local = LocalPool(1, driver, reaper, headed=headed)
    seats = local if pool == "auto" else RemotePool(pool, driver, "inline", token)
    began, done, bad, state = time.monotonic(), 0, 0, None
    kept = Artifacts(artifacts, "inline")
    terms = replace(next(iter(found.values())), iteration_timeout=_FOR_EVER)

    async def perform(holder: Any, task: Any) -> Result:
        nonlocal state
        name = plan_of(cls).name(type(holder), task)
        say(name)
        if hasattr(task, "hook") and not needs_page(task.scenario):
            result = await call(task.scenario, holder, _FOR_EVER)
        else:
            iteration = Iteration(
                task.scenario, name, holder, terms, kept, lambda step: say(_shown(step)),
                host=host, state=state,
            )  # fmt: skip
            async with seats.seat(terms.browser, _LAUNCHED_WITHIN) as seat:
                result = await iteration.on(seat)
        state = result.state or state
        say(_end(result))
        return result

    person = stand_in(cls, 0, host)
    rounds = Rounds(person, perform)
    try:
        goes_on = await rounds.begin()
        while goes_on and (iterations is None or done < iterations):
            if seconds is not None and time.monotonic() - began >= seconds:
                break
            if done and rounds.waits:
                await asyncio.sleep(_wait_of(rounds.holder))
            result, goes_on = await rounds.go()
            done += 1
            bad += result.outcome not in ("passed", "skipped")
        await rounds.end()
    finally:
        await local.aclose()
        await driver.aclose()
        await asyncio.to_thread(reaper.close)
    return bad + rounds.bad


class Rounds:
    """Which task comes next, as Locust would choose: by weight or in sequence, in sets of tasks.

    Args:
        person: the user.
        perform: runs a task, ``on_start`` or ``on_stop`` of the user or a set.

    Attributes:
        waits: whether there is a wait before the next.
        bad: how many of ``on_start`` and ``on_stop`` failed.
    """

    def __init__(self, person: Any, perform: Callable[[Any, Any], Awaitable[Result]]) -> None:
        self._perform = perform
        self._sequences: list[Iterator[Any]] = [_choices(person)]
        self._holders = [person]
        self.waits = True
        self.bad = 0

    @property
    def holder(self) -> Any:
        """The user, or the set of tasks that it is in."""
        return self._holders[-1]

    async def begin(self) -> bool:
        """Run the user's ``on_start``; False when it goes no further."""
        result = await self._hook("on_start")
        return result.outcome in ("passed", "skipped") and result.control not in _ENDS

    async def go(self) -> tuple[Result, bool]:
        """Run the next task; return how it went, and whether the user goes on."""
        while isinstance(task := next(self._sequences[-1]), type):
            self._holders.append(task(self.holder))
            self._sequences.append(_choices(self.holder))
            result = await self._hook("on_start")
            if not await self._follow(result):
                return result, False
        result = await self._perform(self.holder, task)
        return result, await self._follow(result)

    async def end(self) -> None:
        """Run each ``on_stop``, the innermost first."""
        while self._holders:
            await self._hook("on_stop")
            self._holders.pop()

    async def _follow(self, result: Result) -> bool:
        self.waits = result.control != "RescheduleTaskImmediately"
        if result.control != "InterruptTaskSet":
            return result.control not in _ENDS
        if len(self._holders) == 1:
            return False  # nothing is above the user's own tasks
        await self._hook("on_stop")
        self._holders.pop()
        self._sequences.pop()
        self.waits = not result.immediately
        return True

    async def _hook(self, hook: str) -> Result:
        function = getattr(type(self.holder), hook, None)
        if not hasattr(function, "scenario"):
            return Result()
        result = await self._perform(self.holder, function)
        self.bad += result.outcome not in ("passed", "skipped")
        return result


def _choices(holder: Any) -> Iterator[Any]:
    """Yield the tasks of a user or a set for ever: in their order, or by chance."""
    tasks = list(holder.tasks)
    if any(base.__name__ == "SequentialTaskSet" for base in type(holder).__mro__):
        return itertools.cycle(tasks)
    return (random.choice(tasks) for _ in itertools.count())  # noqa: S311


def _wait_of(person: Any) -> float:
    """Return what ``wait_time`` of the class says to a user who has just ended an iteration."""
    person._cp_last_run, person._cp_last_wait_time = time.perf_counter(), 0.0
    try:
        return float(person.wait_time())
    except Exception:  # one that needs a user of Locust
        return 1.0


def _shown(step: StepResult) -> str:
    text = f"  {step.name}: {format_duration(step.seconds)}"
    if step.failure is not None:
        text += f"  failed: {step.failure.kind}: {step.failure.message}"
    return text


def _end(result: Result) -> str:
    text = f"  {result.outcome}"
    if result.failure is not None and not result.in_step:
        text += f": {result.failure.kind}: {result.failure.message}"
    for load in result.loads:
        told = [f"{n.upper()} {getattr(load, n) * 1000:.0f} ms" for n in ("ttfb", "fcp", "lcp")
                if getattr(load, n) is not None]  # fmt: skip
        text += f"\n  page of {load.page}: {', '.join(told)}"
    return text
