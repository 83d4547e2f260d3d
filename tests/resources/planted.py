# ruff: noqa: SIM115
"""Tests that leave something open, each beside one that does not.

A comment names what is left, at the line that has to be blamed for it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import sqlite3
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import async_playwright
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, Playwright

KEPT: list[Any] = []
THREADS: list[threading.Thread] = []
ENOUGH = threading.Event()


def wait() -> None:
    ENOUGH.wait(60)


# Contexts and what is in them


def test_leaves_context(browser: Browser) -> None:
    browser.new_context().new_page()  # leaves: context


def test_leaves_context_beside_page(page: Page, browser: Browser) -> None:
    page.set_content("<h1>page</h1>")
    browser.new_context()  # leaves: context


def test_closes_context(browser: Browser) -> None:
    with browser.new_context() as context:
        context.new_page()


@pytest.fixture
def returned(browser: Browser) -> BrowserContext:
    return browser.new_context()  # leaves: context


def test_leaves_context_of_fixture(returned: BrowserContext) -> None:
    returned.new_page()


def test_leaves_context_on_self(browser: Browser, request: pytest.FixtureRequest) -> None:
    request.node.kept = browser.new_context()  # leaves: context


def test_leaves_context_in_global(browser: Browser) -> None:
    KEPT.append(browser.new_context())  # leaves: context (held)


def test_closes_starting_clean(browser: Browser, shared: BrowserContext) -> None:
    # Not by what the browser lists: a suite that looks there may reach everything that is open.
    session = browser.new_browser_cdp_session()
    held = session.send("Target.getBrowserContexts")["browserContextIds"]
    session.detach()
    assert len(held) == len([KEPT[0], shared])
    KEPT[0].new_page().close()


def test_leaves_page(shared: BrowserContext) -> None:
    shared.new_page()  # leaves: page


def test_closes_page(shared: BrowserContext) -> None:
    shared.new_page().close()
    assert len(shared.pages) == 1  # that of the test before


def test_leaves_cdp_session(shared: BrowserContext, shared_page: Page) -> None:
    shared.new_cdp_session(shared_page)  # leaves: cdp-session


def test_closes_cdp_session(shared: BrowserContext, shared_page: Page) -> None:
    shared.new_cdp_session(shared_page).detach()


def test_leaves_handles(shared_page: Page) -> None:
    shared_page.query_selector("body")  # leaves: handle
    shared_page.evaluate_handle("window")  # leaves: handle


def test_closes_handles(shared_page: Page) -> None:
    shared_page.evaluate_handle("window").dispose()
    shared_page.wait_for_selector("body")


def test_leaves_request_context(playwright: Playwright) -> None:
    playwright.request.new_context()  # leaves: request-context


def test_closes_request_context(playwright: Playwright) -> None:
    playwright.request.new_context().dispose()


# Browsers and drivers


def test_leaves_browser(launch_browser: Callable[[], Browser]) -> None:
    launch_browser().new_page()  # leaves: browser


def test_closes_browser(launch_browser: Callable[[], Browser]) -> None:
    launch_browser().close()


def test_leaves_persistent_context(
    browser_type: BrowserType, browser_type_launch_args: dict[str, Any], tmp_path: Path
) -> None:
    browser_type.launch_persistent_context(  # leaves: browser
        tmp_path / "profile", **browser_type_launch_args
    )


def _run_driver(ready: threading.Event, until: threading.Event) -> None:
    async def drive() -> None:
        async with async_playwright():
            ready.set()
            await asyncio.to_thread(until.wait, 60)

    asyncio.run(drive())  # leaves: driver


def test_leaves_driver() -> None:
    ready = threading.Event()
    THREADS.append(threading.Thread(target=_run_driver, args=(ready, ENOUGH)))
    THREADS[-1].start()  # leaves: thread
    assert ready.wait(60)


def test_closes_driver() -> None:
    ready, until = threading.Event(), threading.Event()
    thread = threading.Thread(target=_run_driver, args=(ready, until))
    thread.start()
    assert ready.wait(60)
    until.set()
    thread.join()


# What is registered on wider objects


def test_leaves_routes(shared: BrowserContext, shared_page: Page) -> None:
    shared.route("**/x", lambda route: route.abort())  # leaves: route
    shared_page.route("**/y", lambda route: route.abort())  # leaves: route
    shared_page.route_web_socket("**/z", lambda route: None)  # leaves: route


def test_closes_routes(shared: BrowserContext, page: Page) -> None:
    def abort(route: Any) -> None:
        route.abort()

    shared.route("**/x", abort)
    shared.unroute("**/x", abort)
    page.route("**/x", abort)


def test_leaves_bindings(shared: BrowserContext, shared_page: Page) -> None:
    shared.expose_binding("one", lambda source: None)  # leaves: binding
    shared_page.expose_function("two", lambda: None)  # leaves: binding


def test_closes_bindings(page: Page) -> None:
    page.expose_function("three", lambda: None)


def see(anything: Any) -> None:
    """Do nothing."""


def test_leaves_listeners(browser: Browser, shared: BrowserContext, shared_page: Page) -> None:
    shared_page.on("request", see)  # leaves: listener
    shared.once("page", lambda page: None)  # leaves: listener
    browser.on("disconnected", see)  # leaves: listener


def test_closes_listeners(shared: BrowserContext, shared_page: Page, page: Page) -> None:
    shared_page.on("response", see)
    shared_page.remove_listener("response", see)
    shared.once("page", lambda page: None)
    shared.new_page().close()
    page.on("request", see)


def test_leaves_tracing(shared: BrowserContext) -> None:
    shared.tracing.start()  # leaves: tracing


def test_closes_tracing(shared: BrowserContext, context: BrowserContext) -> None:
    shared.tracing.stop()
    shared.tracing.start()
    shared.tracing.stop()
    context.tracing.start()


# The process


def test_leaves_thread() -> None:
    THREADS.append(threading.Thread(target=wait, name="poller"))
    THREADS[-1].start()  # leaves: thread


def test_leaves_timer() -> None:
    THREADS.append(threading.Timer(0.6, wait))
    THREADS[-1].start()  # leaves: thread


def test_closes_thread() -> None:
    threading.Timer(0.1, wait).cancel()
    threading.Timer(0.1, int).start()


def test_leaves_files(tmp_path: Path) -> None:
    KEPT.append((tmp_path / "x").open("w"))  # leaves: descriptor
    KEPT.append(tempfile.TemporaryFile())  # leaves: descriptor
    KEPT.append(os.fdopen(os.open(tmp_path / "y", os.O_CREAT)))  # leaves: descriptor


def test_closes_files(tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as file:
        file.write("x")


def test_leaves_linked_file(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    KEPT.append((tmp_path / "link" / "x").open("w"))  # leaves: descriptor


def test_leaves_database(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "x.db")  # leaves: descriptor
    database.execute("pragma journal_mode = wal")
    database.execute("create table t (a)")
    KEPT.append(database)


def test_leaves_sockets() -> None:
    KEPT.append(socket.socket())  # leaves: descriptor
    KEPT.extend(socket.socketpair())  # leaves: descriptor


def test_closes_sockets() -> None:
    for one in socket.socketpair():
        one.close()


def test_leaves_loop() -> None:
    KEPT.append(asyncio.new_event_loop())  # leaves: descriptor


def test_leaves_pipe() -> None:
    KEPT.extend(map(os.fdopen, os.pipe()))  # leaves: descriptor


def test_closes_pipe() -> None:
    for end in os.pipe():
        os.close(end)


def test_leaves_process() -> None:
    command = ["sleep", "60"]
    KEPT.append(subprocess.Popen(command, stdout=subprocess.PIPE))  # leaves: process


def test_closes_process() -> None:
    subprocess.run(["true"], stdout=subprocess.PIPE, check=True)


def test_leaves_zombie() -> None:
    process = subprocess.Popen(["true"])  # leaves: zombie
    KEPT.append(process)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)


def test_leaves_fork() -> None:
    pid = os.fork()  # leaves: process
    if not pid:
        ENOUGH.wait(60)
        os._exit(0)
    KEPT.append(pid)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_leaves_multiprocessing(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=wait, daemon=True)
    process.start()  # leaves: process
    KEPT.append(process)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_closes_multiprocessing(method: str) -> None:
    context: Any = multiprocessing.get_context(method)
    process = context.Process(target=int)
    process.start()
    process.join()


@pytest.mark.allow_leak("context", reason="the chat keeps its window")
@pytest.mark.allow_leak("thread", reason="and its poller")
def test_closes_all_but_what_it_may(browser: Browser) -> None:
    browser.new_context()
    THREADS.append(threading.Thread(target=wait))
    THREADS[-1].start()


@pytest.mark.allow_leak("page", reason="of no use")
def test_leaves_another_kind(browser: Browser) -> None:
    browser.new_context()  # leaves: context
