"""The fixture ``leaks``, the marker ``leak_check``, the baseline, and the evidence they keep."""

from __future__ import annotations

import json

import pytest

from pytest_sentinel.telemetry.journal import read_record
from pytest_sentinel.telemetry.record import Attempt
from tests.runs import OPTIONS

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
    return suite.runpytest_subprocess(*OPTIONS, *arguments)


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


BASELINES = [
    ("bad.json", "[]", "", "'*bad.json' is no leak baseline"),
    ("list.json", '{"version": 1, "leaks": []}', "", "'*list.json' is no leak baseline"),
    ("old.json", '{"version": 0, "leaks": {}}', "", "'*old.json' is no leak baseline"),
    ("text.json", "leaks", "", "'*text.json' is no leak baseline"),
    (".", None, "", "'*' is a directory"),
    ("no/such.json", None, "", "'*such.json' is not there, nor is the directory *no;"),
    ("test_it.py/x.json", None, "", "'*x.json' is not there, nor is the directory *test_it.py;"),
    ("test_it.py/x.json", None, "-update", "'*x.json' cannot be written: *test_it.py is no direc"),
]


@pytest.mark.parametrize(("name", "text", "update", "problem"), BASELINES)
@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_baseline_that_is_none_ends_the_run_before_it_begins(
    pytester: pytest.Pytester, workers: str, name: str, text: str | None, update: str, problem: str
) -> None:
    """Exit status 4, one line with the option, the path, what is wrong, and a good value."""
    pytester.makepyfile(test_it="def test_it(): pass")
    if text is not None:
        (pytester.path / name).write_text(text)
    also = ["--sentinel-leak-baseline-update"] if update else []

    result = pytester.runpytest_inprocess(
        *OPTIONS, f"--sentinel-leak-baseline={name}", *also, "-n", workers
    )

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = [line for line in result.errlines if line]
    assert len(told) == 1
    result.stderr.fnmatch_lines([f"ERROR: --sentinel-leak-baseline: {problem}*a good value is *"])


def test_an_update_needs_a_file(pytester: pytest.Pytester) -> None:
    """Alone it is a usage error that names the other option."""
    result = pytester.runpytest_inprocess(*OPTIONS, "--sentinel-leak-baseline-update")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --sentinel-leak-baseline-update: *=leaks.json*"])


def test_a_baseline_that_is_yet_to_be_written_is_no_error(pytester: pytest.Pytester) -> None:
    """A warning says that no leak is known."""
    pytester.makepyfile(test_it="def test_it(): pass")

    result = pytester.runpytest_subprocess(*OPTIONS, "--sentinel-leak-baseline=leaks.json")

    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*the leak baseline *leaks.json is not there, so no leak is known*"]
    )


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
