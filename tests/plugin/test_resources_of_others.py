"""Nobody is accused of what is a library's, or of what went with a browser that died."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugin.leftovers import blamed, lay, run
from tests.runs import Scratch

pytestmark = pytest.mark.browser

# Libraries

LIBRARY = """
import http.server
import threading

import pytest
import requests

KEPT = []


@pytest.fixture(scope="session")
def url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    for session in KEPT:
        session.close()
    server.shutdown()
    server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.mark.parametrize("number", range(12))
def test_session(url, number):
    KEPT.append(requests.Session())
    assert KEPT[-1].get(url).ok
"""


def test_a_library_is_accused_when_it_keeps_more_and_more(tmp_path: Path) -> None:
    """A connection that a library keeps is its own affair; the tenth that nobody closed is not."""
    suite = lay(tmp_path / "suite", test_library=LIBRARY)

    ran = run(suite)

    line = LIBRARY.splitlines().index("    assert KEPT[-1].get(url).ok") + 1
    left = [blamed(attempt.leaks) for attempt in ran.attempts()]
    assert left[:9] == [[]] * 9
    assert left[9:11] == [[("descriptor", line)]] * 2


# Browsers that die or are renewed

DYING = """
import threading

OPEN = []


def test_killed(page, browser, kill, once):
    context = browser.new_context()
    page.on("request", lambda request: None)
    if once():
        OPEN.append(open(__file__))
        threading.Thread(target=threading.Event().wait, args=(5,), daemon=True).start()
        kill()
        context.new_page()
    context.close()


@pytest.fixture(scope="module")
def held(browser):
    with browser.new_context() as context:
        yield context.new_page()


def test_held(held, kill, once):
    held.on("request", lambda request: None) if once("first") else None
    if once("held"):
        kill()
        held.set_content("x")


def test_killed_for_good(page, browser, kill):
    browser.new_context()
    kill()
    page.set_content("x")


def test_extra(launch_browser, pid_of, browser):
    extra = launch_browser()
    extra.new_page()
    os.kill(pid_of(extra), signal.SIGKILL)
    browser.new_page().close()


def test_after(page):
    page.set_content("x")
"""
RENEWED = """
@pytest.fixture(scope="class", params=[1, 2])
def held(browser, request):
    with browser.new_context() as context:
        yield context.new_page()


class TestHeld:
    def test_held(self, held):
        held.set_content("x")


@pytest.mark.parametrize("number", range(8))
def test_page(page, number):
    page.set_content("x")


@pytest.mark.fresh_browser
@pytest.mark.parametrize("number", range(2))
def test_fresh(page, browser, number):
    browser.new_page().close()
"""


def test_a_dead_browser_leaves_nothing(pytester: pytest.Pytester) -> None:
    """What went with a crashed browser, or with an attempt that is repeated, is no leak."""
    scratch = Scratch(pytester, DYING)

    ran = scratch.run()

    ran.assert_outcomes(passed=4, failed=1)
    assert [attempt.outcome for attempt in scratch.attempts("killed[")] == ["crashed", "passed"]
    assert [attempt.nodeid for attempt in scratch.attempts() if attempt.leaks] == []


def test_a_renewed_browser_leaves_nothing(pytester: pytest.Pytester) -> None:
    """Recycled browsers, and those that a test has for itself, are nobody's leak."""
    scratch = Scratch(pytester, RENEWED)

    ran = scratch.run("--sentinel-recycle-after=3", "--sentinel-leaks=error")

    ran.assert_outcomes(passed=12)
    assert "recycled" in ran.stdout.str()
    assert [attempt.nodeid for attempt in scratch.attempts() if attempt.leaks] == []
