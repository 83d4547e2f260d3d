"""`sentinel gate`: records in, a verdict and an exit status out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.telemetry.record import (
    Attempt,
    Begun,
    End,
    Line,
    Memory,
    PageFigures,
    Run,
    Visit,
    encode,
)

WAITS = "tests: p(95) < 200ms"


def record(directory: Path, *lines: Line) -> Path:
    """Write a record, and return its file."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "run.jsonl"
    path.write_bytes(b"".join(encode(line) for line in lines))
    return path


def a_run(*seconds: float, bad: int = 0) -> list[Line]:
    """Return a run of tests of these durations, the first ``bad`` of which failed."""
    tests: list[Line] = [
        Attempt(f"test_{n}", "failed" if n < bad else "passed", phases={"call": each}, worker="gw0")
        for n, each in enumerate(seconds)
    ]
    return [Run("a", 100.0, suite="shop"), *tests, End(160.0, int(bad > 0))]


PEAK = """
import re, sys
from pytest_sentinel.gatecommand import gate
try:
    gate.main(sys.argv[1:], standalone_mode=False)
except SystemExit:
    pass
# Not ru_maxrss: that begins with the memory of the process which started this one.
with open("/proc/self/status") as status:
    print(int(re.search(r"VmHWM:\\s*(\\d+)", status.read())[1]) * 1024)
"""


def long_run(attempts: int) -> Iterator[Line]:
    """A run with so many tests that use a browser."""
    yield Run("long", 0.0, suite="shop", branch_class="main", slots=4)
    for number in range(attempts):
        nodeid = f"tests/e2e/test_module_{number % 300}.py::TestShop::test_{number}[chromium]"
        yield Begun(nodeid, float(number))
        yield Attempt(
            nodeid,
            "passed" if number % 50 else "failed",
            worker=f"gw{number % 8}",
            started=number - 1.0,
            finished=float(number),
            phases={"setup": 0.1, "call": 0.5 + number % 100 / 100, "teardown": 0.05},
            browsers=("gw0/browser-1",),
            memory={"browser-1": Memory(200 << 20, (230 + number % 50) << 20, 210 << 20)},
            engine="chromium",
            wait=0.01,
            page=PageFigures(visits=(Visit("http://shop/", ttfb=0.01, fcp=0.1, lcp=0.2),)),
        )
    yield End(float(attempts), 1)


def gate(*words: str) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    result = CliRunner().invoke(main, ["gate", *words])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("milliseconds", "status"), [(194.0, 0), (196.0, 0), (199.9, 0), (200.1, 99)]
)
def test_the_quantile_is_exact(tmp_path: Path, milliseconds: float, status: int) -> None:
    """199.9 ms passes below 200 ms, 200.1 does not."""
    path = record(tmp_path, *a_run(*[0.05] * 94, *[milliseconds / 1000] * 6))

    assert gate("-g", WAITS, str(path))[0] == status


@pytest.mark.parametrize(("errors", "status"), [(0, 0), (1, 0), (2, 99)])
def test_errors_among_1359_tests(tmp_path: Path, errors: int, status: int) -> None:
    """One error is below 0.1 %, two are not."""
    path = record(tmp_path, *a_run(*[0.1] * 1359, bad=errors))

    found, said = gate("-g", "error_rate: rate < 0.1%", str(path))

    assert found == status
    assert "(1359 samples)" in said


def test_nothing_measured_is_98(tmp_path: Path) -> None:
    """Which is told, and is no pass."""
    found, said = gate("-g", "uptime: rate > 99.9%", str(record(tmp_path, *a_run(0.1))))

    assert found == 98
    assert said == "no data  uptime: rate > 99.9%  nothing was measured\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["-g", "latency: p(95) < 2s"], "'latency' is none of"),
        (["-g", "tests: p95 < 2s"], "'p95' is none of"),
        (["-g", "nothing.txt"], "is no gate, no preset (slo, run) and no file"),
        ([], "name a gate with --gate, or a --preset"),
        (["-g", WAITS, "nowhere"], "nowhere is not there: name a run.jsonl"),
        (["-g", WAITS, "empty"], "empty holds no run record"),
        (["-g", WAITS, "--coverage", "broken.xml"], "cannot be read as coverage.json"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    """It ends with 2, before anything is judged."""
    monkeypatch.chdir(tmp_path)
    record(tmp_path / ".sentinel" / "runs" / "latest", *a_run(0.1))
    (tmp_path / "broken.xml").write_text("<coverage")
    (tmp_path / "empty").mkdir()

    found, said = gate(*words)

    assert found == 2
    assert says in said


def test_the_last_run_is_meant_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gates may be in a file, with comments; a directory stands for its record, or its last."""
    monkeypatch.chdir(tmp_path)
    record(tmp_path / ".sentinel" / "runs" / "latest", *a_run(0.1))
    (tmp_path / "gates.txt").write_text("# ours\ntests: max < 1s\nleaks: count == 0\n")

    assert gate("-g", "gates.txt") == (
        0, "pass  tests: max < 1s    100 ms (1 sample)\npass  leaks: count == 0  0 (1 sample)\n",
    )  # fmt: skip
    for named in (".sentinel", ".sentinel/runs", ".sentinel/runs/latest"):
        assert gate("-g", "gates.txt", named)[0] == 0
        assert gate("-g", "gates.txt", f"{named}/nothing")[0] == 2


def test_several_records_count_as_one(tmp_path: Path) -> None:
    """Shards of a run are held to a gate together."""
    one = record(tmp_path / "1", *a_run(0.1, 0.1))
    two = record(tmp_path / "2", *a_run(3.0))

    assert gate("-g", "tests: max < 2s", str(one))[0] == 0
    assert gate("-g", "tests: max < 2s", str(one), str(two))[0] == 99


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("coverage.json", '{"totals": {"percent_covered": 79.9}}'),
        ("coverage.xml", '<?xml version="1.0"?><coverage line-rate="0.799" version="7"/>'),
    ],
)
def test_coverage_comes_from_its_file(tmp_path: Path, name: str, content: str) -> None:
    """Coverage.py's JSON, or the XML that other tools write too; without a file, no data."""
    path = record(tmp_path, *a_run(0.1))
    (tmp_path / name).write_text(content)
    wanted = ("-g", "coverage: value >= 80%", str(path))

    assert gate(*wanted, "--coverage", str(tmp_path / name))[0] == 99
    assert gate(*wanted, "--coverage", str(tmp_path / "none.json"))[0] == 98
    assert gate(*wanted)[0] == 98


def test_the_targets_are_a_preset(tmp_path: Path) -> None:
    """Of a run without a pool, what was not measured is told; nothing of it is a pass."""
    found, said = gate("--preset", "slo", str(record(tmp_path, *a_run(0.1))))

    assert found == 98
    assert [line.split("  ")[0] for line in said.splitlines()] == [
        "no data", "pass", "no data", "no data", "no data", "pass", "no data",
    ]  # fmt: skip


def test_it_can_be_told_to_machines(tmp_path: Path) -> None:
    """JSON, JUnit and Markdown; to a file, and the table to the terminal."""
    path = str(record(tmp_path, *a_run(3.0)))
    wanted = ("-g", "tests: max < 2s", path)

    assert json.loads(gate(*wanted, "--format", "json")[1])["exit_status"] == 99
    assert gate(*wanted, "--format", "markdown")[1].startswith("| | gate | found |\n")
    junit = tmp_path / "gates.xml"
    found, said = gate(*wanted, "--format", "junit", "-o", str(junit))
    assert (found, said) == (99, "FAIL  tests: max < 2s  3.0 s (1 sample)\n")
    assert ET.parse(junit).getroot().attrib["failures"] == "1"


def test_a_record_that_was_cut_off_can_be_judged(tmp_path: Path) -> None:
    """The half of a last line that a killed run leaves is no obstacle."""
    path = record(tmp_path, *a_run(0.1, 0.1)[:-1])
    path.write_bytes(path.read_bytes() + b'{"kind":"attempt","nodeid":"test_h')

    assert gate("-g", "tests: count == 2", str(path))[0] == 0


def test_what_gates_can_ask_about_is_listed() -> None:
    """Each metric with its shape, its unit and a sentence."""
    found, said = gate("--metrics")

    assert found == 0
    assert (
        "browser_tests        trend, seconds: duration of each attempt that used a browser" in said
    )


def test_a_long_record_is_streamed(tmp_path: Path) -> None:
    """What a gate holds of an attempt is some hundred bytes, not the attempt."""
    attempts = int(os.environ.get("RECORD_ATTEMPTS", "10000"))
    directory = record(tmp_path / "long", *long_run(attempts))
    command = [sys.executable, "-c", PEAK, "--preset", "slo", str(directory)]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    empty = record(tmp_path / "short", *long_run(1))
    least = subprocess.run([*command[:-1], str(empty)], capture_output=True, text=True, check=True)

    peak, floor = (int(each.stdout.splitlines()[-1]) for each in (told, least))
    assert f"({attempts} samples)" in told.stdout
    assert peak < 150 * 1024 * 1024
    assert (peak - floor) / attempts < 1024
