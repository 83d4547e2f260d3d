"""What a shared pool costs and saves, measured on this machine.

Three figures, each the median of interleaved rounds: an evaluate through the lease port against
one directly on the browser server; an acquire on a warm pool against launching a browser; and an
acquire after SIGKILL of the only browser. Ratios count, not milliseconds. The service runs in a
process of its own, as it does in life.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import time

from playwright.async_api import Page, Playwright, async_playwright

from pytest_sentinel.browsers import prepare
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.pool import Pool
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.terms import Terms

DETOUR_TARGET = 1.10
ACQUIRE_TARGET = 5.0
CRASH_TARGET = 1.0
BATCH = 50
# A browser that ends keeps two cores busy for a while, and so does a server that loads Playwright
# to be ready for the next crash: neither belongs to what is measured next.
REST = 0.3
LONG_REST = 3.0


async def evaluates(page: Page) -> float:
    """Return the seconds of one evaluate, from a batch of them."""
    began = time.perf_counter()
    for _ in range(BATCH):
        await page.evaluate("1 + 1")
    return (time.perf_counter() - began) / BATCH


async def detour(playwright: Playwright, ws: str, straight: str, rounds: int) -> float:
    """Return what an evaluate takes through the lease port, as a multiple of one without."""
    direct_browser = await playwright.chromium.connect(straight)
    leased_browser = await playwright.chromium.connect(ws)
    direct_page = await direct_browser.new_page()
    leased_page = await leased_browser.new_page()
    direct: list[float] = []
    leased: list[float] = []
    for number in range(rounds + 2):
        order = [(direct, direct_page), (leased, leased_page)]
        for seconds, page in order if number % 2 else reversed(order):
            seconds.append(await evaluates(page))
    await leased_browser.close()
    await direct_browser.close()
    ratio = statistics.median(leased[2:]) / statistics.median(direct[2:])
    print(
        f"evaluate: directly {statistics.median(direct[2:]) * 1000:.2f} ms,"
        f" through the lease port {statistics.median(leased[2:]) * 1000:.2f} ms,"
        f" ratio {ratio:.2f} (wanted: <= {DETOUR_TARGET:.2f})"
    )
    return ratio


async def acquire(playwright: Playwright, ws: str, rounds: int) -> float:
    """Return how many times as fast as a launch an acquire on a warm pool is."""
    warm, cold = [], []
    for _ in range(rounds):
        await asyncio.sleep(REST)
        began = time.perf_counter()
        browser = await playwright.chromium.connect(ws)
        warm.append(time.perf_counter() - began)
        await browser.close()
        await asyncio.sleep(REST)
        began = time.perf_counter()
        browser = await playwright.chromium.launch()
        cold.append(time.perf_counter() - began)
        await browser.close()
    times = statistics.median(cold) / statistics.median(warm)
    print(
        f"acquire: launching {statistics.median(cold) * 1000:.0f} ms,"
        f" on a warm pool {statistics.median(warm) * 1000:.0f} ms,"
        f" {times:.1f} times as fast (wanted: >= {ACQUIRE_TARGET:.0f})"
    )
    return times


async def after_crash(playwright: Playwright, ws: str, rounds: int) -> float:
    """Return the median of the seconds from SIGKILL of the only browser to a lease on the next."""
    seconds = []
    for _ in range(rounds):
        # One that has served is no crash loop, however often it is killed.
        await (await playwright.chromium.connect(ws)).close()
        victim = await playwright.chromium.connect(ws)
        await asyncio.sleep(LONG_REST)
        is_lost = asyncio.Event()
        victim.on("disconnected", lambda _, is_lost=is_lost: is_lost.set())
        session = await victim.new_browser_cdp_session()
        found = (await session.send("SystemInfo.getProcessInfo"))["processInfo"]
        began = time.perf_counter()
        os.kill(next(p["id"] for p in found if p["type"] == "browser"), signal.SIGKILL)
        await is_lost.wait()
        browser = await playwright.chromium.connect(ws)
        seconds.append(time.perf_counter() - began)
        await browser.close()
    median = statistics.median(seconds)
    print(
        f"acquire after SIGKILL of the browser: {median * 1000:.0f} ms, at worst"
        f" {max(seconds) * 1000:.0f} ms (wanted: < {CRASH_TARGET * 1000:.0f} ms)"
    )
    return median


async def measure(rounds: int) -> bool:
    """Take all three figures; return whether all are as wanted."""
    prepare(os.environ)
    command = (sys.executable, __file__, "--serve")
    pipe = asyncio.subprocess.PIPE
    service = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert service.stdout is not None
    try:
        ws, straight = json.loads(await service.stdout.readline())
        async with async_playwright() as playwright:
            ratio = await detour(playwright, ws, straight, 3 * rounds)
            times = await acquire(playwright, ws, rounds)
            crash = await after_crash(playwright, ws, rounds)
    finally:
        await service.communicate(b"stop")
    return ratio <= DETOUR_TARGET and times >= ACQUIRE_TARGET and crash < CRASH_TARGET


async def serve() -> None:
    """Run a pool of one browser until standard input ends; print its address and the browser's."""
    pool = Pool(PoolOptions(minimum=1, maximum=1, recycle_after=None), lambda event: None)
    port = LeasePort(pool, Terms(("chromium",)), lambda event: None, lambda: (200, {}))
    with socket.create_server(("127.0.0.1", 0)) as sock:
        await pool.start()
        await port.start(sock)
        try:
            async with pool.lease("chromium", "benchmark", 30) as lease:
                straight = f"ws://{lease.host}:{lease.port}{lease.path}"
            ws = f"ws://127.0.0.1:{sock.getsockname()[1]}/chromium"
            print(json.dumps([ws, straight]), flush=True)
            await asyncio.to_thread(sys.stdin.read)
        finally:
            await port.close()
            await pool.aclose()


def main() -> None:
    """Read the command line; the exit status is 0 when all figures are as wanted."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
        return
    raise SystemExit(0 if asyncio.run(measure(given.rounds)) else 1)


if __name__ == "__main__":
    main()
