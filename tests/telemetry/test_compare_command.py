"""`sentinel report --compare`: two runs in, what is worse out, and an exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from pytest_sentinel.cli import main
from pytest_sentinel.load.summary import summary_of
from pytest_sentinel.load.tally import Outcome, Tally
from pytest_sentinel.telemetry.record import Attempt, End, Run, encode


def load(path: Path, seconds: float, doubt: str = "") -> Path:
    """Write the summary of a load run whose requests took about so long."""
    tally = Tally()
    for number in range(2000):
        tally.begin()
        tally.end("Shopper.buy", Outcome.PASSED)
        tally.request("GET /meals", seconds * (1 + number % 100 / 200), failed=False)
    if doubt:
        tally.doubt(doubt)
    path.write_text(json.dumps(summary_of(tally, 60.0)))
    return path


def record(directory: Path, seconds: float) -> Path:
    """Write the record of a run of twenty tests."""
    directory.mkdir(parents=True)
    tests = [
        Attempt(f"test_{n}", "passed", phases={"call": seconds * (1 + n)}, worker="gw0")
        for n in range(20)
    ]
    lines = [Run("a", 1.0), *tests, End(9.0, 0)]
    (directory / "run.jsonl").write_bytes(b"".join(map(encode, lines)))
    return directory


def compared(*words: object) -> tuple[int, str]:
    """Run the command; return its exit status and what it said."""
    result = CliRunner().invoke(main, ["report", "--compare", *map(str, words)])
    return result.exit_code, result.output


def test_a_slower_load_run_is_worse(tmp_path: Path) -> None:
    """Its exit status says so where that is asked for."""
    before, after = load(tmp_path / "a.json", 0.01), load(tmp_path / "b.json", 0.02)

    found, said = compared(before, after)
    assert found == 0
    assert said.splitlines()[1].startswith("worse  GET /meals mean")
    assert compared(before, after, "--fail-on", "worse")[0] == 1
    assert compared(before, before, "--fail-on", "worse")[0] == 0
    assert compared(after, before, "--fail-on", "worse")[0] == 0
    assert compared(before, after, "--fail-on", "worse", "--threshold", "200%")[0] == 0


def test_records_are_compared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The later one is the last run of this directory, if it is not named."""
    before = record(tmp_path / "before", 0.1)
    record(tmp_path / ".sentinel" / "runs" / "latest", 0.2)
    monkeypatch.chdir(tmp_path)

    found, said = compared(before, "--json", "--fail-on", "worse")

    assert found == 1
    rows = {row["name"]: row["verdict"] for row in json.loads(said)["lines"]}
    assert rows["tests, each with itself"] == "worse"
    assert rows["error_rate"] == "same"
    assert (
        "| **worse** | `tests, each with itself` |" in compared(before, "--format", "markdown")[1]
    )
    assert "worse" not in compared(before / "run.jsonl", before)[1]


def test_what_cannot_be_trusted_is_no_verdict(tmp_path: Path) -> None:
    """A load generator that was not well ends with 98, as at its gates."""
    before, after = load(tmp_path / "a.json", 0.01), load(tmp_path / "b.json", 0.02, "too slow")

    found, said = compared(before, after, "--fail-on", "worse")

    assert found == 98
    assert "Doubt: too slow (1 times)" in said


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{}", "is no summary of schema 1"),
        ("nonsense\nnonsense\n", "is damaged"),
        ("[]", "is neither a record nor"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str, says: str) -> None:
    """With its name, and the reason."""
    (tmp_path / "bad.json").write_text(content)

    found, said = compared(tmp_path / "bad.json", load(tmp_path / "a.json", 0.01))

    assert found == 1
    assert "bad.json" in said
    assert says in said
    assert compared(load(tmp_path / "a.json", 0.01), tmp_path / "none.json")[0] == 1


def test_a_threshold_is_a_share(tmp_path: Path) -> None:
    """Anything else is a usage error."""
    path = load(tmp_path / "a.json", 0.01)

    assert compared(path, path, "--threshold", "0.2")[0] == 0
    found, said = compared(path, path, "--threshold", "much")
    assert found == 2
    assert "'much' is no share" in said
