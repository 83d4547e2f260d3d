"""What a person wants to know at the end of a run, folded from the lines of its record."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.digest import Digest, growth
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    Crash,
    End,
    Leftover,
    Line,
    Memory,
    Run,
    Sample,
    WorkerDeath,
)

CRASH = Crash("the browser died (SIGKILL)", "crashed")


def digest(*lines: Line, keep: int = 10) -> Digest:
    """Fold some lines."""
    folded = Digest(keep=keep)
    for line in lines:
        folded.add(line)
    return folded


def event(name: str, detail: str = "") -> BrowserEvent:
    """Something happens to a browser."""
    return BrowserEvent(name, "main/browser-1", 1, 0.0, detail=detail)


def attempt(nodeid: str, seconds: float = 0.0, grown: int | None = None) -> Attempt:
    """A test passes, after some time, with its browser's memory grown."""
    memory = {} if grown is None else {"browser-1": Memory(1000, 1000 + grown, 1000)}
    return Attempt(nodeid, "passed", worker="main", phases={"call": seconds}, memory=memory)


def test_an_empty_run_has_nothing_to_tell() -> None:
    """Without lines every number is zero."""
    assert digest() == Digest()


def test_the_frame_of_a_run_is_kept() -> None:
    """First and last line are at hand."""
    run, end = Run("a", 1.0), End(2.0, 0)
    assert digest(Sample("uptime", 1.0)) == Digest()
    assert (digest(run, end).run, digest(run, end).end) == (run, end)


def test_browser_events_are_counted_by_what_they_mean() -> None:
    """A first launch, a renewal by reason, a replacement, a failure by cause, a deferral."""
    folded = digest(
        event("launched", "start"),
        event("replaced", "tests"),
        event("replaced", "tests"),
        event("replaced", "memory"),
        event("replaced", "crash"),
        event("launch-failed", "no memory"),
        event("deferred", "age"),
        event("driver-died", "it died"),
        event("handed-over", "browser-1"),
    )
    assert folded.launched == 1
    assert folded.recycled == {"tests": 2, "memory": 1}
    assert folded.replaced == 1
    assert folded.launch_failures == {"no memory": 1}
    assert folded.deferred == 1
    assert folded.driver_deaths == 1


def test_a_crash_is_survived_when_the_same_test_then_passes() -> None:
    """Two tests lose a browser; one of them passes on its second attempt."""
    lost = Attempt("a", "crashed", crash=CRASH)
    failed = Attempt("b", "failed", crash=CRASH)
    folded = digest(lost, attempt("a"), failed, attempt("c"))
    assert folded.crashes == [lost, failed]
    assert folded.survived == 1
    assert folded.attempts == 4


def test_a_test_that_passed_in_spite_of_a_crash_survived_it() -> None:
    """A browser that dies after the last assertion costs nothing."""
    folded = digest(Attempt("a", "passed", crash=CRASH), attempt("a"))
    assert folded.survived == 1


def test_a_dead_worker_is_told_with_the_test_it_was_running() -> None:
    """It is no browser crash."""
    line = Attempt("a", "worker-crashed", worker="gw0")
    folded = digest(line)
    assert folded.worker_crashes == [line]
    assert folded.crashes == []


def test_the_slowest_attempts_come_first() -> None:
    """No more are kept than asked for, and the rest are dropped on the way."""
    lines = [attempt(str(seconds), seconds) for seconds in (3.0, 1.0, 5.0, 2.0, 4.0)]
    folded = digest(*lines, keep=3)
    assert [line.nodeid for line in folded.slowest(2)] == ["5.0", "4.0"]
    assert [line.nodeid for line in folded.slowest(9)] == ["5.0", "4.0", "3.0"]


def test_the_hungriest_attempts_come_first() -> None:
    """Only attempts under which a browser grew are hungry."""
    lines = [attempt(str(grown), grown=grown) for grown in (300, 0, 500)]
    assert [line.nodeid for line in digest(*lines).hungriest(5)] == ["500", "300"]


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ({}, 0),
        ({"browser-1": Memory(100, 400, 300)}, 300),
        ({"browser-1": Memory(100, 400), "browser-2": Memory(50, 60)}, 310),
        ({"browser-1": Memory(None, 400, 300)}, 0),
        ({"browser-1": Memory(100, None, None)}, 0),
        ({"worker": Memory(100, 400, 300), "driver": Memory(1, 9, 9)}, 0),
    ],
)
def test_growth_is_the_rise_of_the_browsers_alone(memory: dict[str, Memory], expected: int) -> None:
    """From the reading before the test to its peak, where both are known."""
    assert growth(Attempt("a", "passed", memory=memory)) == expected


def test_a_workers_peak_is_the_sum_of_its_processes() -> None:
    """The highest sum of Python, driver and browsers, worker by worker."""
    folded = digest(
        Attempt("a", "passed", worker="gw0", memory={"worker": Memory(1, 5, 2)}),
        Attempt("b", "passed", worker="gw0", memory={"worker": Memory(1, 5), "x": Memory(1, 7)}),
        Attempt("c", "passed", worker="gw0", memory={"worker": Memory(1, 6)}),
        Attempt("d", "passed", worker="gw1", memory={"worker": Memory(1, 3)}),
        Attempt("e", "passed", worker="gw2", memory={"worker": Memory(1, None)}),
    )
    assert folded.peaks == {"gw0": 12, "gw1": 3}


def test_leaks_are_counted_by_the_line_that_opened_them() -> None:
    """The same line in two tests is one place."""
    leaks = (Leftover("context", "a context", "test_a.py:7"), Leftover("page", "a page", "b.py:1"))
    folded = digest(Attempt("a", "failed", leaks=leaks), Attempt("b", "failed", leaks=leaks[:1]))
    assert folded.leaks == {("context", "test_a.py:7"): 2, ("page", "b.py:1"): 1}


def test_a_full_ranking_takes_no_lesser_attempt() -> None:
    """With one place, the slowest attempt keeps it against a quicker one."""
    digest = Digest(keep=1)
    for name, seconds in (("slow", 2.0), ("quick", 1.0)):
        digest.add(Attempt(nodeid=name, outcome="passed", phases={"call": seconds}))

    assert [attempt.nodeid for attempt in digest.slowest(5)] == ["slow"]


def test_workers_that_died_are_counted_once() -> None:
    """Whether under a test or not, and whether xdist or the test's report says so."""
    found = digest(
        WorkerDeath("gw0", 1.0),
        Attempt("a", "worker-crashed", worker="gw0"),
        WorkerDeath("gw1", 2.0, partial=True),
        Attempt("b", "worker-crashed", worker="gw2"),
    )

    assert found.dead_workers() == {"gw0": "a", "gw2": "b", "gw1": ""}
