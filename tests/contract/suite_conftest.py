"""The conftest of the contract suite: fixtures that many pytest-playwright users have written.

The files of this directory are one user's suite. It is never collected here: tests/plugin/compat.py
copies it away, this file as conftest.py, and runs it with and without the plugin. Nothing in it
may know that the plugin exists.
"""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page


class Silent(http.server.SimpleHTTPRequestHandler):
    """Serve files, and keep quiet about it."""

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(scope="session", autouse=True)
def all_workers_have_begun(
    delete_output_dir: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Wait for the other workers: each one wipes the artifacts when it begins, upstream's way."""
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    place = tmp_path_factory.getbasetemp().parent / "begun"
    place.mkdir(exist_ok=True)
    (place / os.environ["PYTEST_XDIST_WORKER"]).touch()
    never = threading.Event()
    for _ in range(1200):
        if len(list(place.iterdir())) == workers:
            return
        never.wait(0.05)
    raise TimeoutError("a worker did not begin")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server on loopback with two pages and a file to download."""
    root = tmp_path_factory.mktemp("site")
    (root / "index.html").write_text("<title>Index</title><a href=file.bin download>file</a>")
    (root / "other.html").write_text("<title>Other</title>")
    (root / "file.bin").write_bytes(b"0123456789")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(root)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def module_context(browser: Browser, browser_context_args: dict[str, Any]) -> Iterator[Any]:
    """One context for the tests of a module."""
    context = browser.new_context(**browser_context_args)
    yield context
    context.close()


@pytest.fixture(scope="session")
def logged_in_state(browser: Browser, site: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage state, made once, as suites do with their login."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(site)
    page.evaluate("localStorage.setItem('token', 'abc'); document.cookie = 'user=ada'")
    file = tmp_path_factory.mktemp("state") / "state.json"
    context.storage_state(path=file)
    context.close()
    return file


@pytest.fixture
def german(new_context: Callable[..., BrowserContext]) -> Page:
    """A page in German."""
    return new_context(locale="de-DE").new_page()
