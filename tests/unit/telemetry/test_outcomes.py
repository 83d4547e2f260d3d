"""What reports come to, whatever they hold."""

from __future__ import annotations

import enum
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_sentinel.telemetry.outcomes import (
    Ended,
    Folding,
    fault_of_exit,
    outcome_of,
    seconds_of,
    worse,
)

FACTS = {"attempt": 1, "started": 5.0}


def report(when: object = "call", outcome: object = "passed", **more: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"nodeid": "a", "when": when, "outcome": outcome, **more})


def fold(*reports: SimpleNamespace, facts: dict[str, Any] | None = FACTS) -> list[Ended]:
    folding = Folding()
    found = [each for one in reports[:-1] for each in folding.take(one, "gw0", None)]
    return found + list(folding.take(reports[-1], "gw0", facts))


class Word(enum.StrEnum):
    KNOWN = "known-bug"


@pytest.mark.parametrize(
    ("one", "said"),
    [
        (report(), "passed"),
        (report("setup", "failed"), "error"),
        (report("teardown", "failed"), "error"),
        (report("call", "failed"), "failed"),
        (report("???", "failed"), "failed"),
        (report("call", "rerun"), "failed"),
        (report("setup", "rerun", sentinel_repeated=True), "crashed"),
        (report("call", "skipped", wasxfail=""), "xfailed"),
        (report("call", "passed", wasxfail=""), "xpassed"),
        (report("call", "known-bug", wasxfail=""), "known-bug"),
        (report("call", Word.KNOWN), "known-bug"),
        (report("call", None), "None"),
        (SimpleNamespace(), ""),
    ],
)
def test_what_a_report_says(one: SimpleNamespace, said: str) -> None:
    """pytest's own words become the record's, everybody else's stay as they are."""
    assert outcome_of(one) == said


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        ("passed", "skipped", "skipped"),
        ("known-bug", "passed", "known-bug"),
        ("skipped", "known-bug", "known-bug"),
        ("known-bug", "failed", "failed"),
        ("error", "known-bug", "error"),
        ("one", "two", "two"),
    ],
)
def test_which_outcome_is_worse(one: str, other: str, result: str) -> None:
    """A made-up outcome is worse than none, and better than a failure."""
    assert worse(one, other) == result


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(1.5, 1.5), (2, 2.0), (None, 0.0), ("0.5", 0.5), ("soon", 0.0), (object(), 0.0),
     (float("nan"), 0.0), (float("inf"), 0.0), (-1.0, 0.0)],
)  # fmt: skip
def test_a_duration_is_a_length_of_time_or_nothing(duration: object, seconds: float) -> None:
    """What is no length of time counts as 0, and can be written to the record."""
    assert seconds_of(report(duration=duration)) == seconds
    assert seconds_of(report()) == 0.0


def test_an_attempt_ends_with_its_facts() -> None:
    """Its outcome is the worst of its phases, and each phase has the longest time reported."""
    reports = (
        report("setup", duration=1.0),
        report("call", "known-bug", duration=2.0, context="a subtest"),
        report("call", "failed", duration=3.0, context="a subtest"),
        report("call", "passed", duration=9.0),
        report("verify", "passed", duration=4.0),
        report("teardown", duration=0.5),
    )
    [ended] = fold(*reports[:3], *reports[4:])
    assert (ended.outcome, ended.facts) == ("failed", FACTS)
    assert ended.phases == {"setup": 1.0, "call": 3.0, "verify": 4.0, "teardown": 0.5}


def test_names_that_are_no_plain_text_are_taken_as_text() -> None:
    """A phase may be a member of an enum, or nothing at all."""
    assert fold(report(when=Word.KNOWN), report(when=None))[0].phases == {
        "known-bug": 0.0,
        "None": 0.0,
    }


def test_a_repeated_attempt_is_crashed_whatever_its_parts_were() -> None:
    """What the dead browser made of subtests is no verdict on them."""
    lost = report("call", "rerun", sentinel_repeated=True)
    [ended] = fold(report("setup"), report("call", "failed", context="a subtest"), lost)
    assert ended.outcome == "crashed"


def test_a_phase_that_another_plugin_repeats_is_an_attempt_each() -> None:
    """pytest-retry reports a call as retried, and then the next one."""
    first, second, last = fold(
        report("setup"),
        report("call", "retried"),
        report("call", "retried"),
        report("call"),
        report("teardown"),
    )
    assert [one.outcome for one in (first, second, last)] == ["retried", "retried", "passed"]
    assert [one.before for one in (first, second, last)] == [0, 1, 2]
    assert (first.facts, last.facts) == (None, FACTS)


def test_what_nobody_reported_is_taken_from_the_facts() -> None:
    """flaky sends no report of a call that it repeats; what was reported stands as it is."""
    facts = {**FACTS, "phases": {"setup": ("failed", 9.0), "call": ("failed", 2.0)}}
    [ended] = fold(report("setup", duration=1.0), report("teardown"), facts=facts)
    assert ended.outcome == "failed"
    assert ended.phases == {"setup": 1.0, "teardown": 0.0, "call": 2.0}


def test_a_report_that_is_sent_twice_is_one_attempt() -> None:
    """The second copy of the last report ends nothing."""
    folding = Folding()
    last = report("teardown")
    assert len(list(folding.take(last, "gw0", FACTS))) == 1
    assert list(folding.take(last, "gw0", FACTS)) == []
    assert len(list(folding.take(last, "gw0", {**FACTS, "attempt": 2}))) == 1


def test_a_test_whose_facts_nobody_sent_ends_when_it_is_over() -> None:
    """It is recorded by what its reports say, once, and no other test with it."""
    folding = Folding()
    list(folding.take(report("???", "failed"), "gw0", None))
    list(folding.take(report(nodeid="b"), "gw0", None))
    assert [(one.nodeid, one.outcome) for one in folding.finish("a")] == [("a", "failed")]
    assert list(folding.finish("a")) == []
    folding.drop("b", "gw0")
    assert list(folding.finish("b")) == []


def test_whose_fault_the_end_of_a_worker_is() -> None:
    """An exit code is the test's own doing, a signal is not."""
    assert [fault_of_exit(code) for code in (0, 1, -9, None)] == [
        "product",
        "product",
        "infrastructure",
        "infrastructure",
    ]
