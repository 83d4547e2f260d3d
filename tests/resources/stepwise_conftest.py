"""Wider fixtures of step-wise suites, and the end of all that these start."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext


@pytest.fixture(scope="session")
def shared(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture(scope="session")
def shelf() -> list[Any]:
    return []


@pytest.fixture(scope="session", autouse=True)
def sweeper(browser: Browser) -> Iterator[None]:
    yield
    kept = vars(sys.modules["test_stepwise"])["KEPT"]
    kept["process"].communicate(b"\n")
    kept["server"].shutdown()
    kept["server"].server_close()
    kept["file"].close()
