"""Suites go on in the second step with what the first one left, wherever they have kept it."""

from __future__ import annotations

import builtins
import contextvars
import functools
import http.server
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

KEPT: dict[str, Any] = {}
LOCAL = threading.local()
VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("kept")
ENOUGH = threading.Event()


def open_page(browser: Browser) -> Page:
    page = browser.new_context().new_page()
    page.set_content("<h1>one</h1>")
    return page


def is_step_one(page: Page) -> bool:
    return page.inner_text("h1") == "one"


# Where it is kept


class Kept:
    page: Any = None

    def __init__(self, page: Page | None = None) -> None:
        self.own = page


def closure() -> tuple[Callable[[Any], None], Callable[[], Any]]:
    kept = None

    def put(page: Any) -> None:
        nonlocal kept
        kept = page

    return put, lambda: kept


def by_default(page: Any = None, kept: list[Any] = []) -> Any:  # noqa: B006
    kept.append(page)
    return kept[0]


@functools.cache
def cached() -> list[Any]:
    return []


@pytest.fixture
def of_a_fixture(kept: list[Any] = []) -> list[Any]:  # noqa: B006
    return kept


def put_into(holder: Any, name: str = "stepwise") -> Callable[[Any], None]:
    return lambda page: setattr(holder, name, page)


PUT, GET = closure()
DEEP = {number: {"number": number} for number in range(60_000)}
HOLDERS: dict[str, tuple[Callable[[Any, Any], None], Callable[[Any], Any]]] = {
    "global": (lambda page, request: KEPT.update(page=page), lambda request: KEPT["page"]),
    "class": (lambda page, request: put_into(Kept, "page")(page), lambda request: Kept.page),
    "object": (
        lambda page, request: KEPT.update(object=Kept(page)),
        lambda request: KEPT["object"].own,
    ),
    "closure": (lambda page, request: PUT(page), lambda request: GET()),
    "default": (lambda page, request: by_default(page), lambda request: by_default()),
    "cache": (lambda page, request: cached().append(page), lambda request: cached()[0]),
    "variable": (lambda page, request: VARIABLE.set(page), lambda request: VARIABLE.get()),  # type: ignore[arg-type, return-value]
    "local": (lambda page, request: put_into(LOCAL)(page), lambda request: LOCAL.stepwise),
    "builtins": (
        lambda page, request: put_into(builtins)(page),
        lambda request: builtins.stepwise,  # type: ignore[attr-defined]
    ),
    "pytest": (
        lambda page, request: put_into(pytest)(page),
        lambda request: pytest.stepwise,  # type: ignore[attr-defined]
    ),
    "config": (
        lambda page, request: put_into(request.config)(page),
        lambda request: request.config.stepwise,
    ),
    "session": (
        lambda page, request: put_into(request.session)(page),
        lambda request: request.session.stepwise,
    ),
    "module": (
        lambda page, request: put_into(request.node.parent)(page),
        lambda request: request.node.parent.stepwise,
    ),
    "plugin": (
        lambda page, request: request.config.pluginmanager.register(Kept(page), "kept"),
        lambda request: request.config.pluginmanager.getplugin("kept").own,
    ),
    "finalizer": (
        lambda page, request: request.session.addfinalizer(page.close),
        lambda request: next(
            call.__self__
            for call in request.session._setupstate.stack[request.session][0]
            if isinstance(getattr(call, "__self__", None), Page)
        ),
    ),
    "fixture": (
        lambda page, request: request.getfixturevalue("of_a_fixture").append(page),
        lambda request: request.getfixturevalue("of_a_fixture")[0],
    ),
    "wider fixture": (
        lambda page, request: request.getfixturevalue("shelf").append(page),
        lambda request: request.getfixturevalue("shelf")[0],
    ),
    "much": (
        lambda page, request: DEEP[59_999].update(page=page),
        lambda request: DEEP[59_999]["page"],
    ),
    "locator": (
        lambda page, request: KEPT.update(locator=page.locator("h1")),
        lambda request: KEPT["locator"].page,
    ),
    "keyboard": (
        lambda page, request: KEPT.update(keyboard=page.keyboard, frame=page.main_frame),
        lambda request: KEPT["frame"].page,
    ),
    "method": (
        lambda page, request: KEPT.update(method=page.inner_text),
        lambda request: KEPT["method"].__self__,
    ),
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("step", [1, 2])
def test_kept(holder: str, step: int, browser: Browser, request: pytest.FixtureRequest) -> None:
    put, get = HOLDERS[holder]
    if step == 1:
        put(open_page(browser), request)
    else:
        assert is_step_one(get(request))


# What is kept


def open_popup(browser: Browser, shared: BrowserContext, path: Path) -> Page:
    page = shared.new_page()
    with page.expect_popup() as opened:
        page.evaluate("open('about:blank').document.write('<h1>one</h1>')")
    return opened.value


def open_event(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    page = browser.new_page()
    with page.expect_popup() as opened:
        page.evaluate("open('about:blank').document.write('<h1>one</h1>')")
    return opened


def open_browser(browser: Browser, shared: BrowserContext, path: Path) -> Page:
    return open_page(browser.browser_type.launch())


def open_profile(browser: Browser, shared: BrowserContext, path: Path) -> Page:
    page = browser.browser_type.launch_persistent_context(path / "profile").pages[0]
    page.set_content("<h1>one</h1>")
    return page


def open_session(browser: Browser, shared: BrowserContext, path: Path) -> Page:
    page = shared.new_page()
    session = shared.new_cdp_session(page)
    session.send("Emulation.setScriptExecutionDisabled", {"value": True})
    return page


def open_requests(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    return KEPT["playwright"].request.new_context()


def register(browser: Browser, shared: BrowserContext, path: Path) -> Page:
    page = shared.new_page()
    page.route("**/x", lambda route: route.fulfill(body="<h1>one</h1>", content_type="text/html"))
    page.expose_function("answer", lambda: 42)
    page.on("console", lambda message: KEPT.setdefault("said", []).append(message.text))
    return page


def is_registered(page: Page) -> bool:
    page.goto("http://127.0.0.1:9/x")
    page.evaluate("console.log('heard')")
    return is_step_one(page) and page.evaluate("answer()") == 42 and KEPT["said"] == ["heard"]


def serve(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def answers(server: Any) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/") as answer:
        return bool(answer.status == 204)


def wait_in_a_process(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    return subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)


def trace(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    shared.tracing.start()
    return shared


def start_thread(browser: Browser, shared: BrowserContext, path: Path) -> Any:
    thread = threading.Thread(target=ENOUGH.wait, daemon=True)
    thread.start()
    return thread


Opened = Callable[[Browser, BrowserContext, Path], Any]
KINDS: dict[str, tuple[Opened, Callable[[Any], object]]] = {
    "page": (lambda browser, shared, path: open_page(browser), is_step_one),
    "context": (
        lambda browser, shared, path: browser.new_context(),
        lambda kept: kept.new_page().close() is None,
    ),
    "popup": (open_popup, is_step_one),
    "event": (open_event, lambda opened: is_step_one(opened.value)),
    "browser": (open_browser, is_step_one),
    "profile": (open_profile, is_step_one),
    "requests": (open_requests, lambda requests: requests.storage_state()),
    "registered": (register, is_registered),
    "traced": (trace, lambda shared: shared.tracing.stop() is None),
    "thread": (start_thread, lambda thread: thread.is_alive()),
    "process": (wait_in_a_process, lambda process: process.poll() is None),
    "server": (serve, answers),
    "file": (
        lambda browser, shared, path: (path / "file").open("w"),
        lambda file: file.write("x"),
    ),
    "directory": (
        lambda browser, shared, path: tempfile.TemporaryDirectory(),
        lambda directory: Path(directory.name).exists(),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", [1, 2])
def test_kind(
    kind: str, step: int, browser: Browser, shared: BrowserContext, playwright: Any, tmp_path: Path
) -> None:
    KEPT["playwright"] = playwright
    open_it, check = KINDS[kind]
    if step == 1:
        KEPT[kind] = open_it(browser, shared, tmp_path)
    else:
        assert check(KEPT[kind])


# What is kept by the browser alone


def test_page_1(shared: BrowserContext) -> None:
    shared.new_page().set_content("<h1>last</h1>")


def test_page_2(shared: BrowserContext) -> None:
    assert shared.pages[-1].inner_text("h1") == "last"


def test_session_1(shared: BrowserContext) -> None:
    page = shared.new_page()
    page.set_content("<h1>two</h1>")
    emulate = shared.new_cdp_session(page).send
    emulate("Emulation.setUserAgentOverride", {"userAgent": "step one"})


def test_session_2(shared: BrowserContext) -> None:
    assert shared.pages[-1].evaluate("navigator.userAgent") == "step one"


@pytest.fixture(scope="module")
def opened(browser: Browser) -> list[Any]:
    return []


def test_opened_1(opened: list[Any], browser: Browser) -> None:
    opened.append(open_page(browser).locator("h1"))


def test_opened_2(opened: list[Any]) -> None:
    assert opened[0].inner_text() == "one"
