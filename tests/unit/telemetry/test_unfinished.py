"""Which tests of a record began and did not end."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import Attempt, Begun, End, Line, Run
from pytest_sentinel.telemetry.unfinished import Unfinished, in_short

RUN = Run("ab12", 0.0)


def after(*lines: Line) -> Unfinished:
    """Follow some lines."""
    unfinished = Unfinished()
    assert list(unfinished.follow(lines)) == list(lines)
    return unfinished


def test_a_whole_run_leaves_nothing_to_say() -> None:
    """Each test that began has ended, and so has the run."""
    found = after(RUN, Begun("a", 1.0), Attempt("a", "passed"), End(2.0, 0))

    assert (found.tests(), found.is_cut(), found.notes()) == ([], False, [])


def test_a_record_without_an_end_was_cut_short() -> None:
    """What it counts is up to the last finished test, whether or not one was running."""
    [idle] = after(RUN, Begun("a", 1.0), Attempt("a", "passed")).notes()
    [busy] = after(RUN, *[Begun(name, 1.0) for name in "abcde"], Attempt("c", "failed")).notes()

    assert idle == (
        "the record of run ab12 has no end (killed, or still running): it counts up to the last"
        " finished test"
    )
    assert busy == f"{idle}; 4 tests were interrupted: a, b, d, and 1 more"


@pytest.mark.parametrize("outcome", ["crashed", "rerun"])
def test_an_attempt_that_is_repeated_does_not_end_its_test(outcome: str) -> None:
    """The test runs on, and may be interrupted in its second attempt."""
    lines = [RUN, Begun("a", 1.0), Attempt("a", outcome)]

    assert after(*lines).tests() == ["a"]
    assert after(*lines, Attempt("a", "passed", attempt=2)).tests() == []


def test_the_same_test_may_run_on_two_workers() -> None:
    """With --dist=each one of both may end, and the other not."""
    found = after(RUN, Begun("a", 1.0), Begun("a", 1.0), Attempt("a", "passed", worker="gw0"))

    assert found.tests() == ["a"]


def test_the_end_of_a_run_knows_better() -> None:
    """The controller knows of tests whose last report was never sent."""
    found = after(RUN, Begun("a", 1.0), Begun("b", 1.0), End(2.0, 2, interrupted=("b",)))

    assert found.tests() == ["b"]
    assert not found.is_cut()
    assert found.notes() == ["1 test was interrupted when the run ended: b"]


def test_each_of_several_records_is_judged_by_itself() -> None:
    """An attempt of one run does not end a test of another."""
    again = Run("cd34", 5.0)
    found = after(RUN, Begun("a", 1.0), again, Begun("a", 6.0), Attempt("a", "passed"), End(7.0, 0))

    [note] = found.notes()
    assert "run ab12 " in note
    assert note.endswith("1 test was interrupted: a")


def test_an_attempt_of_an_older_version_ends_nothing() -> None:
    """Its records have no line for a test that begins."""
    assert after(RUN, Attempt("a", "passed")).tests() == []


def test_a_list_that_is_cut_says_how_many_more() -> None:
    """Three names are shown."""
    assert in_short("abc") == "a, b, c"
    assert in_short("abcdef") == "a, b, c, and 3 more"
    assert in_short([]) == ""
