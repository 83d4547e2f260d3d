"""The closing section, row by row."""

from __future__ import annotations

from pytest_sentinel.gates import Verdict, evaluate, parse_all
from pytest_sentinel.report import Row, closing_section, one_line
from pytest_sentinel.telemetry.digest import Digest
from pytest_sentinel.telemetry.record import (
    Attempt,
    Begun,
    BrowserEvent,
    Crash,
    End,
    Leftover,
    Line,
    Memory,
    Run,
    WorkerDeath,
)
from pytest_sentinel.telemetry.samples import Samples
from pytest_sentinel.units import MIB


def digest(*lines: Line) -> Digest:
    """Fold some lines."""
    folded = Digest()
    for line in lines:
        folded.add(line)
    return folded


def section(folded: Digest, top: int = 3, record: str = "") -> list[Row]:
    """Return the closing section for a limit of 512 MiB."""
    return list(closing_section(folded, worker_limit=512 * MIB, top=top, record=record))


def event(name: str, detail: str = "") -> BrowserEvent:
    """Something happens to a browser."""
    return BrowserEvent(name, "main/browser-1", 1, 0.0, detail=detail)


def crashed(nodeid: str, outcome: str = "crashed", memory: int | None = None) -> Attempt:
    """A browser dies under a test."""
    crash = Crash("the browser died (SIGKILL)", "crashed", memory=memory)
    return Attempt(nodeid, outcome, crash=crash)


def used(worker: str, peak: int, nodeid: str = "a", start: int | None = None) -> Attempt:
    """A test runs with a browser of so many MiB."""
    memory = {"browser-1": Memory(None if start is None else start * MIB, peak * MIB, peak * MIB)}
    return Attempt(nodeid, "passed", worker=worker, phases={"call": 0.5}, memory=memory)


def test_a_quiet_run_takes_a_line() -> None:
    """When nothing happened, the number of browsers is all there is to say."""
    assert section(digest(event("launched"))) == [Row("browsers   1 launched")]


def test_what_happened_to_browsers_is_one_line() -> None:
    """Every count that is not zero is told, the most frequent reason first."""
    folded = digest(
        event("launched"),
        *[event("replaced", reason) for reason in ("memory", "tests", "tests")],
        event("replaced", "crash"),
        event("deferred", "age"),
        event("driver-died", "it died"),
        event("launch-failed", "no memory"),
        crashed("a"),
        Attempt("a", "passed"),
    )
    [row] = [row for row in section(folded, top=0) if row.text.startswith("browsers")]
    assert row.text == (
        "browsers   1 launched, 3 recycled (tests 2, memory 1), 1 replaced after a crash, "
        "1 kept although worn (contexts stayed open), 1 launch failed, "
        "Playwright's driver died 1 x, 1 crashed, 1 survived"
    )


def test_crashes_come_first_and_say_how_they_ended() -> None:
    """A lost attempt was run again; a crash that cost the test says its outcome."""
    rows = section(digest(crashed("a", memory=79 * MIB), crashed("b", "failed")), top=0)
    assert rows[:2] == [
        Row("crashed    a: the browser died (SIGKILL), 79 MiB [attempt 1: run again]", "bad"),
        Row("crashed    b: the browser died (SIGKILL) [attempt 1: failed]", "bad"),
    ]


def test_many_crashes_fit_a_screen() -> None:
    """Five are told, the rest are counted."""
    rows = section(digest(*[crashed(str(number)) for number in range(8)]), top=0)
    assert [row.text.split(":")[0] for row in rows[:6]] == [
        *[f"crashed    {number}" for number in range(5)],
        "           and 3 more crashes",
    ]


def test_a_dead_worker_is_told() -> None:
    """With the test it was running."""
    rows = section(digest(Attempt("a", "worker-crashed", worker="gw1")), top=0)
    assert rows[0] == Row("worker     gw1 died while running a", "bad")


def test_the_commonest_causes_of_failed_launches_are_told() -> None:
    """Two causes at most, with how often, and how many more there are."""
    causes = ["no memory"] * 3 + ["exit code 127"] * 2 + ["no display"]
    rows = section(digest(*[event("launch-failed", cause) for cause in causes]), top=0)
    assert rows[:2] == [
        Row("launch     failed 3 x: no memory", "bad"),
        Row("launch     failed 2 x: exit code 127", "bad"),
    ]
    assert rows[2] == Row("           and 1 more cause", "bad")
    assert rows[3].text.startswith("browsers")


def test_leaks_are_told_with_the_line_that_opened_them() -> None:
    """The most frequent first; the same line is told once, with how often."""
    context = Leftover("context", "a context", "test_a.py:7 in login")
    page = Leftover("page-leak", "grows", "window.cache")
    lines = [
        Attempt("a", "failed", leaks=(context,)),
        Attempt("b", "failed", leaks=(context, page)),
    ]
    assert section(digest(*lines), top=0)[:2] == [
        Row("leaked     2 x context opened at test_a.py:7 in login", "bad"),
        Row("leaked     page keeps window.cache", "bad"),
    ]


def test_many_leaks_fit_a_screen() -> None:
    """Eight places are told, the rest are counted."""
    leaks = tuple(Leftover("context", "a context", f"test_a.py:{n}") for n in range(10))
    rows = section(digest(Attempt("a", "failed", leaks=leaks)), top=0)
    assert rows[7].text == "leaked     context opened at test_a.py:7"
    assert rows[8].text == "           and from 2 more places, see the record"


def test_memory_within_the_limit_is_good() -> None:
    """The peak of the one worker stands against its limit."""
    [_, row] = section(digest(used("main", 235)), top=0)
    assert row == Row(
        "memory     worker peak 235 MiB of 512 MiB (Python + driver + browsers, PSS)", "good"
    )


def test_memory_above_the_limit_is_bad_and_names_the_worker() -> None:
    """Of several workers the hungriest is told."""
    [_, row] = section(digest(used("gw0", 235), used("gw1", 600)), top=0)
    assert row == Row(
        "memory     worker peak 600 MiB of 512 MiB in gw1 (Python + driver + browsers, PSS)", "bad"
    )


def test_the_slowest_and_hungriest_are_named() -> None:
    """As many as asked for; the title stands on the first."""
    folded = digest(used("main", 200, "a", start=40), used("main", 200, "b", start=100))
    rows = [row.text for row in section(folded, top=2)][2:]
    assert rows == [
        "slowest       500 ms  a",
        "              500 ms  b",
        "hungriest   +160 MiB  a",
        "            +100 MiB  b",
    ]


def test_what_any_page_costs_is_no_appetite() -> None:
    """A test under which the browser grew by less than 64 MiB is not called hungry."""
    folded = digest(used("main", 103, "a", start=40))
    assert [row.text[:9] for row in section(folded, top=1)][-1] == "slowest  "


def test_long_names_are_cut_at_the_front() -> None:
    """What tells two tests apart stands at the end."""
    nodeid = "d" * 100 + "::test_name"
    row = section(digest(used("main", 100, nodeid)), top=1)[-1]
    assert row.text == "slowest       500 ms  ..." + nodeid[-90:]


def test_the_record_is_told_last() -> None:
    """Its path is the last row, and there is none where no record is kept."""
    assert section(digest(), record=".sentinel/run.jsonl")[-1] == Row(
        "record     .sentinel/run.jsonl"
    )


def test_silence_is_broken_for_trouble_only() -> None:
    """Under -q one line is worth it, if a browser or worker died or did not launch."""
    assert one_line(digest(event("launched"), event("replaced", "tests"))) is None
    assert one_line(digest(event("launched"), crashed("a"))) == Row(
        "sentinel: 1 launched, 1 crashed, 0 survived", "bad"
    )
    assert one_line(digest(event("launch-failed", "x"))) == Row(
        "sentinel: 0 launched, 1 launch failed", "bad"
    )


def test_a_dead_worker_breaks_the_silence_and_is_named() -> None:
    """A line that says nothing of the worker would be no help."""
    row = one_line(digest(event("launched"), Attempt("a", "worker-crashed", worker="gw1")))
    assert row == Row("sentinel: 1 launched, worker gw1 died", "bad")


def test_leaks_break_the_silence() -> None:
    """Under -q one number says that there is something to read."""
    leaks = (Leftover("thread", "'poller'", "a.py:1"), Leftover("context", "", "a.py:2"))
    folded = digest(event("launched"), Attempt("a", "passed", leaks=leaks))
    assert one_line(folded) == Row("sentinel: 2 left open", "bad")


def test_a_run_without_browsers_speaks_of_none() -> None:
    """When only leaks are to be told, no line counts browsers."""
    folded = digest(Attempt("a", "passed", leaks=(Leftover("thread", "'poller'", "a.py:1"),)))
    assert section(folded, top=0) == [Row("leaked     thread opened at a.py:1", "bad")]


def verdicts(gates: str) -> list[Verdict]:
    """What gates say of a run with one leak in one test."""
    samples = Samples()
    samples.take("leaks", 1.0)
    return evaluate(parse_all(gates), samples)


def test_gates_that_do_not_pass_come_first() -> None:
    """Each broken one with its numbers, each without data; the others as a number."""
    found = verdicts("leaks: count == 0\nuptime: rate > 99%\nleaks: count < 5")
    rows = list(closing_section(digest(), worker_limit=1, top=0, record="", verdicts=found))

    assert rows[:3] == [
        Row("gate       FAIL      leaks: count == 0: 1 (1 sample)", "bad"),
        Row("gate       no data   uptime: rate > 99%: nothing was measured", "bad"),
        Row("gates      1 of 3 pass", "good"),
    ]
    quiet = one_line(digest(), found)
    assert quiet is not None
    assert quiet.text == (
        "sentinel: gate leaks: count == 0: fail, gate uptime: rate > 99%: no data"
    )
    assert one_line(digest(), verdicts("leaks: count < 5")) is None


def test_whose_fault_failures_were_is_told_when_not_all_are_the_products() -> None:
    """A run that only the product failed needs no such line."""
    product = Attempt("a", "failed", failure="product")
    lost = Attempt("b", "error", failure="harness")

    assert not any(row.text.startswith("failures") for row in section(digest(product)))
    assert Row("failures   1 product, 0 infrastructure, 1 harness", "bad") in section(
        digest(product, lost)
    )


def test_numbers_that_are_lower_bounds_say_so() -> None:
    """Nobody knows what a worker held under its last test, nor always what it launched."""
    death = WorkerDeath("gw1", 1.0, partial=True)
    rows = [row.text for row in section(digest(event("launched"), used("gw0", 100), death), top=0)]

    assert rows[:2] == [
        "worker     gw1 died while it ran no test",
        "browsers   at least 1 launched",
    ]
    assert rows[2].startswith("memory     worker peak at least 100 MiB of 512 MiB")


def test_many_dead_workers_are_cut_and_counted() -> None:
    """Five are named."""
    found = digest(*[WorkerDeath(f"gw{number}", 1.0) for number in range(7)])

    assert section(found, top=0)[5] == Row("           and 2 more workers", "bad")
    row = one_line(found)
    assert row is not None
    assert row.text.endswith("workers gw0, gw1, gw2, and 4 more died")


def test_interrupted_tests_are_named() -> None:
    """Three at most, with how many more."""
    begun = [Begun(name, 0.0) for name in "abcd"]
    rows = section(digest(Run("x", 0.0), *begun, End(1.0, 2, interrupted=tuple("abcd"))), top=0)

    assert rows[0] == Row("unfinished 4 tests were interrupted: a, b, c, and 1 more", "bad")
