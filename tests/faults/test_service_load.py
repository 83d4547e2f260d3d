"""A service under load: nobody is turned away, and it does not grow.

With ``SERVICE_LEASES=3000`` for a long run; with ``SERVICE_RENEWALS=1000`` the pool of one goes on
until its browser has been renewed as often.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.async_api import async_playwright

from loadtests.leases import Load, run
from pytest_sentinel.memory.processes import read_memory, tree
from pytest_sentinel.units import MIB
from tests import loops
from tests.runs import slack, wait_until
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

LEASES = int(os.environ.get("SERVICE_LEASES", "120"))
RENEWALS = int(os.environ.get("SERVICE_RENEWALS", "0"))
WARM_UP = 30


@dataclass
class Size:
    """What a service takes when nobody uses it."""

    browsers: int
    processes: int
    descriptors: int
    contexts: int
    directories: int
    own: int
    total: int


def measure(running: Service) -> Size:
    """Wait until a service rests, and measure it: the least of everything in two seconds.

    For a moment there is more: a client is parted from, a server begins or is swept up, a renderer
    whose page is closed has not ended yet.
    """
    wait_until(lambda: rests(running), 30 * slack(), "a service at rest")
    pid, never = running.process.pid, threading.Event()
    readings = [reading(running, pid) for _ in range(8) if not never.wait(0.25)]
    return Size(
        browsers=len(running.get("/status")[1]["pool"]["browsers"]),
        contexts=loops.run(contexts(running)),
        **{name: min(one[name] for one in readings) for name in readings[0]},
    )


def reading(running: Service, pid: int) -> dict[str, int]:
    """Return what a service takes in this moment."""
    own, total = read_memory([pid]), read_memory(tree(pid))
    assert own is not None
    assert total is not None
    return {
        # Chromium keeps a renderer or two in reserve as it likes.
        "processes": len([p for p in tree(pid) if not is_renderer(p)]),
        "descriptors": psutil.Process(pid).num_fds(),
        "directories": len(list(running.temporary.glob("sentinel-pool-*/browser-*"))),
        "own": own.pss,
        "total": total.pss,
    }


def renewed(running: Service) -> int:
    """Return how many browsers were renewed because they had served enough."""
    counters = running.get("/status")[1]["pool"]["counters"]
    return int(counters["retirements_total"].get("tests", 0))


def rests(running: Service) -> bool:
    """Tell whether no lease is held and no browser comes or goes."""
    pool = running.get("/status")[1]["pool"]
    slots, browsers = pool["slots"], pool["browsers"]
    states = {browser["state"] for browser in browsers}
    busy = slots["leased"] + slots["granted"] + slots["cleaning"] + slots["starting"]
    return not busy and states <= {"ready"}


def is_renderer(pid: int) -> bool:
    """Tell whether a process is one of those that show pages."""
    try:
        return b"--type=renderer" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


async def contexts(running: Service) -> int:
    """Return how many contexts a browser has, seen by a client that has none.

    A probe may be under way, which has one: so the least that is seen in a while.
    """
    async with async_playwright() as playwright:
        browser = await playwright.chromium.connect(f"{running.ws}/chromium")
        session = await browser.new_browser_cdp_session()
        deadline = time.monotonic() + 5 * slack()
        while True:
            found = await session.send("Target.getBrowserContexts")
            if not found["browserContextIds"] or time.monotonic() > deadline:
                break
        await browser.close()
        return len(found["browserContextIds"])


def serve_load(tmp_path: Path, maximum: int, recycle_after: int, renewals: int = 0) -> None:
    """Run the load on a service with browsers that are renewed all the time."""
    options = ("--max", str(maximum), "--recycle-after", str(recycle_after))
    with service(tmp_path, *options, "--contexts-per-browser", "4") as running:
        load = Load()
        address = f"{running.ws}/chromium"
        loops.run(run(address, clients=16, leases=WARM_UP, load=load))
        before = measure(running)
        loops.run(run(address, clients=16, leases=LEASES - WARM_UP, load=load))
        while (recycled := renewed(running)) < renewals:
            loops.run(run(address, clients=16, leases=LEASES, load=load))
        after = measure(running)
        sys.stderr.write(f"{load.summary()}, {recycled} renewals\n{before}\n{after}\n")
        assert load.failures == []
        assert len(load.waits) >= LEASES
        assert recycled >= LEASES // recycle_after // 4
        assert after.browsers <= maximum
        # One server may be waiting to launch a browser, with three pipes, or not yet.
        assert after.processes <= before.processes * maximum // before.browsers + 1
        assert after.descriptors <= before.descriptors + 4 * (after.browsers - before.browsers) + 3
        assert after.contexts == before.contexts == 0
        assert after.directories <= after.browsers + 1
        assert after.own - before.own < 6 * MIB
        # Browsers come and go, and the more one has served the bigger it is.
        assert after.total / after.browsers < 1.6 * before.total / before.browsers
        assert not running.named("browser.crashed")


def test_short_leases_from_sixteen_clients(tmp_path: Path) -> None:
    """No lease fails, and from lease 30 to the last the service does not grow."""
    serve_load(tmp_path, maximum=2, recycle_after=12)


def test_a_pool_of_one_renews_its_browser_without_turning_anybody_away(tmp_path: Path) -> None:
    """Its only browser is followed by another before it goes, every few leases."""
    serve_load(tmp_path, maximum=1, recycle_after=2 if RENEWALS else 6, renewals=RENEWALS)
