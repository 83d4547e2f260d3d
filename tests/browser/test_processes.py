"""Trees and memory of a real headless Chromium."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, Playwright

from pytest_sentinel.memory.processes import (
    identify,
    is_alive,
    kill_group,
    read_memory,
    state,
    tree,
    wait_gone,
)
from pytest_sentinel.memory.sampler import Sampler
from pytest_sentinel.pool.leavings import leavings_of, profile_of, remove
from tests.faults.children import MIB, until

pytestmark = pytest.mark.browser

PAGE = "data:text/html,<h1>Larder</h1>"


@pytest.fixture(params=["headless", "full"])
def chromium(playwright: Playwright, request: pytest.FixtureRequest) -> Iterator[Browser]:
    """A browser of our own: what a headless launch takes here, and a full build where one is."""
    options: dict[str, Any] = {}
    if request.param == "full":
        options["channel"] = "chromium"
        if not Path(playwright.chromium.executable_path).exists():
            pytest.skip("there is no full Chromium on this machine")
    browser = playwright.chromium.launch(**options)
    [root] = processes_of(browser)["browser"]
    left = leavings_of(profile_of(root))
    yield browser
    browser.close()
    # Playwright may fail to remove the profile of a browser that was killed while it wrote, and
    # knows nothing of what a full Chromium keeps beside it.
    remove(left)


def processes_of(browser: Browser) -> dict[str, list[int]]:
    """Return the pids that the browser itself reports, by type."""
    session = browser.new_browser_cdp_session()
    found: dict[str, list[int]] = {}
    for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        found.setdefault(process["type"], []).append(process["id"])
    session.detach()
    return found


def kinds(pids: list[int]) -> set[str]:
    """Return the values of ``--type=`` on the command lines of ``pids``."""
    words = [word for pid in pids for word in psutil.Process(pid).cmdline()]
    return {word.removeprefix("--type=") for word in words if word.startswith("--type=")}


def test_the_tree_holds_every_process_of_the_browser(chromium: Browser) -> None:
    """Renderer, zygote, GPU and utility processes are in the tree of the browser process."""
    page = chromium.new_page()
    page.goto(PAGE)
    reported = processes_of(chromium)
    [root] = reported["browser"]

    pids = tree(root)

    assert pids[0] == root
    assert set(chain(*reported.values())) <= set(pids)
    assert {"renderer", "zygote", "gpu-process", "utility"} <= kinds(pids)
    page.close()


def test_the_memory_of_a_browser_is_less_than_its_summed_rss(chromium: Browser) -> None:
    """PSS lies between USS and the sum of RSS, which counts shared pages many times."""
    context = chromium.new_context()
    for _ in range(3):
        context.new_page().goto(PAGE)
    [root] = processes_of(chromium)["browser"]
    pids = tree(root)

    reading = read_memory(pids)
    summed = sum(psutil.Process(pid).memory_info().rss for pid in pids)

    assert reading is not None
    assert reading.processes == len(pids)
    assert reading.uss < reading.pss < 0.8 * summed
    context.close()


def test_what_a_page_allocates_is_in_the_window_of_its_test(chromium: Browser) -> None:
    """200 MiB in a page raise the peak by that much, and are gone when its context is.

    Growth that is caught half-way leaves up to the threshold of 5 % unread.
    """
    [root] = processes_of(chromium)["browser"]
    sampler = Sampler(budget=0.5)
    try:
        sampler.watch("browser:1", root)
        until(lambda: sampler.window()["browser:1"].end)
        context = chromium.new_context()
        page = context.new_page()
        page.goto(PAGE)
        before = sampler.read_now("browser:1")
        sampler.mark()
        page.evaluate("() => { window.held = new Uint8Array(200 * 2**20).fill(1) }")
        sampler.poke("browser:1")
        peak = sampler.window()["browser:1"].peak
        context.close()
        until(lambda: (r := sampler.read_now("browser:1")) and before and r.pss < before.pss)
        window = sampler.window()["browser:1"]
    finally:
        sampler.close()

    assert before is not None
    assert window.peak is not None
    assert window.end is not None
    assert peak is not None
    assert 180 * MIB < peak.pss - before.pss < 250 * MIB
    assert window.peak.pss >= peak.pss
    assert window.end.pss < before.pss
    assert sampler.cost().errors == 0


def test_a_killed_browser_is_gone_with_its_group(chromium: Browser) -> None:
    """One signal to the group ends every process; the sampler keeps the last reading."""
    page = chromium.new_page()
    page.goto(PAGE)
    [root] = processes_of(chromium)["browser"]
    identities = [identity for pid in tree(root) if (identity := identify(pid))]
    sampler = Sampler()
    try:
        sampler.watch("browser:1", root)
        until(lambda: sampler.window()["browser:1"].end)

        assert kill_group(identities[0]) is True
        assert wait_gone(identities, timeout=10) == []

        until(lambda: state(root) in (None, "Z"))
        assert sampler.read_now("browser:1") is None
        assert sampler.window()["browser:1"].end is not None
    finally:
        sampler.close()
    assert sampler.cost().errors == 0


def test_a_stopped_browser_is_seen_and_can_be_ended(chromium: Browser) -> None:
    """SIGSTOP leaves the browser in state T, still readable; SIGKILL ends it all the same."""
    [root] = processes_of(chromium)["browser"]
    identity = identify(root)
    assert identity is not None
    os.kill(root, signal.SIGSTOP)
    until(lambda: state(root) == "T")

    assert is_alive(identity)
    assert read_memory(tree(root)) is not None
    kill_group(identity)

    assert wait_gone([identity], timeout=10) == []
