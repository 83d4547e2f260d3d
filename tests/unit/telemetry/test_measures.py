"""The metrics of a run, folded from the lines of its record."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.catalogue import OTHER
from pytest_sentinel.telemetry.measures import Measures, hash_test
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    End,
    GateVerdict,
    Leftover,
    Line,
    Memory,
    PageFigures,
    Run,
    Sample,
    Visit,
)

RUN = Run("a", 100.0, versions={"python": "3.13.1"}, suite="shop", branch_class="pr")


def measured(*lines: Line) -> Measures:
    """Fold some lines, after the first one of a run."""
    measures = Measures(512, {"error_ratio": 0.001})
    for line in (RUN, *lines):
        measures.add(line)
    return measures


def number(measures: Measures, name: str, *labels: str) -> float | None:
    """Return one value."""
    return measures.table.numbers.get(f"sentinel_{name}", {}).get(labels)


def attempt(nodeid: str = "test_a", outcome: str = "passed", **more: object) -> Attempt:
    """One run of a test, of one second, in Chromium."""
    given: dict[str, object] = {
        "worker": "gw0", "phases": {"call": 1.0}, "finished": 5.0, "engine": "chromium", **more,
    }  # fmt: skip
    return Attempt(nodeid, outcome, **given)  # type: ignore[arg-type]


def event(name: str, detail: str = "", seconds: float | None = None) -> BrowserEvent:
    """Something happens to a browser."""
    return BrowserEvent(name, "gw0/browser-1", 1, 1.0, "gw0", detail, seconds)


def test_a_run_begins_with_zeros() -> None:
    """Counters that a rate will be taken of are there before their first event."""
    measures = measured()

    assert number(measures, "test_failures_total", "shop", "harness") == 0
    assert number(measures, "export_failures_total", "push") == 0
    assert number(measures, "browser_crashes_total") == 0
    assert number(measures, "worker_memory_limit_bytes") == 512
    assert number(measures, "slo_target", "error_ratio") == 0.001
    assert number(measures, "build_info", "", "3.13.1", "") == 1


def test_without_a_limit_none_is_told() -> None:
    """What nobody promised is no metric."""
    measures = Measures()
    measures.add(RUN)

    assert number(measures, "worker_memory_limit_bytes") is None


def test_an_attempt_counts_by_suite_browser_and_outcome() -> None:
    """Its phases go into a histogram, each with the test as an example of its bucket."""
    measures = measured(attempt(), attempt("test_b", "failed", failure="product", engine=""))

    assert number(measures, "tests_total", "shop", "chromium", "passed") == 1
    assert number(measures, "tests_total", "shop", "none", "failed") == 1
    assert number(measures, "test_failures_total", "shop", "product") == 1
    spread = measures.table.spreads["sentinel_test_duration_seconds"][("shop", "call")]
    assert (sum(spread.counts), spread.total) == (2, 2.0)
    assert spread.examples == {4: ("test_b", 1.0, 5.0)}


def test_a_value_on_an_edge_is_below_it() -> None:
    """A bucket counts what took no longer than its bound; the last one the rest."""
    measures = measured()
    for seconds in (0.2, 0.2001, 301.0):
        measures.observe("test_duration_seconds", seconds, "shop", "call")

    spread = measures.table.spreads["sentinel_test_duration_seconds"][("shop", "call")]
    assert [spread.counts[2], spread.counts[3], spread.counts[-1]] == [1, 1, 1]
    assert spread.examples == {}


def test_repeats_are_counted() -> None:
    """A second attempt is a rerun; one that passes after a bad one makes the test flaky."""
    measures = measured(attempt(outcome="failed"), attempt(), attempt("b"), attempt("b"))

    assert number(measures, "test_reruns_total", "shop", "chromium") == 2
    assert number(measures, "flaky_tests_total", "shop", "chromium") == 1


def test_workers_and_browsers_have_their_memory() -> None:
    """A worker's is the sum of its processes; growth never falls below zero."""
    memory = {"worker": Memory(1, 10, 1), "browser-1": Memory(50, 40, 1)}
    measures = measured(
        attempt(memory=memory), attempt("b", worker="gw1", memory={"worker": Memory(peak=7)})
    )

    assert number(measures, "workers") == 2
    assert number(measures, "worker_memory_bytes", "gw0") == 50
    assert number(measures, "browser_memory_bytes", "gw0") == 40
    assert number(measures, "worker_memory_bytes", "gw1") == 7
    assert number(measures, "browser_memory_bytes", "gw1") is None
    grown = measures.table.spreads["sentinel_test_memory_growth_bytes"]
    assert [(key, spread.counts[0], spread.total) for key, spread in grown.items()] == [
        (("chromium",), 1, 0.0)
    ]


def test_what_happens_to_browsers_is_counted() -> None:
    """Starts by reason and duration, deaths, starts in vain; other events are no metric."""
    measures = measured(
        event("launched", "start", 0.4),
        event("replaced", "crash"),
        event("crashed"),
        event("driver-died"),
        event("launch-failed"),
        event("handed-over"),
        Sample("uptime", 1.0),
    )

    assert number(measures, "browser_launches_total", "start") == 1
    assert number(measures, "browser_launches_total", "crash") == 1
    assert number(measures, "browser_crashes_total") == 1
    assert number(measures, "driver_deaths_total") == 1
    assert number(measures, "browser_launch_failures_total") == 1
    spread = measures.table.spreads["sentinel_browser_launch_duration_seconds"][()]
    assert spread.total == 0.4


def test_waits_and_slots_in_use_are_measured() -> None:
    """Of the room that there is; of a pool elsewhere as often as it was looked at."""
    lines = [
        attempt(wait=0.1, started=1.0, finished=3.0, browsers=("gw0/a",)),
        attempt("test_b", wait=0.0, started=1.0, finished=5.0, browsers=("gw1/a",)),
        attempt("test_c"),
    ]
    end = End(160.0, 0)

    alone = measured(Run("a", 0.0, suite="shop", branch_class="pr", slots=4), *lines, end)
    looks = [Sample("pool_utilization", 0.5), Sample("pool_utilization", 0.2, count=2)]
    leased = measured(*lines, *looks, Sample("uptime", 1.0), end)

    assert sum(alone.table.spreads["sentinel_browser_wait_seconds"][()].counts) == 2
    assert number(alone, "run_slots_used_ratio", "shop", "pr") == (2 + 4) / (4 * 4)
    assert number(leased, "run_slots_used_ratio", "shop", "pr") == pytest.approx(0.3)
    assert number(measured(*lines, end), "run_slots_used_ratio", "shop", "pr") is None


def test_leaks_and_dead_workers_are_counted() -> None:
    """Each thing left open by its kind; each worker that died."""
    measures = measured(
        attempt(leaks=(Leftover("page", "a page", "a.py:1"),)), attempt("b", "worker-crashed")
    )

    assert number(measures, "leak_suspects_total", "page") == 1
    assert number(measures, "worker_crashes_total") == 1


def test_pages_are_measured() -> None:
    """Console, uncaught errors, requests, vitals, and what is held at the end."""
    page = PageFigures(
        console={"error": 2}, errors=1, requests={"image http_4xx": 3}, heap=9, nodes=4,
        visits=(Visit("http://shop/", lcp=2.5, cls=0.1), Visit("http://shop/b", ttfb=0.2)),
    )  # fmt: skip
    measures = measured(attempt(page=page), attempt("b", page=PageFigures()))

    assert number(measures, "page_console_messages_total", "error") == 2
    assert number(measures, "page_errors_total") == 1
    assert number(measures, "page_requests_total", "image", "http_4xx") == 3
    assert number(measures, "page_heap_used_bytes", "gw0") == 9
    assert number(measures, "page_dom_nodes", "gw0") == 4
    vitals = measures.table.spreads["sentinel_page_web_vital_seconds"]
    assert {key: spread.total for key, spread in vitals.items()} == {("lcp",): 2.5, ("ttfb",): 0.2}
    assert measures.table.spreads["sentinel_page_layout_shift_score"][()].total == 0.1


def test_what_is_out_of_bounds_is_other_and_counted() -> None:
    """An unknown kind of leak has no series of its own."""
    measures = measured(attempt(leaks=(Leftover("ghost", "a ghost", "a.py:1"),)))

    assert number(measures, "leak_suspects_total", OTHER) == 1
    assert number(measures, "label_overflow_total", "sentinel_leak_suspects_total") == 1


def test_the_end_sets_the_gauges_of_the_last_run() -> None:
    """Tests by their final outcome, faults, duration, and what gates said."""
    measures = measured(
        attempt(outcome="failed", failure="product"),
        attempt(),
        attempt("b", "error", failure="infrastructure", phases={"call": 3.0}),
        attempt("c", "skipped", memory={"worker": Memory(peak=70)}),
        GateVerdict("fast", "tests: max < 1s", "fail", 3.0, 2),
        GateVerdict("up", "uptime: rate > 99%", "no data"),
        End(160.0, 0, 0.5),
    )
    labels = ("shop", "pr")

    assert number(measures, "run_last_completed_timestamp_seconds", *labels) == 160
    assert number(measures, "run_last_success_timestamp_seconds", *labels) == 160
    assert number(measures, "run_duration_seconds", *labels) == 60
    assert number(measures, "run_tests", *labels, "passed") == 1
    assert number(measures, "run_tests", *labels, "failed") == 0
    assert number(measures, "run_tests", *labels, "error") == 1
    assert number(measures, "run_failures", *labels, "infrastructure") == 1
    assert number(measures, "run_failures", *labels, "product") == 0
    assert number(measures, "run_reruns", *labels) == 1
    assert number(measures, "run_flaky_tests", *labels) == 1
    assert number(measures, "run_test_duration_p95_seconds", *labels) == 3
    assert number(measures, "run_peak_worker_memory_bytes", *labels) == 70
    assert number(measures, "run_quality_gate_passed", *labels, "fast") == 0
    assert number(measures, "run_quality_gate_passed", *labels, "up") is None
    assert number(measures, "sampler_cpu_seconds") == 0.5


def test_a_bad_and_empty_run_has_no_success() -> None:
    """Nor a duration of tests, nor a peak."""
    measures = measured(End(160.0, 1))

    assert number(measures, "run_last_success_timestamp_seconds", "shop", "pr") is None
    assert number(measures, "run_test_duration_p95_seconds", "shop", "pr") is None
    assert number(measures, "run_peak_worker_memory_bytes", "shop", "pr") is None


def test_a_copy_does_not_change() -> None:
    """Who reads while others count has the values of one moment."""
    measures = measured(attempt())
    copy = measures.table.copy()
    measures.add(attempt("b"))

    assert copy.numbers["sentinel_tests_total"] == {("shop", "chromium", "passed"): 1.0}
    assert copy.spreads["sentinel_test_duration_seconds"][("shop", "call")].total == 1.0
    names = [series.name for series in copy.series()]
    assert names[:2] == ["sentinel_tests_total", "sentinel_test_failures_total"]


def test_a_test_is_named_by_12_digits() -> None:
    """The same for the same name, whatever bytes it has; short enough for an exemplar."""
    assert hash_test("a::b") == hash_test("a::b") != hash_test("a::c")
    assert len(hash_test("\udcff")) == 12


def test_an_unknown_metric_is_a_bug() -> None:
    """Nothing is measured under a name that the catalogue has not."""
    with pytest.raises(KeyError):
        Measures().count("latency")
