"""A pool that runs short of memory: it pauses, sheds what nobody uses, and comes back."""

from __future__ import annotations

import asyncio

import pytest

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.units import GIB, MIB
from tests import loops
from tests.faults.poolkit import place, until

pytestmark = pytest.mark.browser


def test_a_limit_that_is_lowered_pauses_and_sheds_but_kills_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Leases go on, idle browsers go one by one but for the last, and clients are told why."""

    async def run() -> None:
        left = 100 * GIB
        monkeypatch.setattr("pytest_sentinel.pool.housekeeping.available_memory", lambda: left)
        async with place(
            minimum=3, maximum=3, contexts_per_browser=1, launches_at_once=3, memory_budget="auto"
        ) as here:
            await until(lambda: here.slots("free") == 3, 30, "three browsers")
            async with here.client() as one:
                await one.do("open", 1)
                left = 1 * MIB
                await until(lambda: here.named("memory.paused"), 8, "pause")
                waiting = asyncio.create_task(lease_reason(here.pool, 3.0))
                ended = "two idle browsers ended"
                await until(lambda: len(here.pool.statistics().browsers) < 3, 8, ended)
                assert await waiting == "memory"
                assert "browsers use" in here.pool.statistics().memory.paused
                assert not here.named("browser.crashed")
                assert await one.do("evaluate", "6 * 7") == 42
                # Hysteresis: a little more room is not enough.
                assert here.pool.statistics().browsers
                left = 100 * GIB
                await until(lambda: here.named("memory.resumed"), 8, "resumption")
                await until(lambda: here.slots("free") == 2, 30, "warm minimum")
            whys = {str(event.facts["why"]) for event in here.named("browser.ended")}
            assert whys <= {"memory", "closed"}

    loops.run(run())


async def lease_reason(pool: object, wait: float) -> str:
    """Return why no lease was given."""
    try:
        async with pool.lease("chromium", "late", wait):  # type: ignore[attr-defined]
            return "granted"
    except PoolRefused as refused:
        return refused.reason


def test_a_budget_of_its_own_holds() -> None:
    """A pool that may use less than one more lease takes gives none, and says with what numbers."""

    async def run() -> None:
        async with place(minimum=1, memory_budget=64 * MIB) as here:
            await until(lambda: here.named("memory.paused"), 30, "pause")
            assert await lease_reason(here.pool, 0.0) == "memory"
            assert "of 64 MiB" in here.pool.statistics().memory.paused
            # The last browser that serves is kept: shedding it would free what comes straight back.
            assert len(here.pool.statistics().browsers) == 1

    loops.run(run())
