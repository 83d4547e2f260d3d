"""What a report says of itself, on a terminal and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

from pytest_sentinel.leaks.verdict import (
    Finding,
    Leak,
    LeakReport,
    Rate,
    Sample,
    sample_lines,
)

LEAK = Leak(
    kind="collection",
    owner="window.app.cache",
    retainer_path=("window", ".app", ".cache", "[*]"),
    constructor="Entry",
    per_iteration=Rate(1, 976 * 1024),
    retained_bytes=12 * 1024 * 1024,
    location="http://127.0.0.1/app.js:41:5",
    evidence="5 of 5, then 7 of 7 survived",
)
SAMPLES = (
    Sample(8, {"nodes": 26, "listeners": 3}, {"heap": 4096, "buffers": 10}),
    Sample(12, {"nodes": 26, "listeners": 7}, {"heap": 8192, "buffers": 10}),
    Sample(16, {"nodes": 26, "listeners": 11}, {"heap": 7168, "buffers": 10}),
)


def test_a_leak_names_owner_path_and_cure() -> None:
    """The lines of a leak go from rate to owner to path to what freeing it takes."""
    assert str(LEAK).splitlines() == [
        "+1 Entry (+976 KiB) per iteration  collection  [5 of 5, then 7 of 7 survived]",
        "  owner     window.app.cache  http://127.0.0.1/app.js:41:5",
        "  path      window -> .app -> .cache -> [*]",
        "  retained  12 MiB; 1 owner: cut it and they are free",
        f"  id        {LEAK.fingerprint}",
    ]


def test_a_leak_of_which_little_is_known_says_so() -> None:
    """Without owner, class or count there is still a line for each question."""
    assert str(Leak(kind="dom", owner="")).splitlines()[:2] == [
        "+growth dom per iteration  dom",
        "  owner     unknown",
    ]


def test_several_owners_are_a_warning() -> None:
    """When two owners hold the same objects, cutting one does not help."""
    shared = replace(LEAK, retainers=2)
    assert "2 independent owners: cutting one frees nothing" in str(shared)


def test_fingerprints_ignore_numbers_and_sizes() -> None:
    """The same leak found again, with other ids and rates, has the same name."""
    again = replace(LEAK, per_iteration=Rate(2, 5), retained_bytes=1, evidence="other")
    numbered = replace(LEAK, owner="window.app.cache17")
    assert again.fingerprint == LEAK.fingerprint != numbered.fingerprint
    assert numbered.fingerprint == replace(LEAK, owner="window.app.cache42").fingerprint


def test_samples_show_what_moved_and_name_what_stood_still() -> None:
    """Counters that changed get a row of values, sizes a row of steps, the rest one line."""
    assert sample_lines(SAMPLES) == [
        "iteration   8  12  16",
        "listeners   3  7  11",
        "heap        4 KiB  +4 KiB  -1 KiB",
        "flat        nodes, buffers",
    ]


def test_one_sample_has_no_rows() -> None:
    """A single reading shows nothing that moved."""
    assert sample_lines(SAMPLES[:1]) == []


def test_samples_that_all_moved_have_no_flat_line() -> None:
    """The line of what stood still is left out when nothing did."""
    moved = [Sample(1, {"nodes": 1}), Sample(2, {"nodes": 2})]
    assert sample_lines(moved) == ["iteration   1  2", "nodes       1  2"]


def test_a_report_is_read_from_the_top() -> None:
    """Verdict and reason first, then leaks, then samples, then what disturbed them."""
    report = LeakReport(
        "LEAK",
        (LEAK,) * 6,
        SAMPLES,
        (Finding("tracing is on"),),
        seconds=2.34,
        reason="window.app.cache grows with every iteration",
        allowed=(Leak(kind="dom", owner=""),),
    )
    lines = str(report).splitlines()
    assert lines[0] == ("LEAK  window.app.cache grows with every iteration  (16 iterations, 2.3 s)")
    assert lines[1] == f"  {str(LEAK).splitlines()[0]}"
    assert "  and 1 more" in lines
    assert "  allowed     dom" in lines
    assert lines[-1] == "  audit       tracing is on"


def test_an_empty_report_still_speaks() -> None:
    """Without samples no iteration was run."""
    assert str(LeakReport("CLEAN")) == "CLEAN  (0 iterations, 0.0 s)"


def test_the_report_becomes_json_without_its_snapshots() -> None:
    """JSON has everything a program may want, fingerprints included, but no snapshots."""
    report = LeakReport("LEAK", (LEAK,), SAMPLES, allowed=(LEAK,), snapshots=(b"{}",))
    plain = json.loads(json.dumps(report.to_dict()))
    assert plain["verdict"] == "LEAK"
    assert plain["leaks"][0]["fingerprint"] == plain["allowed"][0]["fingerprint"]
    assert plain["leaks"][0]["per_iteration"] == {"count": 1, "bytes": 999424}
    assert "snapshots" not in plain


def test_a_finding_reads_as_its_text() -> None:
    """A finding prints as the sentence it is."""
    assert str(Finding("two pages share a renderer", doubt=True)) == "two pages share a renderer"
