"""What belongs to a real headless Chromium, whoever else runs on the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, Playwright

from pytest_sentinel.memory import ownpages
from pytest_sentinel.memory.ownpages import own_memory
from pytest_sentinel.memory.processes import read_memory, tree
from pytest_sentinel.units import MIB
from tests.browser.test_processes import processes_of

pytestmark = pytest.mark.browser


@contextmanager
def opened(playwright: Playwright) -> Iterator[Page]:
    """A browser with one page that has been drawn, so that all its processes are there."""
    browser = playwright.chromium.launch()
    page = browser.new_page()
    page.screenshot()
    yield page
    browser.close()


def pids(page: Page) -> list[int]:
    """Return the processes of the page's browser."""
    browser = page.context.browser
    assert isinstance(browser, Browser)
    [root] = processes_of(browser)["browser"]
    return tree(root)


def at_rest(page: Page) -> list[int]:
    """Return the processes whose memory stands still while the page does nothing.

    The GPU process gives some 8 MiB back 5 s after it has drawn, whoever else runs; on a busy
    machine that falls into any test.
    """
    browser = page.context.browser
    assert isinstance(browser, Browser)
    return [pid for pid in pids(page) if pid not in processes_of(browser)["GPU"]]


def steady(read: Callable[[], int], page: Page) -> int:
    """Return the reading, once two in a row agree within 1 MiB."""
    before, now = -MIB, read()
    for _ in range(50):
        if abs(now - before) < MIB:
            return now
        page.wait_for_timeout(50)
        before, now = now, read()
    raise AssertionError(f"it never came to rest: {now}")


def test_another_browser_moves_pss_and_not_what_belongs_to_this_one(
    playwright: Playwright,
) -> None:
    """A second browser shares the executable's pages; the first one's own memory stands still."""
    with opened(playwright) as page:
        own = steady(lambda: own_memory(at_rest(page)), page)
        with ExitStack() as others:
            others.enter_context(opened(playwright))
            assert abs(steady(lambda: own_memory(at_rest(page)), page) - own) < 4 * MIB
        assert abs(steady(lambda: own_memory(at_rest(page)), page) - own) < 4 * MIB

        reading = read_memory(at_rest(page))
        assert reading is not None
        # What is shared counts fully in each RSS, and in PSS by the number of all who share it:
        # the more browsers this machine runs, the closer PSS comes to what is a browser's own.
        resident = sum(psutil.Process(pid).memory_info().rss for pid in at_rest(page))
        assert own < reading.pss - MIB
        assert own < resident - 10 * MIB


def test_what_a_page_allocates_belongs_to_it(playwright: Playwright) -> None:
    """100 MiB in a page are 100 MiB more of the browser's own."""
    with opened(playwright) as page:
        before = steady(lambda: own_memory(pids(page)), page)
        page.evaluate("window.held = new Uint8Array(100 * 2**20).fill(1); 0")
        after = own_memory(pids(page))

    assert 99 * MIB < after - before < 110 * MIB


def test_a_process_that_is_gone_holds_nothing() -> None:
    """A pid that nobody has counts for nothing, beside those that are there."""
    unused = int(Path("/proc/sys/kernel/pid_max").read_text()) + 1

    assert own_memory([unused]) == 0
    assert own_memory([os.getpid(), unused]) > MIB


def test_a_kernel_that_does_not_tell_leaves_the_pss(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the line about files, all of PSS counts as the process's own."""
    line = re.compile(rb"^(Pss): +(\d+) kB", re.MULTILINE)
    monkeypatch.setattr(ownpages, "_LINE", line)

    reading = read_memory([os.getpid()])
    assert reading is not None
    assert own_memory([os.getpid()]) == pytest.approx(reading.pss, rel=0.05)
