"""The worker pool on a real browser, in this process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Error, Playwright

from pytest_sentinel.errors import BreakerOpen
from pytest_sentinel.memory.sampler import Sampler
from pytest_sentinel.pool.worker import WorkerPool
from pytest_sentinel.settings import build
from tests.runs import wait_until

KEY = "chromium headless"


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    """A pool of its own, ended with its test."""
    sampler = Sampler()
    pool = WorkerPool(build(), sampler, None)
    yield pool
    pool.close()
    sampler.close()


@pytest.fixture
def launch(playwright: Playwright) -> Callable[[], Browser]:
    """Launch a browser as pytest-playwright would."""
    return lambda: playwright.chromium.launch()


def process_of(browser: Browser) -> psutil.Process:
    """Return the main process of a browser, by its own word."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return psutil.Process(next(p["id"] for p in found if p["type"] == "browser"))


def profile_of(process: psutil.Process) -> Path:
    """Return the profile directory of a browser's main process."""
    [word] = [word for word in process.cmdline() if word.startswith("--user-data-dir=")]
    return Path(word.partition("=")[2])


def kill(browser: Browser) -> psutil.Process:
    """Kill a browser's main process and wait until it has ended."""
    process = process_of(browser)
    process.kill()
    wait_until(
        lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, 10, "its end"
    )
    return process


def test_a_browser_is_opened_and_known(pool: WorkerPool, launch: Callable[[], Browser]) -> None:
    """What open() returns is a genuine Browser, and the books show it."""
    browser = pool.open(KEY, launch)
    assert type(browser) is Browser
    assert pool.statistics().browsers == {"ready": 1}
    assert pool.statistics().launches == {"start": 1}
    [happening] = pool.take_happenings()
    assert (happening.event, happening.detail, happening.slot) == ("launched", "start", 1)
    assert happening.seconds is not None
    assert pool.take_happenings() == []


def test_a_closed_browser_is_gone_when_close_returns(
    pool: WorkerPool, launch: Callable[[], Browser]
) -> None:
    """Its processes and its profile have ended, and closing it twice does no harm."""
    browser = pool.open(KEY, launch)
    process = process_of(browser)
    profile = profile_of(process)
    assert profile.is_dir()
    browser.close()
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert not profile.exists()
    assert pool.statistics().browsers == {}
    browser.close()
    assert pool.statistics().browsers == {}


def test_a_dead_browser_is_replaced_behind_its_object(
    pool: WorkerPool, launch: Callable[[], Browser]
) -> None:
    """Whoever holds the object goes on with a new browser; of the old one nothing is left."""
    browser = pool.open(KEY, launch)
    browser.new_page()
    profile = profile_of(process_of(browser))
    old = kill(browser)
    assert [str(death) for death in pool.deaths()] == ["the browser died"]
    assert not profile.exists()
    pool.begin_test()
    assert pool.deaths() == []
    assert browser.is_connected()
    assert process_of(browser).pid != old.pid
    context = browser.new_context()
    assert context.browser is browser
    page = context.new_page()
    page.set_content("<title>again</title>")
    assert page.title() == "again"
    assert browser.contexts == [context]
    assert pool.statistics().browsers == {"ready": 1}
    assert pool.statistics().launches == {"start": 1, "crash": 1}
    assert pool.statistics().crashes == 1
    assert [happening.event for happening in pool.take_happenings()] == [
        "launched",
        "crashed",
        "replaced",
        "handed-over",
    ]


def test_a_stopped_browser_is_found_and_killed(
    playwright: Playwright, launch: Callable[[], Browser]
) -> None:
    """It looks alive to a wait for its end; a look at its state and one question are enough."""
    sampler = Sampler()
    pool = WorkerPool(build({"probe_timeout": ("here", "500 ms")}), sampler, None)
    try:
        browser = pool.open(KEY, launch)
        process = process_of(browser)
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED, 10, "a stopped browser")
        [death] = pool.deaths()
        assert (death.kind, str(death)) == ("hung", "the browser stopped answering and was killed")
        assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    finally:
        pool.close()
        sampler.close()


def test_other_browsers_do_not_notice(pool: WorkerPool, launch: Callable[[], Browser]) -> None:
    """Of two browsers one dies; the page on the other stays as it was."""
    first, second = pool.open(KEY, launch), pool.open(KEY, launch)
    page = second.new_page()
    page.set_content("<title>still here</title>")
    kill(first)
    pool.begin_test()
    assert page.title() == "still here"
    assert first.is_connected()
    assert pool.statistics().browsers == {"ready": 2}


def test_a_browser_that_nobody_closed_ends_with_the_pool(
    playwright: Playwright, launch: Callable[[], Browser]
) -> None:
    """close() ends every browser, and then the reaper, which had nothing to do."""
    sampler = Sampler()
    pool = WorkerPool(build(), sampler, None)
    processes = [process_of(pool.open(KEY, launch)) for _ in range(2)]
    [reaper] = pool.own_pids()
    pool.close()
    sampler.close()
    assert [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE] == []
    assert not psutil.pid_exists(reaper)
    assert pool.own_pids() == set()
    pool.close()


def test_a_reaper_that_was_killed_is_replaced(
    pool: WorkerPool, launch: Callable[[], Browser]
) -> None:
    """The next browser that is adopted finds out, and the new reaper is told of all."""
    first = pool.open(KEY, launch)
    [reaper] = pool.own_pids()
    os.kill(reaper, signal.SIGKILL)
    wait_until(
        lambda: psutil.Process(reaper).status() == psutil.STATUS_ZOMBIE, 10, "the reaper's end"
    )
    second = pool.open(KEY, launch)
    [another] = pool.own_pids()
    assert another != reaper
    first.close()
    second.close()


def test_failed_launches_open_the_breaker(pool: WorkerPool, playwright: Playwright) -> None:
    """Playwright's own words three times, then ours, at once."""

    def launch() -> Browser:
        return playwright.chromium.launch(executable_path="/bin/false")

    for _ in range(3):
        with pytest.raises(Error, match="Target page, context or browser has been closed"):
            pool.open(KEY, launch)
    with pytest.raises(BreakerOpen, match=r"exit code 1"):
        pool.open(KEY, launch)
    assert pool.statistics().launch_failures == 3
    assert pool.statistics().browsers == {}
    details = {happening.detail for happening in pool.take_happenings()}
    assert details == {"the browser process ended while starting (exit code 1)"}


def test_a_worn_browser_that_cannot_be_renewed_stays(playwright: Playwright) -> None:
    """The launch of its successor fails, and the holder never notices."""
    sampler = Sampler()
    pool = WorkerPool(build({"recycle_after": ("here", "1")}), sampler, None)
    broken = False

    def launch() -> Browser:
        return playwright.chromium.launch(executable_path="/bin/false" if broken else None)

    try:
        browser = pool.open(KEY, launch)
        before = process_of(browser)
        pool.end_test(used=True, passed=True)
        broken = True
        pool.begin_test()
        assert process_of(browser) == before
        broken = False
        pool.begin_test()
        assert process_of(browser) != before
        assert pool.statistics().launches == {"start": 1, "tests": 1}
        assert pool.statistics().launch_failures == 1
    finally:
        pool.close()
        sampler.close()


def test_closing_contexts_stays_as_it_was(pool: WorkerPool, launch: Callable[[], Browser]) -> None:
    """The bound on close() passes arguments on, and lets a second close be."""
    context = pool.open(KEY, launch).new_context()
    page = context.new_page()
    with pytest.raises(TypeError, match="nonsense"):
        context.close(nonsense=1)  # type: ignore[call-arg]
    context.close(reason="enough")
    assert page.is_closed()
    context.close()
