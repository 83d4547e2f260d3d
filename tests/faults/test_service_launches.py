"""Browsers that do not start, start too slowly, or all at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_sentinel.errors import PoolRefused
from tests import loops
from tests.faults.poolkit import Place, place, until
from tests.runs import slack

pytestmark = pytest.mark.browser


def launch_instead(here: Place, executable: Path) -> None:
    """Have the pool launch another program from now on."""
    recipe = here.pool._servers.recipe
    assert recipe is not None
    launch = {**recipe.launch, "executablePath": str(executable)}
    here.pool._servers.recipe = replace(recipe, launch=launch)


def script(directory: Path, text: str) -> Path:
    """Return an executable shell script."""
    path = directory / "browser"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


async def lease_or_refusal(here: Place, wait: float) -> PoolRefused | str:
    """Lease and give back; return the browser, or how it was refused."""
    try:
        async with here.pool.lease("chromium", "test", wait) as lease:
            return lease.browser
    except PoolRefused as refused:
        return refused


def test_a_browser_that_exits_at_launch_is_tried_three_times(tmp_path: Path) -> None:
    """Whoever waits is told the cause with the last output, and nothing is tried in a loop."""

    async def run() -> None:
        async with place() as here:
            launch_instead(here, script(tmp_path, "echo 'no display to be found' >&2; exit 3"))
            waiters = [lease_or_refusal(here, 60) for _ in range(3)]
            for refused in await asyncio.gather(*waiters):
                assert isinstance(refused, PoolRefused)
                assert refused.reason == "breaker"
                assert refused.retry_after is not None
                assert "the browser process ended while starting (exit code 3)" in str(refused)
                assert "no display to be found" in str(refused)
            await asyncio.sleep(1.5)  # rounds of housekeeping, in which nothing may be launched
            assert len(here.named("browser.failed")) == 3
            (breaker,) = here.pool.statistics().breakers
            assert (breaker.key, breaker.state) == ("chromium", "open")
            later = await lease_or_refusal(here, 60)
            assert isinstance(later, PoolRefused)
            assert later.reason == "breaker"

    loops.run(run())


def test_a_browser_that_does_not_come_up_is_given_up(tmp_path: Path) -> None:
    """A launch has a limit; what hangs is ended with all that it started, and said."""

    async def run() -> None:
        async with place(launch_timeout=1.0) as here:
            launch_instead(here, script(tmp_path, "sleep 600 & wait"))
            refused = await lease_or_refusal(here, 60)
            assert isinstance(refused, PoolRefused)
            assert refused.reason == "breaker"
            await until(lambda: len(here.named("browser.ended")) == 3, 10, "three ends")
            assert here.kept() == {}

    loops.run(run())


def test_the_next_browser_is_good_again_after_a_bad_one(tmp_path: Path) -> None:
    """One failed launch costs the waiter time, not the lease."""

    async def run() -> None:
        async with place() as here:
            good = here.pool._servers.recipe
            launch_instead(here, script(tmp_path, "exit 1"))
            waiter = asyncio.create_task(lease_or_refusal(here, 60))
            await until(lambda: here.kept(), 10, "launch")
            here.pool._servers.recipe = good
            assert await waiter in ("browser-2", "browser-3")

    loops.run(run())


def test_launches_at_once_are_capped() -> None:
    """Ten who ask at once have browsers started one after the other, and all are served."""

    async def run() -> None:
        most = 0
        async with place(maximum=3, contexts_per_browser=2, launches_at_once=1) as here:

            async def watch() -> None:
                nonlocal most
                while True:
                    states = [browser.state for browser in here.pool.statistics().browsers]
                    most = max(most, states.count("launching"))
                    await asyncio.sleep(0.005)

            watching = asyncio.create_task(watch())
            waiters = [lease_or_refusal(here, 60 * slack()) for _ in range(10)]
            served = await asyncio.gather(*waiters)
            watching.cancel()
            assert most == 1
            assert not [refused for refused in served if isinstance(refused, PoolRefused)]

    loops.run(run())


def test_a_launch_is_kept_when_its_waiter_gives_up() -> None:
    """The browser that nobody waits for any more serves the next one at once."""

    async def run() -> None:
        async with place() as here:
            refused = await lease_or_refusal(here, 0.05)
            assert isinstance(refused, PoolRefused)
            assert refused.reason == "timeout"
            await until(lambda: here.named("browser.started"), 30, "browser")
            assert await lease_or_refusal(here, 0) == "browser-1"

    loops.run(run())
