"""Wider fixtures for the planted leaks, and the end of all that these start."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def shared_page(shared: BrowserContext) -> Page:
    return shared.new_page()


@pytest.fixture(scope="session", autouse=True)
def sweeper(browser: Browser) -> Iterator[None]:
    yield
    # Before the driver ends: it waits for forks of this process, which have its pipes as well.
    planted: Any = sys.modules["test_planted"]
    planted.ENOUGH.set()
    for one in planted.KEPT:
        if isinstance(one, int):
            os.kill(one, signal.SIGKILL)
            os.waitpid(one, 0)
        elif hasattr(one, "kill"):
            one.kill()
            getattr(one, "join", getattr(one, "wait", None))()
        else:
            one.close()
    for thread in planted.THREADS:
        thread.join()
