"""What a run can be told, by whom, and what it says to what it does not understand."""

from __future__ import annotations

import os
from fnmatch import fnmatch

import pytest

from pytest_sentinel.settings import OPTIONS
from pytest_sentinel.telemetry.record import Run
from tests.runs import Scratch

QUICK = "def test_quick():\n    pass\n"


@pytest.fixture
def scratch(pytester: pytest.Pytester) -> Scratch:
    """A suite of one test that needs no browser."""
    return Scratch(pytester, QUICK)


def setting(scratch: Scratch, name: str) -> object:
    """Return a setting of the last run."""
    first = scratch.record()[0]
    assert isinstance(first, Run)
    return first.settings[name]


BAD = [
    ("recycle_after", "never", "'never' is not a whole number; a good value is 200"),
    ("max_browser_memory", "lots", "'lots' is not a size; a good value is '500 MB'"),
    ("probe_timeout", "0 s", "'0 s' is not more than zero; a good value is '10 s'"),
    ("crash_retries", "-1", "'-1' is less than 0; a good value is 1"),
]


@pytest.mark.parametrize(("name", "text", "message"), BAD)
@pytest.mark.parametrize("source", ["option", "environment", "ini"])
def test_a_bad_value_stops_the_run_before_it_starts(
    scratch: Scratch,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    name: str,
    text: str,
    message: str,
) -> None:
    """Exit status 4, one line that names the setting as it was written, and a good value."""
    [option] = [option for option in OPTIONS if option.name == name]
    arguments: list[str] = []
    if source == "option":
        arguments, origin = [f"{option.flag}={text}"], option.flag
    elif source == "environment":
        monkeypatch.setenv(option.env, text)
        origin = option.env
    else:
        scratch.pytester.makeini(f"[pytest]\n{option.ini} = {text}\n")
        origin = option.ini
    result = scratch.run_here(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {origin}: {message}"])
    assert not (scratch.path / ".sentinel").exists()


def test_option_beats_environment_beats_ini_beats_default(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The nearer the word to this one run, the more it counts; an empty one counts as none."""
    scratch.run_here()
    assert setting(scratch, "top") == 3
    scratch.pytester.makeini("[pytest]\nsentinel_top = 4\nsentinel_recycle_after = off\n")
    monkeypatch.setenv("PYTEST_SENTINEL_TOP", "")
    scratch.run_here()
    assert setting(scratch, "top") == 4
    assert setting(scratch, "recycle_after") is None
    monkeypatch.setenv("PYTEST_SENTINEL_TOP", "5")
    scratch.run_here()
    assert setting(scratch, "top") == 5
    scratch.run_here("--sentinel-top=6", "--sentinel-max-browser-memory=400MB")
    assert setting(scratch, "top") == 6
    assert setting(scratch, "max_browser_memory") == 400 * 1024**2


def test_workers_are_told_what_the_controller_was(scratch: Scratch) -> None:
    """Options, environment and ini reach every xdist worker."""
    scratch.pytester.makepyfile(
        test_it="""
        def test_settings(pytestconfig):
            settings = pytestconfig.pluginmanager.getplugin("sentinel-running").settings
            assert (settings.top, settings.crash_retries) == (7, 2)
        """
    )
    scratch.pytester.makeini("[pytest]\nsentinel_crash_retries = 2\n")
    scratch.run("-n", "1", "--sentinel-top=7").assert_outcomes(passed=1)


NATIVE: dict[str, tuple[str, object]] = {
    "crash_retries": ("2", 2),
    "recycle_after": ("false", None),
    "max_browser_age": ("1800", 1800.0),
    "max_browser_memory": ("524_288_000", 500 * 1024**2),
    "probe_timeout": ("2.5", 2.5),
    "launch_timeout": ("'20 s'", 20.0),
    "close_timeout": ("20.0", 20.0),
    "worker_memory": ("'1 GB'", 1024**3),
    "workers_by_memory": ("true", True),
    "record": ("'kept'", "kept"),
    "keep_runs": ("7", 7),
    "leaks": ("false", "off"),
    "leak_baseline": ("'known.json'", "known.json"),
    "leak_baseline_update": ("true", True),
    "leak_budget": ("45", 45.0),
    "pool": ("['ws://127.0.0.1:9323', 'ws://127.0.0.1:9324']", "127.0.0.1:9323,127.0.0.1:9324"),
    "pool_fallback": ("true", True),
    "pool_token_file": ("false", None),
    "suite": ("2026", "2026"),
    "branch_class": ("'main'", "main"),
    "page_metrics": ("true", "on"),
    "gates": ("['leaks: count == 0', 'crashes: count == 0']", None),
    "coverage_file": ("'coverage.json'", "coverage.json"),
    "metrics": ("false", None),
    "metrics_linger": ("0.5", 0.5),
    "push": ("'http://127.0.0.1:9091'", "http://127.0.0.1:9091"),
    "textfile": ("'kept.prom'", "kept.prom"),
    "top": ("1", 1),
}
WRONG = [
    ("top", "true", "True is not a whole number; a good value is 3"),
    ("top", "1.5", "1.5 is not a whole number"),
    ("top", "[1, 2]", "[1, 2] is a list, and one value is wanted; a good value is 3"),
    ("top", "{ a = 1 }", "{'a': 1} is a dict, not a text or a number; a good value is 3"),
    ("top", "2026-11-30", "is a date, not a text or a number; a good value is 3"),
    ("top", "'many'", "'many' is not a whole number"),
    ("probe_timeout", "inf", "inf is not a duration; a good value is '10 s'"),
    ("probe_timeout", "-1", "-1 is not a duration"),
    ("leaks", "true", "True is none of error, warn, off; a good value is error"),
    ("leaks", "['warn']", "['warn'] is a list, and one value is wanted"),
    ("workers_by_memory", "3", "3 is neither on nor off; a good value is on"),
    ("pool", "[['x']]", "[['x']] is a list, and one value is wanted"),
]
TABLE = "tool.pytest" if pytest.version_tuple >= (9,) else "tool.pytest.ini_options"


def test_every_option_takes_the_types_of_toml(scratch: Scratch) -> None:
    """Numbers, booleans and lists of pytest's own table do what their texts do in an ini file."""
    known = {option.name: NATIVE[option.name] for option in OPTIONS}
    rows = "".join(f"sentinel_{name} = {text}\n" for name, (text, _) in known.items())
    (scratch.path / "pyproject.toml").write_text(f"[{TABLE}]\nsentinel = true\n{rows}")

    result = scratch.run_here("--sentinel-record=.sentinel")

    assert result.ret == pytest.ExitCode.OK, result.stderr.str()
    first = scratch.record()[0]
    assert isinstance(first, Run)
    assert first.settings == {
        **{name: expected for name, (_, expected) in known.items()},
        "record": ".sentinel",
        "gates": "leaks: count == 0; crashes: count == 0",
    }
    assert not is_on(scratch, "-o", "sentinel=off")
    (scratch.path / "pyproject.toml").write_text(f"[{TABLE}]\nsentinel = false\n")
    assert not is_on(scratch)


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_a_wrong_type_is_refused_with_its_file(
    scratch: Scratch, name: str, text: str, message: str
) -> None:
    """Exit status 4; the line names file, key, the value as it was understood, and a good one."""
    (scratch.path / "pytest.toml").write_text(f"[pytest]\nsentinel_{name} = {text}\n")

    result = scratch.run_here()

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    told = [line for line in result.errlines if line.startswith("ERROR: ")]
    assert len(told) == 1
    assert told[0].startswith(f"ERROR: pytest.toml: sentinel_{name}: ")
    assert message in told[0]
    assert "a good value is" in told[0]


def is_on(scratch: Scratch, *options: str) -> bool:
    """Run the suite and tell whether the plugin was on: header, record and fixture agree."""
    for record in (scratch.path / ".sentinel" / "runs").glob("latest"):
        record.unlink()
    result = scratch.run_here(*options)
    assert result.ret == pytest.ExitCode.OK
    header = any(line.startswith("sentinel: ") for line in result.outlines)
    kept = (scratch.path / ".sentinel" / "runs" / "latest").exists()
    assert header is kept
    return header


def test_the_switch_that_turns_it_off(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of four ways is enough, and the nearer word wins here too."""
    assert is_on(scratch)
    assert not is_on(scratch, "--no-sentinel")
    assert not is_on(scratch, "-p", "no:sentinel")
    monkeypatch.setenv("PYTEST_SENTINEL", "0")
    assert not is_on(scratch)
    scratch.pytester.makeini("[pytest]\nsentinel = on\n")
    assert not is_on(scratch)
    scratch.pytester.makeini("[pytest]\nsentinel = off\n")
    monkeypatch.setenv("PYTEST_SENTINEL", "on")
    assert is_on(scratch)
    assert not is_on(scratch, "--no-sentinel")
    monkeypatch.delenv("PYTEST_SENTINEL")
    assert not is_on(scratch)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--browser=firefox",), "firefox"),
        (("--browser=webkit", "--browser=firefox"), "webkit*; *firefox"),
        (("--browser=firefox", "--headed"), "firefox*, headed"),
        (("--headed",), "chromium*, headed"),
        (("--browser-channel=chrome",), "chromium of channel chrome"),
    ],
)
def test_the_header_and_the_record_name_the_browser_that_runs(
    pytester: pytest.Pytester, options: tuple[str, ...], named: str
) -> None:
    """Not headless Chromium, where options ask for another."""
    scratch = Scratch(pytester, QUICK)
    result = scratch.run_here(*options)

    result.stdout.fnmatch_lines([f"sentinel: each worker its own browsers; *{named}*"])
    first = scratch.record()[0]
    assert isinstance(first, Run)
    assert fnmatch(first.browser, f"*{named}*")
    assert "headless" not in first.browser


def test_browsers_are_upstreams_when_it_is_off(pytester: pytest.Pytester) -> None:
    """Nothing of ours is in the way, and our options are still understood."""
    scratch = Scratch(
        pytester,
        """
def test_plain(page, request):
    page.goto("about:blank")
    with pytest.raises(pytest.FixtureLookupError):
        request.getfixturevalue("browser_pool")
""",
        """
from pytest_sentinel.browsers import prepare
prepare(os.environ)
""",
    )
    result = scratch.run("--no-sentinel", "--sentinel-recycle-after=5")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("*= sentinel =*")


@pytest.mark.parametrize("source", ["PYTEST_SENTINEL", "sentinel"])
def test_a_switch_that_is_neither_on_nor_off(
    scratch: Scratch, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """Exit status 4 and both words that it takes."""
    if source == "sentinel":
        scratch.pytester.makeini("[pytest]\nsentinel = maybe\n")
    else:
        monkeypatch.setenv(source, "maybe")
    result = scratch.run_here()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: {source}: 'maybe' is neither on nor off; write on or off"]
    )


def test_help_tells_every_option_with_its_default(scratch: Scratch) -> None:
    """Flag, ini key, environment variable and default stand in --help; the marker in --markers."""
    result = scratch.run_here("--help")
    text = " ".join(result.stdout.str().split())
    for option in OPTIONS:
        assert option.flag in text
        assert f"(default: {option.default}; ini {option.ini}, env {option.env})" in text
    assert "--no-sentinel" in text
    result = scratch.run_here("--markers")
    result.stdout.fnmatch_lines(["@pytest.mark.fresh_browser: *"])


def test_workers_are_capped_by_memory(scratch: Scratch, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as fit, at least one, and the header says so; a number of the user's stands."""
    capped = ("--sentinel-workers-by-memory", "--sentinel-worker-memory=999 TB")
    result = scratch.run("-n", "logical", *capped)
    result.stdout.fnmatch_lines(["created: 1/1 worker"])
    told = [line for line in result.outlines if "of memory are free" in line]
    cores = os.cpu_count() or 1
    assert [line.split(":")[1] for line in told] == [f" 1 of {cores} workers"] * (cores > 1)
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "2")
    result = scratch.run("-n", "auto", *capped)
    result.stdout.fnmatch_lines(["created: 2/2 workers"])


def test_a_number_of_workers_stands(scratch: Scratch) -> None:
    """-n 2 means two, and without the option memory caps nothing at all."""
    result = scratch.run("-n", "2", "--sentinel-workers-by-memory")
    result.stdout.fnmatch_lines(["created: 2/2 workers"])
    result = scratch.run("-n", "logical", "--sentinel-worker-memory=999 TB")
    result.stdout.no_fnmatch_line("*of memory are free*")
