"""Every kind of thing that a test can leave open is found, named by its line, and closed if it can.

The suite is tests/resources/planted.py: its comments tell what is left, and where. A fixture that
returns what it opened is blamed through the test that used it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.leaks.leftovers import KINDS
from tests.plugin.leftovers import SUITES, Ran, blamed, lay, planted, run

pytestmark = pytest.mark.browser

SOURCE = SUITES / "planted.py"
# What a fixture opened is left by the test that used it; the driver is started in a thread.
USERS = {"returned": "test_leaves_context_of_fixture", "_run_driver": "test_leaves_driver"}
SOME = "context_beside_page or closes_context or leaves_thread or leaves_another"


def expected() -> dict[str, list[tuple[str, int]]]:
    """Return what each planted test leaves, by test."""
    found: dict[str, list[tuple[str, int]]] = {}
    for name, leaks in planted(SOURCE).items():
        name = USERS.get(name, name)
        if name.startswith("test_"):
            found[name] = sorted(found.get(name, []) + leaks)
    found["test_leaves_multiprocessing"] *= 2  # it has a parameter
    return found


@pytest.fixture(scope="module")
def warned(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The planted suite, run as it is by default."""
    suite = lay(
        tmp_path_factory.mktemp("planted"),
        conftest="planted_conftest.py",
        test_planted="planted.py",
    )
    return run(suite)


def test_every_leak_is_found_with_its_line(warned: Ran) -> None:
    """Each planted leak is told with its kind and line, and nothing else is."""
    found = {name: blamed(leftovers) for name, leftovers in warned.left().items()}

    assert found == expected(), warned.stdout
    assert {kind for leaks in found.values() for kind, _ in leaks} == set(KINDS)


def test_a_warning_changes_no_outcome(warned: Ran) -> None:
    """By default all tests pass; section, record and JUnit properties name what they left."""
    left = sum(len(leftovers) for leftovers in warned.left().values())
    tests = [name for name, leftovers in warned.left().items() if leftovers]

    assert warned.status == 0, warned.stdout
    assert {attempt.outcome for attempt in warned.attempts()} == {"passed"}
    assert "\nleaked     2 x process opened at test_planted.py:" in warned.stdout
    assert "more places, see the record" in warned.stdout
    assert len(warned.properties("sentinel_leaks")) == len(tests) + 1  # one has a parameter
    assert sum(len(text.splitlines()) for text in warned.properties("sentinel_leaks")) == left


def test_what_nobody_can_reach_is_closed_for_the_next_test(warned: Ran) -> None:
    """Contexts and browsers are closed; what a global or a wider context leads to is not."""
    closed = {
        name: {one.closed for one in leftovers}
        for name, leftovers in warned.left().items()
        if leftovers
    }
    # test_closes_starting_clean, in the suite, has seen that they are gone, or still of use.
    for name in ("context", "context_of_fixture", "request_context"):
        assert closed[f"test_leaves_{name}"] == {True}
    for name in ("browser", "persistent_context", "context_on_self", "another_kind"):
        assert closed[f"test_leaves_{name}"] == {True}
    for name in ("page", "cdp_session"):
        assert closed[f"test_leaves_{name}"] == {False}
    for name in ("context_in_global", "thread", "process", "files", "routes", "listeners"):
        assert closed[f"test_leaves_{name}"] == {False}


def test_one_place_is_told_once(warned: Ran) -> None:
    """What belongs together is one leftover: a database with its log, both ends of a pipe."""
    left = warned.left()

    [database], [pipe] = left["test_leaves_database"], left["test_leaves_pipe"]
    assert {Path(part.split(" -> ")[1]).name for part in database.what.split(", ")} == {
        "x.db",
        "x.db-wal",
        "x.db-shm",
    }
    assert pipe.what.count("pipe:[") == 2
    assert [one.what for one in left["test_leaves_thread"]] == ["'poller'"]
    assert left["test_leaves_multiprocessing"][0].what.startswith("'ForkProcess-1', pid ")
    assert left["test_leaves_fork"][0].what.startswith("'a fork of this process', pid ")


def test_an_error_fails_the_test_and_keeps_its_artifacts(tmp_path: Path) -> None:
    """Under ``error`` a leak is LEAKED, the run ends with 1, and what a failure keeps is kept."""
    suite = lay(tmp_path / "suite", conftest="planted_conftest.py", test_planted="planted.py")
    keep = ("--tracing=retain-on-failure", "--video=retain-on-failure")

    ran = run(suite, "--sentinel-leaks=error", "-k", SOME, *keep, "--screenshot=only-on-failure")

    line = planted(SOURCE)["test_leaves_context_beside_page"][0][1]
    where = f"test_planted.py:{line} in test_leaves_context_beside_page"
    assert ran.status == 1, ran.stdout
    assert "\ntest_planted.py L.LL" in ran.stdout
    assert "3 failed, 1 passed" in ran.stdout
    assert f"the test left 1 open:\n  context with 0 pages opened at {where} (closed now)\n" in (
        ran.stdout
    )
    assert (
        "\nLEAKED test_planted.py::test_leaves_context_beside_page[chromium] - cont" in ran.stdout
    )
    assert "resourceguard.py" not in ran.stdout
    kept = {path.parent.name: path.name for path in suite.glob("test-results/*/*")}
    assert set(kept) == {"test-planted-py-test-leaves-context-beside-page-chromium"}
    assert sorted(path.suffix for path in suite.glob("test-results/*/*")) == [
        ".png",
        ".webm",
        ".zip",
    ]


UNTOUCHED = """
import subprocess
import sys
import threading

from playwright._impl import _sync_base, connection
from pytest_sentinel.leaks import auditing


def test_is_untouched(page):
    patched = [threading.Thread.start, subprocess.Popen.__init__, _sync_base.SyncBase.on]
    patched.append(connection.Connection._create_remote_object)
    assert not [one for one in patched if "sentinel" in one.__code__.co_filename]
    assert not auditing._hooked
    page.context.browser.new_context()
"""


def test_off_is_off(tmp_path: Path) -> None:
    """Under ``off`` nothing is patched, no audit hook is added, and nothing is told."""
    ran = run(lay(tmp_path / "suite", test_off=UNTOUCHED), "--sentinel-leaks=off")

    assert ran.status == 0, ran.stdout
    assert ran.left() == {"test_is_untouched": []}


@pytest.mark.parametrize(
    ("marker", "problem"),
    [
        ('"conetxt", reason="x"', "allow_leak takes one kind of context, page, "),
        ('"context"', "allow_leak must give a reason; write @pytest.mark.allow_leak("),
        ('"context", reason=" "', "allow_leak must give a reason"),
        ('"context", because="x"', "allow_leak must give a reason"),
        ('reason="x"', "allow_leak takes one kind of"),
    ],
)
def test_a_bad_marker_ends_the_run(tmp_path: Path, marker: str, problem: str) -> None:
    """An unknown kind or a missing reason is a usage error before any test."""
    text = f"import pytest\n\n@pytest.mark.allow_leak({marker})\ndef test_a(): pass\n"

    ran = run(lay(tmp_path / "suite", test_bad=text))

    assert ran.status == 4
    assert f"ERROR: test_bad.py::test_a: {problem}" in ran.stdout + ran.stderr


def test_a_bad_marker_ends_a_run_of_workers(tmp_path: Path) -> None:
    """With workers it is a usage error as well, and not an internal one."""
    text = 'import pytest\n\n@pytest.mark.allow_leak("context")\ndef test_a(): pass\n'

    ran = run(lay(tmp_path / "suite", test_bad=text), "-n", "2")

    assert ran.status == 4
    assert "ERROR: test_bad.py::test_a: allow_leak must give a reason" in ran.stdout + ran.stderr
