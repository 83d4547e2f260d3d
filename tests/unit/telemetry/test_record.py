"""The run record: what is written can be read, and what was torn is told from what is damaged."""

from __future__ import annotations

import json

import pytest

from pytest_sentinel.telemetry.record import (
    SCHEMA,
    Attempt,
    BrowserEvent,
    Crash,
    End,
    Line,
    Memory,
    Run,
    decode,
    encode,
)

LINES: list[Line] = [
    Run("a1", 1000.0, workers=2, browser="chromium", versions={"python": "3.11"}),
    BrowserEvent("launched", "gw0/browser-1", 1, 1001.0, "gw0", "start", 0.5),
    Attempt(
        "test_a.py::test_b",
        "crashed",
        worker="gw0",
        started=1002.0,
        finished=1003.0,
        phases={"setup": 0.5, "call": 0.25},
        failure="infrastructure",
        browsers=("gw0/browser-1",),
        memory={"browser-1": Memory(1, 3, 2), "worker": Memory(None, 5, 5)},
        crash=Crash("the browser died", "crashed", "SIGKILL", 2, ("last", "words")),
    ),
    End(1004.0, 1, 0.01),
]


def test_what_is_written_can_be_read() -> None:
    """Every kind of line comes back as it was."""
    assert list(decode(encode(line) for line in LINES)) == LINES


@pytest.mark.parametrize(
    ("line", "kind"), list(zip(LINES, ["run", "browser", "attempt", "end"], strict=True))
)
def test_each_line_is_one_row_of_json_that_names_its_kind(line: Line, kind: str) -> None:
    """Any JSON reader can read a record, row by row."""
    row = encode(line)
    assert row.endswith(b"\n")
    assert row.count(b"\n") == 1
    assert json.loads(row)["kind"] == kind


def test_the_first_line_names_the_schema() -> None:
    """Schema 1 is the default and may be left out; any other is written."""
    assert SCHEMA == 1
    [run] = decode([b'{"kind":"run","id":"a","started":1.0}'])
    assert isinstance(run, Run)
    assert run.schema == 1
    assert json.loads(encode(Run("a", 1.0, schema=2)))["schema"] == 2


def test_an_attempt_takes_as_long_as_its_phases() -> None:
    """Seconds are summed over setup, call and teardown, as far as they ran."""
    attempt = LINES[2]
    assert isinstance(attempt, Attempt)
    assert attempt.seconds == 0.75


def test_a_torn_last_line_ends_the_record() -> None:
    """A killed run leaves half a line at most; all before it is whole."""
    rows = [encode(line) for line in LINES]
    for length in range(len(rows[3])):
        assert list(decode([*rows[:3], rows[3][:length]])) in (LINES[:3], LINES)


def test_a_torn_line_of_a_later_version_ends_the_record() -> None:
    """Half a line of a kind that is not known is no damage either."""
    assert list(decode([encode(LINES[0]), b'{"kind":"weather","wind":'])) == [LINES[0]]


def test_an_empty_line_says_nothing() -> None:
    """Blank lines are skipped."""
    assert list(decode([encode(LINES[0]), b"\n", b"  ", encode(LINES[3])])) == [LINES[0], LINES[3]]


def test_kinds_and_fields_of_later_versions_are_skipped() -> None:
    """An older reader takes what it knows."""
    rows = [b'{"kind":"weather","wind":3}\n', b'{"kind":"end","finished":1,"exit_status":0,"x":1}']
    assert list(decode(rows)) == [End(1.0, 0)]


@pytest.mark.parametrize(
    "row",
    [
        b'{"kind":"end","finish',
        b'{"kind":"end","finished":"soon","exit_status":0}\n',
        b'{"kind":"attempt","nodeid":"\xff"}\n',
        b"[1, 2]\n",
        b"\x00\x00\x00",
    ],
)
def test_damage_before_the_last_line_is_told_with_its_place(row: bytes) -> None:
    """A record is never read as if nothing were missing."""
    rows = [encode(LINES[0]), row, encode(LINES[3])]
    with pytest.raises(ValueError, match="line 2 of the record is damaged: "):
        list(decode(rows))


def test_a_name_that_is_no_text_is_written_with_question_marks() -> None:
    """A test file whose name has stray bytes does not end the run that records it."""
    row = encode(Attempt("test_caf\udce9.py::test_a", "passed", worker="gw0"))
    assert list(decode([row])) == [Attempt("test_caf?.py::test_a", "passed", worker="gw0")]
