"""Fixtures of a wider scope keep what they opened until they end, and are asked then."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugin.leftovers import blamed, lay, planted, run
from tests.runs import CACHE, OPTIONS

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
        env={**environment, "XDG_CACHE_HOME": CACHE, "TMPDIR": str(tmp_path)},
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
    people.known[0].new_page()  # leaves: page
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
    assert "2 failed, 2 passed" in ran.stdout
