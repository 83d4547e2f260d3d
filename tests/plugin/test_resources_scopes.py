"""Nobody is accused of what is another's: a wider fixture's, a library's, a dead browser's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.leftovers import blamed, lay, planted, run
from tests.runs import CACHE, OPTIONS, Scratch

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_clean_suite_is_not_accused(tmp_path: Path, workers: int) -> None:
    """500 tests with fixtures of every scope, which open late and hold long, leave nothing."""
    suite = lay(
        tmp_path / "suite",
        conftest="clean_conftest.py",
        test_pages="clean_pages.py",
        test_plain="clean_plain.py",
    )

    ran = run(suite, "--sentinel-leaks=error", "-n", str(workers), "-W", "error::ResourceWarning")

    accused = {name: leftovers for name, leftovers in ran.left().items() if leftovers}
    assert accused == {}
    assert ran.status == 0, ran.stdout
    assert len(ran.attempts()) >= 500


@pytest.mark.parametrize("workers", [0, 2])
def test_the_larder_is_not_accused(tmp_path: Path, workers: int) -> None:
    """The end-to-end tests of the larder, as they are, leave nothing."""
    record = f"--sentinel-record={tmp_path}"
    options = ("--sentinel-leaks=error", record, "-n", str(workers), "--basetemp", tmp_path / "b")
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *OPTIONS, *options, "tests/e2e/test_meals.py", "-q"],
        cwd=ROOT,
        env={**environment, "XDG_CACHE_HOME": CACHE},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout
    assert "left open" not in ran.stdout


# Wider fixtures that end

SESSION = """
import pytest


@pytest.fixture(scope="session")
def session_context(browser):
    return browser.new_context()  # leaves: context


@pytest.fixture(scope="session")
def session_page(session_context):
    page = session_context.new_page()
    page.on("request", lambda request: None)
    return page
"""
WIDE = """
import threading

import pytest

ENOUGH = threading.Event()


@pytest.fixture(scope="module")
def module_context(browser):
    context = browser.new_context()  # leaves: context
    context.new_page()
    yield context


@pytest.fixture(scope="module")
def noisy(session_page):
    session_page.on("request", lambda request: None)  # leaves: listener
    session_page.route("**/x", lambda route: None)  # leaves: route


@pytest.fixture(scope="class")
def class_page(session_context):
    return session_context.new_page()  # leaves: page


@pytest.fixture(scope="module")
def started():
    thread = threading.Thread(target=ENOUGH.wait, daemon=True)
    thread.start()  # leaves: thread


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    yield (tmp_path_factory.mktemp("wide") / "file").open("w")  # leaves: descriptor


class People:
    def __init__(self, browser):
        self.browser = browser
        self.known = []

    def invite(self):
        self.known.append(self.browser.new_context())  # leaves: context

    def meet(self):
        return self.browser.new_context()  # leaves: context


@pytest.fixture(scope="module")
def people(browser):
    return People(browser)


@pytest.fixture(scope="module")
def make(browser):
    return lambda: browser.new_context()  # leaves: context


@pytest.fixture(scope="module")
def registry():
    return []


class TestClass:
    def test_page(self, class_page):
        class_page.set_content("x")


def test_one(module_context, noisy, started, file, people, make, registry, browser):
    people.invite()
    people.meet().new_page()
    make()
    registry.append(browser.new_context())  # leaves: context


def test_two(module_context, people):
    module_context.pages[0].set_content("x")
    people.known[0].new_page().set_content("x")
"""
NEXT = "def test_next(session_page): session_page.set_content('x')\n"


def test_what_wider_fixtures_leave_is_told_when_they_end(tmp_path: Path) -> None:
    """Their leftovers belong to the test after which they ended; the browser's own are none."""
    suite = lay(tmp_path / "suite", conftest=SESSION, test_a=WIDE, test_b=NEXT)

    ran = run(suite)

    leaks = planted(suite / "test_a.py")
    of_class = leaks.pop("class_page")
    left = {name: blamed(leftovers) for name, leftovers in ran.left().items()}
    assert ran.status == 0, ran.stdout
    assert left == {
        "test_page": of_class,
        "test_one": [],
        "test_two": sorted(entry for entries in leaks.values() for entry in entries),
        "test_next": planted(suite / "conftest.py")["session_context"],
    }


def test_a_wider_fixture_can_fail_the_run(tmp_path: Path) -> None:
    """Under ``error`` the test after which it ended is LEAKED; a marker of the module allows it."""
    suite = lay(tmp_path / "suite", conftest=SESSION, test_a=WIDE, test_b=NEXT)
    allowed = "".join(
        f"    pytest.mark.allow_leak({kind!r}, reason='wide'),\n"
        for kind in ("context", "listener", "route", "thread", "page")
    )
    (suite / "test_a.py").write_text(f"{WIDE}\npytestmark = [\n{allowed}]\n")

    ran = run(suite, "--sentinel-leaks=error")

    assert ran.status == 1
    assert "fixtures that ended with the test left 1 open:\n  descriptor " in ran.stdout
    assert "\nLEAKED test_a.py::test_two[chromium] - descriptor " in ran.stdout
    assert "\nLEAKED test_b.py::test_next[chromium] - context " in ran.stdout
    assert "2 failed, 4 passed" in ran.stdout


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
