"""It keeps company: other plugins, pytest's own modes and xdist's, each doing as it does without.

Every plugin of this environment is loaded in every run of the comparisons; here each is used.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.plugin.compat import (
    EVERYTHING,
    PLAIN,
    Ran,
    assert_same,
    clean_environment,
    lay,
    run,
    run_both,
)

pytestmark = pytest.mark.browser

PAGE_AND_PLAIN = """
    def test_page(page):
        page.set_content("<h1>one</h1>")
        assert page.locator("h1").text_content() == "one"

    def test_plain():
        assert 1 + 1 == 2
"""


def shown(stdout: str) -> list[str]:
    """Return what a run showed of tests and fixtures, without what is chained."""
    ours = re.compile(r"sentinel| launch_browser( |$)")
    return [
        row
        for row in stdout.splitlines()
        if re.match(r" *(<|SETUP|TEARDOWN|test_it)", row) and not ours.search(row)
    ]


def test_rerunfailures_html_and_timeout(tmp_path: Path) -> None:
    """Reruns happen as often, into the same folders; time-outs fail; the HTML names the same."""
    suite = lay(
        tmp_path / "suite",
        {
            "test_flaky.py": dedent("""
                import pathlib
                import tempfile
                import pytest

                def count(name):
                    path = pathlib.Path(tempfile.gettempdir(), name)
                    path.write_text(path.read_text() + "x" if path.exists() else "x")
                    return len(path.read_text())

                def test_passes_the_second_time(page):
                    page.set_content("<h1>one</h1>")
                    assert count("second.txt") % 2 == 0

                @pytest.mark.flaky(reruns=2)
                def test_passes_the_third_time(page):
                    assert count("third.txt") % 3 == 0

                def test_never_passes(page):
                    raise ValueError("on purpose")

                @pytest.mark.timeout(1)
                @pytest.mark.flaky(reruns=0)
                def test_hangs(page):
                    page.wait_for_timeout(60_000)

                def test_plain():
                    pass
            """)
        },
    )
    options = ("--reruns", "1", "--html", "report.html", "-n", "1", *EVERYTHING)

    plain, sentinel = run_both(suite, *options)

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"rerun": 4, "passed": 3, "failed": 2}
    assert any("second-time-chromium-retry1/trace.zip" in path for path in sentinel.artifacts)
    report = (suite / "report.html").read_text()
    assert "test_never_passes" in report
    assert "test-finished-1.png" in report


def test_django(tmp_path: Path) -> None:
    """Django's TestCase, its database fixture and its live server, with a page beside them."""
    suite = lay(
        tmp_path / "suite",
        {
            "pytest.ini": "[pytest]\nDJANGO_SETTINGS_MODULE = kitchen\n",
            "kitchen.py": dedent("""
                from django.http import HttpResponse
                from django.urls import path

                SECRET_KEY = "not one"
                ALLOWED_HOSTS = ["*"]
                INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes"]
                DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
                                         "NAME": ":memory:"}}
                ROOT_URLCONF = "kitchen"
                STATIC_URL = "/static/"
                urlpatterns = [path("", lambda request: HttpResponse("<h1>Soup</h1>"))]
            """),
            "test_kitchen.py": dedent("""
                import pytest
                from django.contrib.auth.models import User
                from django.test import TestCase

                class KitchenTest(TestCase):
                    @pytest.fixture(autouse=True)
                    def _take_page(self, page):
                        self.page = page

                    def test_page(self):
                        self.page.set_content("<h1>one</h1>")
                        self.assertEqual(self.page.locator("h1").text_content(), "one")

                class DatabaseTest(TestCase):
                    def test_client(self):
                        self.assertContains(self.client.get("/"), "Soup")

                @pytest.mark.django_db
                def test_database():
                    assert User.objects.count() == 0

                def test_live_server(page, live_server):
                    page.goto(live_server.url)
                    assert page.locator("h1").text_content() == "Soup"
            """),
        },
    )

    plain, sentinel = run_both(suite, "-p", "no:cacheprovider", DJANGO_ALLOW_ASYNC_UNSAFE="true")

    assert_same(plain, sentinel)
    assert plain.outcomes()["passed"] == 4


def test_locust(tmp_path: Path) -> None:
    """Beside Locust's own plugin, which adds an option and two fixtures, nobody is patched."""
    suite = lay(
        tmp_path / "suite",
        {
            "test_load.py": dedent("""
                import socket
                import sys
                import threading

                def test_page(page, pytestconfig):
                    page.goto(pytestconfig.getoption("--host"))

                def test_unpatched():
                    assert getattr(sys.modules.get("gevent.monkey"), "saved", {}) == {}
                    assert "locust" not in sys.modules
                    assert threading.Thread.__module__ == "threading"
                    assert socket.socket.__module__ == "socket"
            """)
        },
    )

    plain, sentinel = run_both(suite, "--host", "about:blank", beside=("locust",))

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"passed": 2}


def test_doctests_subtests_and_hypothesis(tmp_path: Path) -> None:
    """Tests that are no functions, reports that are no test's, and tests of many examples."""
    suite = lay(
        tmp_path / "suite",
        {
            "module.py": 'def two():\n    """\n    >>> two()\n    2\n    """\n    return 2\n',
            "notes.txt": ">>> 1 + 1\n2\n>>> 1 + 2\n4\n",
            "test_parts.py": dedent("""
                import unittest
                import pytest
                from hypothesis import HealthCheck, given, settings, strategies

                def test_parts(page, subtests):
                    for number in (1, 2, 3):
                        page.set_content(f"<h1>{number}</h1>")
                        with subtests.test("part", number=number):
                            assert page.locator("h1").text_content() != "2"

                class PartsTest(unittest.TestCase):
                    @pytest.fixture(autouse=True)
                    def _take_page(self, page):
                        self.page = page

                    def test_parts(self):
                        for number in (1, 2):
                            with self.subTest(number=number):
                                self.assertEqual(self.page.evaluate(f"{number} * 1"), 1)

                @settings(max_examples=5, database=None, deadline=None,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])
                @given(strategies.integers(0, 9))
                def test_examples(page, number):
                    assert page.evaluate(f"{number} + 1") == number + 1
            """),
        },
    )

    plain, sentinel = run_both(
        suite, "--doctest-modules", "--doctest-glob=*.txt", beside=("hypothesispytest",)
    )

    assert_same(plain, sentinel)
    assert plain.outcomes()["failed"] >= 3


@pytest.mark.parametrize("mode", ["--collect-only", "--setup-show"])
def test_modes_that_show(tmp_path: Path, mode: str) -> None:
    """What is collected and which fixtures are set up is shown as without the plugin."""
    suite = lay(tmp_path / "suite", {"test_it.py": dedent(PAGE_AND_PLAIN)})

    plain, sentinel = run_both(suite, mode, "-p", "no:cacheprovider")

    assert (sentinel.status, sentinel.outcomes()) == (plain.status, plain.outcomes())
    assert shown(sentinel.stdout) == shown(plain.stdout)
    assert len(shown(plain.stdout)) > 1


@pytest.mark.parametrize("option", ["--maxfail=2", "--stepwise"])
def test_modes_that_stop(tmp_path: Path, option: str) -> None:
    """Stopping early does what it does without the plugin."""
    failing = "".join(f"def test_{n}(page):\n    assert {n} % 2\n\n" for n in range(1, 6))
    suite = lay(tmp_path / "suite", {"test_it.py": failing})

    plain = run(suite, *PLAIN, option)
    (suite / ".pytest_cache").rename(suite / "old_cache")
    sentinel = run(suite, option)

    assert_same(plain, sentinel)


@pytest.fixture(scope="module")
def distributed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Ran]]:
    """A suite to distribute, and its plain runs: with groups in the ids, and without.

    Which of xdist's ways a test came to its worker by is not in what is compared.
    """
    grouped = dedent("""
        import pytest

        @pytest.mark.parametrize("number", range(3))
        @pytest.mark.xdist_group("kitchen")
        def test_group(page, number):
            page.set_content(f"<h1>{number}</h1>")

        class TestScope:
            def test_one(self, page):
                page.set_content("<h1>one</h1>")

            def test_two(self, page):
                raise ValueError("on purpose")
    """)
    files = {"test_it.py": grouped, "test_more.py": dedent(PAGE_AND_PLAIN)}
    suite = lay(tmp_path_factory.mktemp("distributed") / "suite", files)
    ways = ("loadgroup", "worksteal")
    return suite, {dist: run(suite, *PLAIN, "--dist", dist, "-n", "2") for dist in ways}


@pytest.mark.parametrize("dist", ["loadscope", "loadgroup", "worksteal"])
def test_ways_to_distribute(distributed: tuple[Path, dict[str, Ran]], dist: str) -> None:
    """Each of xdist's ways runs the same tests, under the same ids."""
    suite, plain_runs = distributed
    plain = plain_runs.get(dist, plain_runs["worksteal"])

    sentinel = run(suite, "--dist", dist, "-n", "2")

    assert_same(plain, sentinel)
    assert plain.outcomes()["failed"] == 1


def test_without_pytest_playwright(tmp_path: Path) -> None:
    """With ``-p no:playwright`` the other tests run, and a browser test misses its fixture."""
    suite = lay(tmp_path / "suite", {"test_it.py": dedent(PAGE_AND_PLAIN)})

    plain, sentinel = run_both(suite, "-p", "no:playwright")

    assert_same(plain, sentinel)
    assert plain.outcomes() == {"passed": 1, "error": 1}
    assert "fixture 'page' not found" in sentinel.stdout


@pytest.mark.parametrize("code", ["import pytest_sentinel", "import pytest_sentinel.plugin"])
def test_loading_is_light(code: str) -> None:
    """Loading the plugin imports nothing that a run without browsers would have to pay for."""
    heavy = ("playwright", "numpy", "rich", "msgspec", "psutil", "asyncio", "click")
    program = f"{code}\nimport sys\nprint([name for name in {heavy!r} if name in sys.modules])"

    done = subprocess.run(
        [sys.executable, "-c", program],
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "[]"


def test_a_run_without_browsers_starts_nothing(tmp_path: Path) -> None:
    """Where no test asks for a browser, neither driver nor browser nor reaper is started."""
    suite = lay(
        tmp_path / "suite",
        {
            "test_it.py": dedent("""
                import sys
                import threading

                import psutil

                def test_plain():
                    assert psutil.Process().children() == []
                    names = [thread.name for thread in threading.enumerate()]
                    assert not [name for name in names if "sentinel" in name]
                    assert "pytest_sentinel.pool.worker" not in sys.modules
            """)
        },
    )

    plain, sentinel = run_both(suite)

    assert_same(plain, sentinel)
    assert sentinel.outcomes() == {"passed": 1}
    assert "= sentinel =" not in sentinel.stdout
