"""Clients that die, freeze or overstay: their leases end, and all that was theirs goes back.

With ``KILLED_CLIENTS=200`` and ``FROZEN_SECONDS=60`` at full size.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter

import pytest

from tests import loops
from tests.faults.poolkit import place, until
from tests.runs import slack

pytestmark = pytest.mark.browser

KILLED = int(os.environ.get("KILLED_CLIENTS", "6"))
FROZEN = float(os.environ.get("FROZEN_SECONDS", "2"))


def test_a_killed_client_gives_everything_back() -> None:
    """Its lease ends, its contexts are gone and its slot is used again; others notice nothing."""

    async def run() -> None:
        async with place(contexts_per_browser=2) as here:
            async with here.client("bystander") as bystander:
                await bystander.do("open", 1)
                async with here.client("victim") as victim:
                    await victim.do("open", 3)
                    assert await here.contexts() == 4
                    await victim.kill()
                    await until(lambda: here.named("lease.ended"), 2, "end of the lease")
                    assert await until(lambda: here.slots("free") == 1, 2, "free slot") < 2
                    assert await here.contexts() == 1
                async with here.client("next") as successor:
                    assert await successor.do("open", 1) == 1
                assert await bystander.do("evaluate", "6 * 7") == 42
            assert {event.facts["owner"] for event in here.named("lease.ended")} >= {"victim"}
            assert not here.named("browser.crashed")

    loops.run(run())


def test_clients_killed_while_they_open_contexts_leave_none() -> None:
    """What a browser finishes opening for a client that is dead already is found and removed."""

    async def run() -> None:
        seeds = random.Random(4)
        async with place(contexts_per_browser=4) as here:
            for _ in range(KILLED):
                async with here.client("churner") as churner:
                    churner.tell("churn")
                    await churner.hear()
                    await asyncio.sleep(seeds.uniform(0.0, 0.1))
                    await churner.kill()
            await until(lambda: here.slots("free") == 4, 10, "clean pool")

            async def is_clean() -> bool:
                return await here.contexts() == 0

            await until(is_clean, 10, "browser without contexts")
            assert not here.named("browser.crashed")

    loops.run(run())


def test_a_frozen_client_loses_its_lease_by_its_deadline() -> None:
    """It sends nothing and closes nothing; when it wakes, it is told what became of its lease."""

    async def run() -> None:
        async with place(contexts_per_browser=1, max_lease=2.0) as here:
            async with here.client("sleeper") as sleeper:
                await sleeper.do("open", 2)
                sleeper.signal(signal.SIGSTOP)
                woken_at = asyncio.get_running_loop().time() + FROZEN
                try:
                    async with here.client("next") as successor:
                        assert await successor.do("open", 1) == 1
                        assert await here.contexts() == 1
                    # Its connection is over long before it can know.
                    while asyncio.get_running_loop().time() < woken_at:
                        await until(lambda: not here.pool.statistics().leases, 5, "end of leases")
                        await asyncio.sleep(0.1)
                finally:
                    sleeper.signal(signal.SIGCONT)
                message = await sleeper.fail("evaluate", "1")
                assert "the lease was longer than 2 s may be" in message
            revoked = [event.facts["lease"] for event in here.named("lease.revoked")]
            assert revoked[0] == "lease-1"

    loops.run(run())


def test_a_greedy_owner_does_not_starve_the_others() -> None:
    """Who asks for everything holds his share, and those behind him are served."""

    async def run() -> None:
        async with place(maximum=1, contexts_per_browser=4, per_owner=2) as here:
            held = asyncio.Semaphore(0)
            done = asyncio.Event()

            async def greedy() -> None:
                async with here.pool.lease("chromium", "greedy", 60):
                    held.release()
                    await done.wait()

            crowd = [asyncio.create_task(greedy()) for _ in range(8)]
            await held.acquire()
            async with asyncio.timeout(30), here.pool.lease("chromium", "modest", 20):
                assert [lease.owner for lease in here.pool.statistics().leases] == [
                    "greedy",
                    "greedy",
                    "modest",
                ]
            done.set()
            await asyncio.gather(*crowd)

    loops.run(run())


def test_two_hundred_users_do_not_starve_eight_workers() -> None:
    """Everyone behind a crowd that always wants more is served in his turn, and caps hold."""

    async def run() -> None:
        options = {"maximum": 1, "contexts_per_browser": 4, "per_owner": 2, "max_waiting": 300}
        async with place(minimum=1, recycle_after=None, **options) as here:
            await until(lambda: here.slots("free") == 4, 30, "browser")
            over = asyncio.Event()
            most: Counter[str] = Counter()
            waits: list[float] = []

            async def take(owner: str) -> None:
                async with here.pool.lease("chromium", owner, 60):
                    held = Counter(lease.owner for lease in here.pool.statistics().leases)
                    for name, number in held.items():
                        most[name] = max(most[name], number)
                    await asyncio.sleep(0.01)

            async def user() -> None:
                while not over.is_set():
                    await take("locust")

            async def worker(name: str) -> None:
                for _ in range(4):
                    began = asyncio.get_running_loop().time()
                    await take(name)
                    waits.append(asyncio.get_running_loop().time() - began)

            crowd = [asyncio.create_task(user()) for _ in range(200)]
            await until(lambda: here.slots("leased") >= 2, 10, "a crowd")
            async with asyncio.timeout(60 * slack()):
                await asyncio.gather(*(worker(f"gw{number}") for number in range(8)))
            over.set()
            await asyncio.gather(*crowd)
            assert len(waits) == 32
            # Two slots are always the workers': each waits for the seven others, by turns.
            assert max(waits) < 3.0 * slack()
            assert max(most.values()) <= 2

    loops.run(run())


def test_a_jump_of_the_clock_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits and leases are measured by a clock that nobody can set."""

    async def run() -> None:
        async with place(contexts_per_browser=1, max_lease=600.0) as here, here.client() as one:
            for jump in (3600, -3600):
                monkeypatch.setattr("time.time", lambda jump=jump: 1.8e9 + jump)
                assert await one.do("open", 1)
                await asyncio.sleep(1.2)  # a round of housekeeping
            assert not here.named("lease.revoked")
            assert not here.named("browser.ended")

    loops.run(run())
