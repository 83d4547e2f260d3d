"""The fixture ``leaks``, the marker ``leak_check``, the baseline, and the evidence they keep."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt

PAGE = """
    import pytest

    LEAKY = '''<button onclick="window.kept = window.kept || []; kept.push({{n: kept.length}})">
        go</button>'''
    CLEAN = '''<button onclick="this.title = 'x'">go</button>'''

    @pytest.fixture
    def leaky(page):
        page.set_content(LEAKY.format())
        return page

    @pytest.fixture
    def clean(page):
        page.set_content(CLEAN)
        return page
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A scratch suite with a page that leaks and one that does not."""
    pytester.makeconftest(PAGE)
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run the scratch suite in a process of its own."""
    return suite.runpytest_subprocess("-p", "no:locust", "-p", "no:cacheprovider", *arguments)


def only_attempt(suite: pytest.Pytester) -> Attempt:
    """Return the one attempt of the newest record."""
    lines = read_record(suite.path / ".sentinel" / "runs" / "latest")
    [attempt] = [line for line in lines if isinstance(line, Attempt)]
    return attempt


def test_repeat_fails_a_leaky_page_and_names_the_owner(suite: pytest.Pytester) -> None:
    """A LEAK is a failure with a status of its own, the owner's path, and evidence on disk."""
    suite.makepyfile(
        "def test_it(leaky, leaks): leaks.repeat(leaky, lambda: leaky.click('button'))"
    )

    result = run(suite)

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*PageLeak: LEAK*window.kept grows*", "leaked*window.kept*"])
    assert "LEAKED" in result.stdout.str()
    [folder] = (suite.path / ".sentinel" / "runs" / "latest" / "leaks").iterdir()
    verdict = json.loads((folder / "verdict.json").read_text())
    assert verdict["verdict"] == "LEAK"
    assert len(list(folder.glob("*.heapsnapshot.gz"))) == 2
    [leftover] = only_attempt(suite).leaks
    assert leftover.kind == "page-leak"


def test_repeat_passes_a_clean_page_and_returns_the_report(suite: pytest.Pytester) -> None:
    """A CLEAN verdict passes the test, which may look at the report."""
    suite.makepyfile(
        """
        def test_it(clean, leaks):
            report = leaks.repeat(clean, lambda: clean.click("button"))
            assert report.verdict == "CLEAN"
            assert not report.leaks
        """
    )

    run(suite).assert_outcomes(passed=1)


def test_the_marker_runs_the_body_as_the_scenario(suite: pytest.Pytester) -> None:
    """A marked test is run again and again; its own failure would still be its own."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.leak_check
        def test_leaky(leaky): leaky.click("button")

        @pytest.mark.leak_check(iterations=8)
        def test_clean(clean, page): clean.click("button")

        @pytest.mark.leak_check
        def test_wrong(page): assert 1 == 2
        """
    )

    result = run(suite)

    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["LEAKED*test_leaky*", "FAILED*test_wrong*"])


def test_bad_markers_are_collection_errors(suite: pytest.Pytester) -> None:
    """An unknown argument stops the run before it starts, and shows a good marker."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.leak_check(iteration=8)
        def test_it(page): pass
        """
    )

    result = run(suite)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*test_it*leak_check takes iterations*leak_check(iterations=20)*"])


def test_known_leaks_are_reported_and_fail_nothing(suite: pytest.Pytester) -> None:
    """The baseline is written by the update run; the next run is green and still names the leak."""
    suite.makepyfile(
        "def test_it(leaky, leaks): leaks.repeat(leaky, lambda: leaky.click('button'))"
    )

    update = run(suite, "--sentinel-leak-baseline=known.json", "--sentinel-leak-baseline-update")
    later = run(suite, "--sentinel-leak-baseline=known.json")

    assert [update.ret, later.ret] == [0, 0]
    [entry] = json.loads((suite.path / "known.json").read_text())["leaks"].values()
    assert entry["owner"] == "window.kept"
    later.stdout.fnmatch_lines(["leaked*window.kept*"])


def test_a_damaged_baseline_says_so(suite: pytest.Pytester) -> None:
    """A file that is no baseline fails the check with its name, not with a KeyError."""
    Path(suite.path / "known.json").write_text("[]")
    suite.makepyfile(
        "def test_it(leaky, leaks): leaks.repeat(leaky, lambda: leaky.click('button'))"
    )

    result = run(suite, "--sentinel-leak-baseline=known.json")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["*SettingError: --sentinel-leak-baseline*is no leak baseline*"])


def test_a_watched_object_must_die(suite: pytest.Pytester) -> None:
    """An object that nothing refers to is collected; one that is kept fails the test by name."""
    suite.makepyfile(
        """
        import pytest

        def test_it(page, leaks):
            page.set_content("<p>x</p>")
            page.evaluate("window.dialog = {open: true}")
            watched = leaks.watch(page, "window.dialog", "the dialog")
            page.evaluate("window.dialog = null")
            watched.expect_collected()

        def test_kept(page, leaks):
            page.evaluate("window.dialog = {open: true}")
            leaks.watch(page, "window.dialog", "the dialog").expect_collected(timeout=0.2)

        def test_no_object(page, leaks):
            with pytest.raises(ValueError, match="is no object"):
                leaks.watch(page, "42", "a number")
        """
    )

    result = run(suite)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*PageLeak: the dialog: window.dialog is still alive 200 ms*"])
