"""What pytest-playwright lets its users override, and what it says when things go wrong."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from pytest_sentinel.driver import Memory, expected_entries, find_driver
from tests.plugin.compat import EVERYTHING, assert_same, clean_environment, lay, run_both

pytestmark = pytest.mark.browser

# Each in a directory of its own, beside each other in one suite.
PAGES = {
    "session_context": """
        import pytest

        @pytest.fixture(scope="session")
        def context(browser, browser_context_args):
            context = browser.new_context(**browser_context_args, locale="de-DE")
            yield context
            context.close()

        @pytest.fixture(scope="session")
        def page(context):
            return context.new_page()
    """,
    "persistent_context": """
        import pytest

        @pytest.fixture(scope="session")
        def context(browser_type, browser_type_launch_args, browser_context_args, tmp_path_factory):
            context = browser_type.launch_persistent_context(
                tmp_path_factory.mktemp("profile"),
                **{**browser_type_launch_args, **browser_context_args, "locale": "de-DE"},
            )
            yield context
            context.close()
    """,
    "more_on_the_page": """
        import pytest

        @pytest.fixture
        def page(page):
            page.set_default_timeout(5000)
            yield page
            page.close()

        @pytest.fixture
        def browser_context_args(browser_context_args):
            return {**browser_context_args, "locale": "de-DE"}
    """,
    "browser_for_each_test": """
        import pytest

        @pytest.fixture
        def browser(launch_browser):
            browser = launch_browser()
            yield browser
            browser.close()

        @pytest.fixture
        def browser_context_args():
            return {"locale": "de-DE"}
    """,
}

# Each the only conftest of a suite: they change the one browser of the session.
BROWSERS = {
    "launch-arguments-without-chaining": """
        import pytest

        @pytest.fixture(scope="session")
        def browser_type_launch_args():
            return {"args": ["--lang=de"], "timeout": 20_000}

        @pytest.fixture(scope="session")
        def browser_context_args():
            return {"locale": "de-DE"}
    """,
    "launch-browser": """
        import pytest

        @pytest.fixture(scope="session")
        def launch_browser(browser_type, browser_type_launch_args):
            def launch(**more):
                browser = browser_type.launch(**browser_type_launch_args, **more)
                browser.mine = "mine"
                return browser
            return launch

        @pytest.fixture
        def browser_context_args(browser, browser_context_args):
            assert browser.mine == "mine"
            return {**browser_context_args, "locale": "de-DE"}
    """,
    "launch-browser-chained": """
        import pytest

        @pytest.fixture(scope="session")
        def launch_browser(launch_browser):
            return lambda **more: launch_browser(args=["--lang=de"], **more)

        @pytest.fixture
        def browser_context_args(browser_context_args):
            return {**browser_context_args, "locale": "de-DE"}
    """,
}

GERMAN = """
def test_language(page):
    page.goto("data:text/html,<h1>eins</h1>")
    assert page.evaluate("navigator.language") == "de-DE"

def test_once_more(page):
    page.goto("data:text/html,<h1>zwei</h1>")
    assert page.text_content("h1") == "zwei"
"""


def test_pages_and_contexts_that_are_overridden(tmp_path: Path) -> None:
    """Contexts and pages of a user's own making work as they did, in whatever scope."""
    files = {f"{name}/conftest.py": dedent(conftest) for name, conftest in PAGES.items()}
    files |= {f"{name}/test_{name}.py": GERMAN for name in PAGES}
    suite = lay(tmp_path / "suite", files)

    plain, sentinel = run_both(suite)

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"passed": 8}


@pytest.mark.parametrize("conftest", BROWSERS.values(), ids=BROWSERS)
def test_browsers_that_are_overridden(tmp_path: Path, conftest: str) -> None:
    """A conftest that launches browsers in its own way beats the plugin's."""
    suite = lay(tmp_path / "suite", {"conftest.py": dedent(conftest), "test_it.py": GERMAN})

    plain, sentinel = run_both(suite)

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"passed": 2}


@pytest.fixture
def playwright_server() -> Iterator[str]:
    """The address of a ``playwright run-server`` on loopback."""
    server = subprocess.Popen(
        [sys.executable, "-m", "playwright", "run-server", "--host", "127.0.0.1"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    yield server.stdout.readline().rpartition(" ")[2].strip()
    # Python's part of it ends without a word to the Node.js that serves.
    os.killpg(server.pid, signal.SIGTERM)
    server.wait()
    server.stdout.close()


def test_connect_options_go_to_upstream(tmp_path: Path, playwright_server: str) -> None:
    """A browser that is connected to is the user's: it is used, and neither watched nor counted."""
    conftest = f"""
import pytest

@pytest.fixture(scope="session")
def connect_options():
    return {{"endpoint": {playwright_server!r}}}
"""
    test = """
from playwright.sync_api import Error
import pytest

def test_connected(page, context):
    page.set_content("<a href='data:application/octet-stream,x' download=x>file</a>")
    with page.expect_download() as download:
        page.click("a")
    with pytest.raises(Error, match="remotely"):
        download.value.path()

def test_again(page):
    assert page.evaluate("1 + 1") == 2
"""
    suite = lay(tmp_path / "suite", {"conftest.py": conftest, "test_it.py": test})

    plain, sentinel = run_both(suite)

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"passed": 2}
    assert "launched" not in sentinel.stdout


def test_connect_options_to_nobody(tmp_path: Path) -> None:
    """A server that is not there fails as upstream words it."""
    conftest = """
import pytest

@pytest.fixture(scope="session")
def connect_options():
    return {"endpoint": "ws://127.0.0.1:9"}
"""
    suite = lay(tmp_path / "suite", {"conftest.py": conftest, "test_it.py": GERMAN})

    plain, sentinel = run_both(suite)

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"error": 2}
    assert "ECONNREFUSED" in sentinel.stdout


def is_installed(engine: str) -> bool:
    """Tell whether Playwright has a browser of this engine here."""
    driver = find_driver(os.environ)
    assert driver is not None
    return bool(expected_entries(driver, os.environ, Memory(None))[engine].installed())


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--browser-channel", "no-such"), "Unsupported chromium channel"),
        (("--browser", "firefox"), "Executable doesn't exist"),
        (("--browser", "no-such"), "invalid choice"),
        (("--playwright-debug=cli",), "requires disabled output capture"),
        (("--playwright-debug=cli", "-s", "-n", "2"), "requires a single worker"),
    ],
)
def test_errors_keep_their_words(tmp_path: Path, options: tuple[str, ...], says: str) -> None:
    """What upstream cannot do, it says in its own words."""
    if "firefox" in options and is_installed("firefox"):
        pytest.skip("Playwright's Firefox is installed")
    suite = lay(tmp_path / "suite", {"test_it.py": "def test_one(page):\n    pass\n"})

    plain, sentinel = run_both(suite, *options)

    assert sentinel.reports == plain.reports
    assert sentinel.status == plain.status != 0
    assert says in plain.stdout + plain.stderr
    assert says in sentinel.stdout + sentinel.stderr


def test_several_engines_keep_their_ids_and_order(tmp_path: Path) -> None:
    """Two engines give every browser test two ids, grouped by engine, as upstream orders them."""
    test = """
import pytest

@pytest.fixture
def page(page):
    return page

@pytest.mark.parametrize("number", [1, 2])
def test_page(page, number):
    pass

@pytest.mark.skip_browser("firefox")
def test_other(context):
    pass

def test_plain():
    pass
"""
    suite = lay(tmp_path / "suite", {"test_a.py": test, "test_b.py": test})
    options = ("--collect-only", "-q", "--browser", "chromium", "--browser", "firefox")

    plain, sentinel = run_both(suite, *options)

    assert "test_a.py::test_page[firefox-2]" in plain.stdout
    ids = [line for line in plain.stdout.splitlines() if "::" in line]
    assert [line for line in sentinel.stdout.splitlines() if "::" in line] == ids


def test_device_slowmo_long_names_and_an_interrupt(tmp_path: Path) -> None:
    """Options reach the browser, long names are cut as ever, and an interrupt ends the run."""
    test = f"""
def test_device(page, device):
    assert device == "iPhone 11 Pro"
    assert "iPhone" in page.evaluate("navigator.userAgent")

def test_{"a" * 300}(page):
    pass

def test_makes_output(page, output_path):
    assert "makes-output" in output_path

def test_interrupted(page):
    raise KeyboardInterrupt

def test_not_reached(page):
    pass
"""
    suite = lay(tmp_path / "suite", {"test_it.py": test})

    plain, sentinel = run_both(suite, "--device", "iPhone 11 Pro", "--slowmo", "5", *EVERYTHING)

    assert_same(plain, sentinel)
    assert plain.status == 2
    assert len(plain.artifacts) >= 9
