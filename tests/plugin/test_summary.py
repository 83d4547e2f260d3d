"""What a person sees: a header line, a closing section that fits a screen, and silence under -q."""

from __future__ import annotations

import itertools
import os

import pytest

from pytest_sentinel.browsers import prepare
from tests.runs import Scratch

TWO = """
def test_slow(page):
    page.set_content("<p>slow")
    page.wait_for_timeout(400)

def test_quick(page):
    page.set_content("<p>quick")
"""
CRASHING = """
def test_crash(page, kill, once):
    if once():
        kill()
    page.goto("about:blank")
"""


def section(result: pytest.RunResult) -> list[str]:
    """Return the rows of the closing section."""
    lines = iter(result.outlines)
    if not any(line.startswith("=") and line.strip("= ") == "sentinel" for line in lines):
        return []
    return list(itertools.takewhile(lambda line: not line.startswith("="), lines))


def test_a_quiet_run_ends_with_a_few_rows(pytester: pytest.Pytester) -> None:
    """One header line; then browsers, memory, slowest tests and the record, in this order."""
    scratch = Scratch(pytester, TWO)
    result = scratch.run()
    header = [line for line in result.outlines if line.startswith("sentinel: ")]
    choice = prepare(dict(os.environ))
    assert header == [f"sentinel: each worker its own browsers; {choice.reason}"]
    rows = section(result)
    assert rows[0] == "browsers   1 launched"
    assert rows[1].startswith("memory     worker peak ")
    assert rows[1].endswith(" of 512 MiB (Python + driver + browsers, PSS)")
    assert [row.split("::")[1] for row in rows[2:4]] == [
        "test_slow[chromium]",
        "test_quick[chromium]",
    ]
    assert rows[2].startswith("slowest ")
    path = rows[-1].removeprefix("record     ")
    assert (scratch.path / path).samefile(scratch.path / ".sentinel/runs/latest/run.jsonl")
    assert "leaked" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.OK


def test_silence_is_kept_while_all_is_well(pytester: pytest.Pytester) -> None:
    """Under -q and -qq the plugin writes nothing, nor when nobody asked for a browser."""
    scratch = Scratch(pytester, TWO + "def test_without():\n    pass\n")
    for option in ("-q", "-qq"):
        result = scratch.run(option)
        assert "sentinel" not in result.stdout.str()
        assert result.ret == pytest.ExitCode.OK
    result = scratch.run("-k", "without")
    assert section(result) == []


def test_silence_is_broken_for_a_crash(pytester: pytest.Pytester) -> None:
    """Under -q one line says what was survived."""
    scratch = Scratch(pytester, CRASHING)
    result = scratch.run("-q")
    said = [line for line in result.outlines if "sentinel" in line]
    assert said == ["sentinel: 1 launched, 1 replaced after a crash, 1 crashed, 1 survived"]


def test_a_verbose_run_names_the_lost_attempt(pytester: pytest.Pytester) -> None:
    """-v shows CRASHED and then PASSED for the same test; the last line counts both."""
    result = Scratch(pytester, CRASHING).run("-v")
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_crash[[]chromium[]] CRASHED*",
            "test_it.py::test_crash[[]chromium[]] PASSED*",
            "*1 passed*1 rerun*",
        ]
    )


def test_the_user_says_how_many_tests_are_named(pytester: pytest.Pytester) -> None:
    """--sentinel-top=1 names the slowest alone, 0 none."""
    scratch = Scratch(pytester, TWO)
    rows = section(scratch.run("--sentinel-top=1"))
    assert [row for row in rows if "::" in row and row.startswith("slowest")] == [rows[2]]
    assert "test_slow" in rows[2]
    assert not any("test_quick" in row for row in rows)
    assert not any("::" in row for row in section(scratch.run("--sentinel-top=0")))


SLOW_BROWSER = """
@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args):
    return {**browser_type_launch_args, "executable_path": str(HERE / "slow-browser")}
"""


def test_a_slow_launch_says_what_it_waits_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a second a line tells, and when it is over how long it took; not under -q."""
    executable = prepare(dict(os.environ)).executable
    assert executable is not None
    monkeypatch.setenv("REAL_BROWSER", str(executable))
    scratch = Scratch(pytester, "def test_one(page):\n    page.title()\n", SLOW_BROWSER)
    browser = scratch.path / "slow-browser"
    browser.write_text('#!/bin/sh\nsleep 1.2\nexec "$REAL_BROWSER" "$@"\n')
    browser.chmod(0o755)
    result = scratch.run()
    result.assert_outcomes(passed=1)
    result.stdout.re_match_lines([r"sentinel: waiting for chromium headless .* \.\.\. \d+\.\d s"])
    result = scratch.run("-q")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*waiting for*")
