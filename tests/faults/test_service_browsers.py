"""Browsers that die, hang or will not close: their users are told, and others get a new one."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests import loops
from tests.faults.poolkit import Client, Place, place, until

pytestmark = pytest.mark.browser


def processes(here: Place, kind: str) -> list[int]:
    """Return the pids of a browser's processes of one kind, youngest last."""
    found = []
    for kept in here.kept().values():
        for pid in kept.server.processes.look():
            # What a zygote has forked writes its arguments as one.
            with suppress(FileNotFoundError, psutil.NoSuchProcess):  # one in reserve may go
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").split()
                if f"--type={kind}".encode() in words:
                    found.append((psutil.Process(pid).create_time(), pid))
    assert found, f"there is no {kind}"
    return [pid for _, pid in sorted(found)]


async def renderer_of(client: Client, here: Place) -> int:
    """Return the process behind a client's page: the one that works while the page does."""
    before = {pid: cpu_of(pid) for pid in processes(here, "renderer")}
    await client.do(
        "evaluate", "(() => { for (const end = Date.now() + 500; Date.now() < end;); })()"
    )
    return max(before, key=lambda pid: cpu_of(pid) - before[pid])


def cpu_of(pid: int) -> float:
    """Return the CPU seconds of a process; none of one in reserve that has gone meanwhile."""
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return 0.0


async def fails_within(client: Client, seconds: float) -> str:
    """Return how a page of the client fails; asserts that it does in time."""
    client.tell("evaluate", "1")
    value, waited = await asyncio.wait_for(client.hear(), seconds + 5)
    assert isinstance(value, dict)
    assert waited < seconds
    return str(value["error"])


def test_a_killed_browser_fails_its_leases_and_is_replaced() -> None:
    """Everyone on it is told within a second; who waits is served by the replacement."""

    async def run() -> None:
        async with (
            place(contexts_per_browser=2) as here,
            here.client("one") as one,
            here.client("two") as two,
        ):
            await one.do("open", 1)
            await two.do("open", 2)
            server = next(iter(here.kept().values())).server
            assert server.browser is not None
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(wait_for_lease(here))
                await until(lambda: here.pool.statistics().waiting["chromium"], 5, "waiter")
                os.kill(server.browser.pid, signal.SIGKILL)
                took = await until(lambda: len(here.named("lease.ended")) == 2, 1, "two ends")
                for client in (one, two):
                    message = await fails_within(client, 1.0)
                    assert "the browser died (SIGKILL)" in message or "closed" in message
            assert took < 1.0
            assert waiting.result() == "browser-2"
            counters = here.pool.statistics().counters
            assert counters["crashes_total"] == {"chromium": 1}
            assert counters["ends_total"]["crashed"] == 2
            accepted = sum(counters["leases_total"].values())
            assert accepted == sum(counters["ends_total"].values())

    loops.run(run())


async def wait_for_lease(here: Place) -> str:
    """Lease and give back; return the browser."""
    async with here.pool.lease("chromium", "waiter", 30) as lease:
        return lease.browser


def test_a_killed_renderer_fails_only_its_page() -> None:
    """The neighbour on the same browser goes on, and so does the browser."""

    async def run() -> None:
        async with (
            place(contexts_per_browser=2) as here,
            here.client("neighbour") as neighbour,
            here.client("victim") as victim,
        ):
            await neighbour.do("open", 1)
            await victim.do("open", 1)
            os.kill(await renderer_of(victim, here), signal.SIGKILL)
            assert "crashed" in (await victim.fail("evaluate", "1")).lower()
            assert await neighbour.do("evaluate", "6 * 7") == 42
            await victim.do("close")
            await until(lambda: here.slots("free") == 1, 5, "free slot")
            assert await here.contexts() == 1
            assert not here.named("browser.crashed")

    loops.run(run())


def test_a_page_out_of_memory_fails_alone() -> None:
    """A page that eats its heap dies, its lease can be ended, and its neighbour goes on."""

    async def run() -> None:
        eat = "(() => { const all = []; for (;;) all.push(new Array(1e6).fill(Math.random())); })()"
        async with (
            place(
                contexts_per_browser=2, launch_args=("--js-flags=--max-old-space-size=64",)
            ) as here,
            here.client("neighbour") as neighbour,
            here.client("eater") as eater,
        ):
            await neighbour.do("open", 1)
            await eater.do("open", 1)
            assert "crashed" in (await eater.fail("evaluate", eat)).lower()
            assert await neighbour.do("evaluate", "6 * 7") == 42
            await eater.do("close")
            await until(lambda: here.slots("free") == 1, 5, "free slot")
            assert not here.named("browser.crashed")

    loops.run(run())


def test_a_stopped_browser_is_found_and_replaced() -> None:
    """The probe fails in bound, the browser is quarantined, killed and followed by another."""

    async def run() -> None:
        async with (
            place(probe_interval=0.5, probe_timeout=1.0) as here,
            here.client() as one,
        ):
            await one.do("open", 1)
            server = next(iter(here.kept().values())).server
            assert server.browser is not None
            os.kill(server.browser.pid, signal.SIGSTOP)
            await until(lambda: here.named("browser.suspected"), 4, "suspicion")
            await until(lambda: here.named("browser.crashed"), 4, "verdict")
            assert "stopped answering" in str(here.named("browser.crashed")[0].facts["cause"])
            await fails_within(one, 2.0)
            async with here.pool.lease("chromium", "next", 30) as lease:
                assert lease.browser == "browser-2"
            assert not psutil.pid_exists(server.browser.pid)

    loops.run(run())


def test_a_page_that_spins_is_not_the_browsers_fault() -> None:
    """A full browser with a page in an endless loop passes its probes, which need no slot."""

    async def run() -> None:
        async with (
            place(contexts_per_browser=1, probe_interval=0.5, probe_timeout=5.0) as here,
            here.client() as spinner,
        ):
            await spinner.do("open", 1)
            spinner.tell("evaluate", "while (true);")
            probes = here.pool.statistics().counters.get("probes_total", {}).get("ok", 0)

            def has_probed() -> bool:
                counters = here.pool.statistics().counters.get("probes_total", {})
                return counters.get("ok", 0) >= probes + 2

            await until(has_probed, 10, "probes that succeed")
            await spinner.kill()
            await until(lambda: here.slots("free") == 1, 10, "free slot")
            assert await here.contexts() == 0
            assert not here.named("browser.crashed")

    loops.run(run())


def test_a_stopped_gpu_process_leaves_a_pool_that_serves() -> None:
    """Whether or not the browser gets over it, the next client has a working page in bound."""

    async def run() -> None:
        async with place(probe_interval=0.5, probe_timeout=2.0) as here:
            async with here.client() as one:
                await one.do("open", 1)
                for pid in processes(here, "gpu-process"):
                    os.kill(pid, signal.SIGSTOP)
                await until(
                    lambda: here.pool.statistics().counters.get("probes_total"), 10, "probe"
                )
            async with asyncio.timeout(30), here.client("next") as successor:
                assert await successor.do("open", 1) == 1

    loops.run(run())


def test_a_context_that_does_not_close_is_disposed_of() -> None:
    """Its renderer is stopped and its client dead: the slot is freed when the context is gone."""

    async def run() -> None:
        async with place(contexts_per_browser=1, probe_timeout=3.0) as here:
            async with here.client() as one:
                await one.do("open", 1)
                for pid in processes(here, "renderer"):
                    os.kill(pid, signal.SIGSTOP)
                await one.kill()
            await until(lambda: here.slots("free") == 1, 12, "free slot")
            assert await here.contexts() == 0
            async with here.client("next") as successor:
                assert await successor.do("open", 1) == 1

    loops.run(run())


def test_a_browser_that_does_not_close_is_killed_in_bound() -> None:
    """Asked politely, terminated, killed: its place is free only when its processes are gone."""

    async def run() -> None:
        async with place(minimum=1, close_timeout=1.0, probe_interval=60.0) as here:
            await until(lambda: here.named("browser.started"), 30, "browser")
            server = here.kept()["browser-1"].server
            assert server.browser is not None
            os.kill(server.browser.pid, signal.SIGSTOP)
            await here.pool.restart()
            took = await until(lambda: here.named("browser.ended"), 15, "end of the old browser")
            assert took > 1.0
            assert not psutil.pid_exists(server.browser.pid)
            assert [browser.name for browser in here.pool.statistics().browsers] == ["browser-2"]

    loops.run(run())
