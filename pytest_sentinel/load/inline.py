"""One user in one process, before a person's eyes: no Locust run, no sidecar, a debugger works.

The same scenarios, steps and terms as under load; only an iteration may take as long as it likes.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from pytest_sentinel.errors import LocustfileError
from pytest_sentinel.load.artifacts import Artifacts
from pytest_sentinel.load.localpool import LocalPool
from pytest_sentinel.load.locustfile import Found
from pytest_sentinel.load.nodedriver import NodeDriver
from pytest_sentinel.load.remotepool import RemotePool
from pytest_sentinel.load.scenario import Iteration, Result
from pytest_sentinel.load.steps import StepResult, stand_in
from pytest_sentinel.pool.reaper import Reaper
from pytest_sentinel.units import format_duration

_FOR_EVER: Final = 1e9
_LAUNCHED_WITHIN: Final = 60.0


async def run_one_user(
    scenarios: list[Found],
    say: Callable[[str], None],
    *,
    host: str | None,
    pool: str,
    headed: bool,
    iterations: int | None,
    seconds: float | None,
    artifacts: Path,
) -> int:
    """Run the scenarios of one class as one user; return how many iterations did not pass.

    Args:
        scenarios: chosen among by their weight.
        say: takes a line for the person who watches.
        host: where ``page.goto("/")`` goes; None takes what the class says.
        pool: ``auto`` or the address of a service.
        headed: whether the browser has a window.
        iterations: how many; None is without end.
        seconds: after which no more begin; None is without end.
        artifacts: the directory for what failures leave.

    Raises:
        LocustfileError: there is no scenario.
    """
    if not scenarios:
        raise LocustfileError("(the chosen class)", "has no async tasks")
    cls = scenarios[0].cls
    host = host or getattr(cls, "host", None)
    person = stand_in(cls, 0, host)
    kept = Artifacts(artifacts, "inline")
    reaper = Reaper()
    driver = NodeDriver(reaper)
    local = LocalPool(1, driver, reaper, headed=headed)
    seats = local if pool == "auto" else RemotePool(pool, driver, "inline", None)
    began, done, bad, state = time.monotonic(), 0, 0, None
    weights = [found.weight for found in scenarios]
    try:
        while iterations is None or done < iterations:
            if seconds is not None and time.monotonic() - began >= seconds:
                break
            if done:
                await asyncio.sleep(_wait_of(person))
            found = random.choices(scenarios, weights)[0]  # noqa: S311
            say(found.name)
            terms = replace(found.terms, iteration_timeout=_FOR_EVER)
            scenario = found.task.scenario
            iteration = Iteration(
                scenario, found.name, person, terms, kept, lambda step: say(_shown(step)),
                host=host, state=state,
            )  # fmt: skip
            async with seats.seat(terms.browser, _LAUNCHED_WITHIN) as seat:
                result = await iteration.on(seat)
            state = result.state or state
            say(_end(result))
            done += 1
            bad += result.outcome != "passed"
    finally:
        await local.aclose()
        await driver.aclose()
        await asyncio.to_thread(reaper.close)
    return bad


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
