"""`--sentinel-gates`: a run is held to thresholds, and its exit status says so."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import End, GateVerdict
from tests.runs import Scratch

SUITE = """
def test_one():
    pass

def test_two():
    threading.Event().wait(0.01)
"""
SLOW = "tests: max < 1ms"


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize(
    ("gates", "status"),
    [
        ("tests: count == 2", 0),
        (SLOW, 99),
        ("uptime: rate > 99%", 98),
        (f"{SLOW};uptime: rate > 9%", 99),
    ],
)
def test_a_good_run_ends_with_what_its_gates_say(
    pytester: pytest.Pytester, workers: str, gates: str, status: int
) -> None:
    """0, 99 for a breach, 98 without data; with workers and without."""
    scratch = Scratch(pytester, SUITE)

    result = scratch.run("-n", workers, f"--sentinel-gates={gates}")

    assert result.ret == status
    lines = scratch.record()
    assert isinstance(lines[-1], End)
    assert lines[-1].exit_status == status
    assert [line.text for line in lines if isinstance(line, GateVerdict)] == gates.split(";")
    assert any(line.startswith("gate") for line in result.outlines)


def test_failing_tests_are_the_greater_news(pytester: pytest.Pytester) -> None:
    """A run with failures ends with 1, whatever its gates say."""
    scratch = Scratch(pytester, "def test_it(): assert False")

    result = scratch.run("--sentinel-gates=error_rate: rate < 1%")

    assert result.ret == 1
    result.stdout.fnmatch_lines(["gate       FAIL * error_rate: rate < 1%: 100 % (1 sample)"])


@pytest.mark.parametrize(
    ("gates", "says"),
    [
        (
            "latency: p(95) < 2s",
            "*--sentinel-gates: gate *: has no known metric; 'latency' is none",
        ),
        ("tests: p95 < 2s", "*'p95' is none of*"),
        ("gates.txt", "*is no gate, no preset (slo, run) and no file*"),
    ],
)
def test_what_makes_no_sense_ends_the_run_before_it_begins(
    pytester: pytest.Pytester, gates: str, says: str
) -> None:
    """A usage error, with what there is."""
    scratch = Scratch(pytester, SUITE)

    result = scratch.run(f"--sentinel-gates={gates}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([says + "*"])


def test_gates_may_stand_in_the_ini_file_or_one_of_their_own(pytester: pytest.Pytester) -> None:
    """Line by line; the coverage file is looked for when the tests have ended."""
    scratch = Scratch(pytester, SUITE)
    pytester.makeini(
        "[pytest]\nsentinel_gates =\n  gates.txt\n  coverage: value >= 80%\n"
        "sentinel_coverage_file = coverage.json\n"
    )
    (scratch.path / "gates.txt").write_text("tests: count == 2  # all of them\n")

    assert scratch.run().ret == 98
    (scratch.path / "coverage.json").write_text('{"totals": {"percent_covered": 80.0}}')
    assert scratch.run().ret == 0
    (scratch.path / "coverage.json").write_text("{")
    result = scratch.run()
    assert result.ret == 98
    result.stdout.fnmatch_lines(["*sentinel: gate *coverage.json*cannot be read*"])


def test_a_gate_that_warns_changes_nothing(pytester: pytest.Pytester) -> None:
    """It is told, and the run ends well."""
    scratch = Scratch(pytester, SUITE)

    result = scratch.run(f"--sentinel-gates={SLOW} [severity=warn]")

    assert result.ret == 0
    result.stdout.fnmatch_lines(["gate       FAIL (warns) tests: max < 1ms:*"])


def test_collecting_is_not_running(pytester: pytest.Pytester) -> None:
    """Nothing is judged where nothing runs."""
    scratch = Scratch(pytester, SUITE)

    assert scratch.run("--collect-only", f"--sentinel-gates={SLOW}").ret == 0
