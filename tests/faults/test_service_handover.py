"""Waiters that are cancelled, run out of time or leave at the very moment of hand-over."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress

import pytest

from pytest_sentinel.errors import PoolRefused
from tests import loops
from tests.faults.poolkit import Place, place, until

pytestmark = pytest.mark.browser

SEEDS = int(os.environ.get("HANDOVER_SEEDS", "500"))
CROWD = 10


async def visit(here: Place, seeds: random.Random, seen: Counter[str]) -> None:
    """Ask for a lease, hold it for a moment, and perhaps leave while waiting."""
    leaves: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    for _ in range(seeds.randrange(12)):
        await asyncio.sleep(0)
    wait = seeds.choice([0.0, 0.001, 0.005, 30.0])
    if seeds.random() < 0.3:
        asyncio.get_running_loop().call_later(seeds.random() * 0.01, leave, leaves)
    try:
        async with here.pool.lease("chromium", "crowd", wait, gone=leaves):
            seen["held"] += 1
            for _ in range(seeds.randrange(6)):
                await asyncio.sleep(0)
    except PoolRefused as refused:
        seen[refused.reason] += 1


def leave(leaves: asyncio.Future[None]) -> None:
    """Be gone."""
    if not leaves.done():
        leaves.set_result(None)


def test_no_slot_is_lost_or_doubled_at_hand_over() -> None:
    """After any number of cancelled, late and vanished waiters every slot is free again."""

    async def run() -> None:
        async with place(minimum=1, contexts_per_browser=2, recycle_after=None) as here:
            await until(lambda: here.slots("free") == 2, 30, "browser")
            seen: Counter[str] = Counter()
            for seed in range(SEEDS):
                seeds = random.Random(seed)
                crowd = [asyncio.create_task(visit(here, seeds, seen)) for _ in range(CROWD)]
                for task in crowd:
                    if seeds.random() < 0.3:
                        await asyncio.sleep(seeds.choice([0, 0, 0.0005]))
                        task.cancel()
                assert here.slots("leased") + here.slots("granted") <= 2
                for task in crowd:
                    with suppress(asyncio.CancelledError):
                        await task
            await until(lambda: here.slots("free") == 2, 5, "two free slots")
            counters = here.pool.statistics().counters
            assert sum(counters["leases_total"].values()) == counters["ends_total"]["released"]
            assert counters["leases_total"]["chromium"] >= seen["held"] > 0
            assert {"full", "gone", "timeout"} <= set(seen)
            assert not here.named("browser.crashed")

    loops.run(run())
