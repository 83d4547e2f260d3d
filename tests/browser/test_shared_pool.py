"""A shared pool on real browsers: what its operator may do, and what it tells."""

from __future__ import annotations

import asyncio

import pytest

from pytest_sentinel.errors import PoolRefused, SettingError
from tests import loops
from tests.faults.poolkit import client, place, until

pytestmark = pytest.mark.browser


def test_draining_waits_for_the_leases_and_then_sends_them_away() -> None:
    """Who holds may finish; when the time is over he is told to go, with the reason."""

    async def run() -> None:
        async with place(contexts_per_browser=2) as here:
            async with here.pool.lease("chromium", "slow", 30) as lease:
                draining = asyncio.create_task(here.pool.drain(0.5))
                why = await asyncio.wait_for(lease.revoked, 10)
                assert why == "the pool drains, and its 0.5 s are over"
                with pytest.raises(PoolRefused) as caught:
                    async with here.pool.lease("chromium", "late", 30):
                        pass
                assert caught.value.reason == "draining"
            await draining
            assert here.named("pool.drained")[0].facts["leases"] in (0, 1)
            await here.pool.drain(None)
            assert here.pool.statistics().draining

    loops.run(run())


def test_restart_and_resize_change_a_pool_that_serves() -> None:
    """A lease goes on over a restart, the next one is on a new browser, and the size follows."""

    async def run() -> None:
        async with (
            place(minimum=1, maximum=2, contexts_per_browser=1) as here,
            here.client() as one,
        ):
            await one.do("open", 1)
            assert await here.pool.restart() == 2
            async with here.pool.lease("chromium", "next", 30) as lease:
                assert lease.browser != "browser-1"
                assert await one.do("evaluate", "6 * 7") == 42
                here.pool.resize(3)
                async with here.pool.lease("chromium", "third", 30):
                    assert here.slots("leased") == 3
            with pytest.raises(SettingError):
                here.pool.resize(0)
            here.pool.resize(1)
            assert here.pool.statistics().maximum == 1
            await until(lambda: len(here.pool.statistics().browsers) <= 2, 15, "smaller pool")

    loops.run(run())


def test_statistics_tell_every_browser_and_lease() -> None:
    """Browsers with state, pid, memory and probe; leases with owner and age; slots that add up."""

    async def run() -> None:
        async with place(minimum=1, contexts_per_browser=2) as here:
            async with here.pool.lease("chromium", "reader", 30) as lease:
                await until(lambda: here.pool.statistics().browsers[0].pss, 15, "a reading")
                await until(lambda: here.pool.statistics().browsers[0].last_probe_ok, 15, "a probe")
                found = here.pool.statistics()
                (browser,) = found.browsers
                assert (browser.state, browser.leases, browser.generation) == ("ready", 1, 1)
                process = here.kept()[lease.browser].server.process
                assert process is not None
                assert browser.pid == process.pid
                assert browser.pss > 20 * 2**20
                assert [(held.owner, held.browser) for held in found.leases] == [
                    ("reader", "browser-1")
                ]
                assert sum(found.slots.values()) == found.maximum * 2
                assert found.memory.budget is None
            with pytest.raises(PoolRefused) as caught:
                async with here.pool.lease("webkit", "reader", 30):
                    pass
            assert caught.value.reason == "engine"
            await here.pool.aclose()
            await here.pool.aclose()

    loops.run(run())


def test_a_context_that_nobody_owns_is_found_and_disposed_of() -> None:
    """A context without a lease, as a client leaves that was killed too early, does not stay."""

    async def run() -> None:
        async with place(minimum=1, grace=0.5) as here:
            await until(lambda: here.named("browser.started"), 30, "browser")
            server = here.kept()["browser-1"].server
            where = server.endpoint
            assert where is not None
            # Past the lease port, as nobody should: a client of which the books know nothing.
            async with client() as one:
                await one.do("connect", f"ws://{where.host}:{where.port}{where.path}")
                await one.do("open", 1)
                await until(lambda: here.named("context.disposed"), 10, "disposal")
            assert here.pool.statistics().counters["contexts_disposed_total"] == {"nobody": 1}
            assert await here.contexts() == 0

    loops.run(run())


def test_browsers_of_another_service_are_leased_like_own_ones() -> None:
    """A pool with an upstream launches nothing and passes its leases on."""

    async def run() -> None:
        async with place(contexts_per_browser=4) as far:
            upstream = f"{far.ws}/chromium?owner=near"
            async with place(upstream=(upstream,), contexts_per_browser=2) as near:
                async with near.client() as one:
                    assert await one.do("open", 1) == 1
                    assert await one.do("evaluate", "6 * 7") == 42
                    assert near.pool.statistics().browsers[0].pid is not None
                    assert len(far.pool.statistics().leases) == 2
                await until(lambda: near.slots("free") == 2, 10, "free slots")
                for kept in far.kept().values():
                    assert kept.server.process is not None
                await far.pool.drain(0.0)
                await until(lambda: near.named("browser.crashed"), 10, "the end of the upstream")

    loops.run(run())
