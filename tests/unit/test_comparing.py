"""Two runs compared: what is worse is told, and chance alone never is."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from pytest_sentinel import comparereport
from pytest_sentinel.comparing import (
    BETTER,
    GONE,
    NEW,
    SAME,
    WORSE,
    Change,
    Figure,
    Told,
    compare,
    is_worse,
    mean_of,
    quantile_of,
    read_lines,
    read_summary,
    share_of,
)
from pytest_sentinel.telemetry.record import Attempt, Leftover, Line, Memory, Run, Sample


def told(**figures: Figure) -> Told:
    """Return a run with these figures."""
    return Told(figures={name.replace("_", " "): figure for name, figure in figures.items()})


def verdict(before: Figure, after: Figure, threshold: float = 0.1) -> str:
    """Return what is said of one figure."""
    (line,) = compare(told(it=before), told(it=after), threshold)
    return line.verdict


def seconds(value: float, low: float, high: float) -> Figure:
    """Return a duration with its range."""
    return Figure(value, low, high, "seconds")


def test_what_rose_beyond_chance_and_threshold_is_worse() -> None:
    """Both have to hold; what fell so is better."""
    low, high = seconds(1.0, 0.95, 1.05), seconds(1.3, 1.25, 1.35)

    assert verdict(low, high) == WORSE
    assert verdict(high, low) == BETTER
    assert verdict(low, seconds(1.3, 1.1, 1.5)) == SAME  # the ranges meet
    assert verdict(low, high, threshold=0.31) == SAME
    assert verdict(low, high, threshold=0.29) == WORSE


def test_of_throughput_more_is_better() -> None:
    """And less is worse."""
    low, high = Figure(10, 9, 11, "", True), Figure(20, 19, 21, "", True)

    assert verdict(low, high) == BETTER
    assert verdict(high, low) == WORSE


def test_what_is_too_small_to_be_told_is_the_same() -> None:
    """Half a millisecond is nothing, whatever it is a share of; neither is one error in 2,000."""
    assert verdict(seconds(0.0005, 0.0004, 0.0006), seconds(0.001, 0.0009, 0.0011)) == SAME
    assert verdict(share_of(0, 100_000), share_of(50, 100_000)) == SAME
    assert verdict(share_of(0, 100_000), share_of(500, 100_000)) == WORSE


def test_what_one_run_lacks_is_new_or_gone() -> None:
    """It is no verdict on it."""
    figure = seconds(1, 0.9, 1.1)

    lines = compare(told(old=figure, it=figure), told(it=figure, fresh=figure))

    assert [(line.name, line.verdict) for line in lines] == [
        ("old", GONE), ("it", SAME), ("fresh", NEW),
    ]  # fmt: skip
    assert not is_worse(lines)


def test_a_quantile_that_a_run_is_too_short_for_is_open() -> None:
    """The highest of 50 requests does not bound their 99th percentile."""
    few, many = [n / 50 for n in range(50)], [n / 5000 for n in range(5000)]

    assert quantile_of(few, 0.99).high == math.inf
    assert quantile_of(many, 0.99).high < 1.0
    assert quantile_of([1.0, 2.0], 0.5).low == 0.0
    low, high = quantile_of(many, 0.5).low, quantile_of(many, 0.5).high
    assert 0.48 < low < 0.5 < high < 0.52


def test_a_mean_of_one_is_known_to_nobody() -> None:
    """Of few it is known badly: Student's t."""
    assert mean_of([3.0]).high == math.inf
    assert mean_of([1.0, 1.0, 1.0]) == Figure(1.0, 1.0, 1.0, "")
    found = mean_of([1.0, 2.0, 3.0, 4.0, 5.0], "seconds")
    assert found.high == pytest.approx(3 + 2.776 * 1.5811 / math.sqrt(5), rel=0.01)


def test_a_share_of_none_may_be_anything() -> None:
    """And no error among few is no proof of none."""
    assert share_of(0, 0) == Figure(0.0, 0.0, 1.0, "ratio")
    assert share_of(0, 10).high == pytest.approx(0.2775, abs=0.001)
    assert share_of(5, 10).low == pytest.approx(0.2366, abs=0.001)


SUMMARY: dict[str, Any] = {
    "schema": 1,
    "seconds": 120.0,
    "iterations": 453,
    "requests": 1359,
    "errors": 1,
    "endpoints": {
        "GET /meals": {
            "requests": 906, "errors": 1, "mean": 0.011, "deviation": 0.003,
            "p50": 0.01, "p95": 0.0156, "p99": 0.02,
            "ranges": {
                "mean": [0.0108, 0.0112], "p50": [0.0098, 0.0102],
                "p95": [0.015, 0.016], "p99": [0.018, 0.03],
            },
        },
        "STEP Shopper.buy/home": {"requests": 0, "errors": 3},
    },
    "total": {"requests": 0, "errors": 0},
    "doubts": [],
}  # fmt: skip


def changed(**more: Any) -> dict[str, Any]:
    """Return the summary with something else of its endpoint."""
    copy = json.loads(json.dumps(SUMMARY))
    copy["endpoints"]["GET /meals"] |= more
    found: dict[str, Any] = copy
    return found


def test_a_summary_of_load_is_read() -> None:
    """Each endpoint has its mean, quantiles and errors; a step is called as in a record."""
    figures = read_summary(SUMMARY).figures

    assert figures["GET /meals p95"] == Figure(0.0156, 0.015, 0.016, "seconds")
    assert figures["GET /meals p99"].high == 0.03
    assert figures["Shopper.buy/home errors"].value == 0.0
    assert figures["iterations per second"].value == pytest.approx(453 / 120)
    assert read_summary(changed(requests=100)).figures["GET /meals p99"].high == math.inf


def test_equal_summaries_are_the_same() -> None:
    """A slower endpoint is worse; one that fails more, too."""
    before = read_summary(SUMMARY)

    assert {line.verdict for line in compare(before, read_summary(SUMMARY))} == {SAME}
    slower = changed(
        p95=0.03, ranges={**SUMMARY["endpoints"]["GET /meals"]["ranges"], "p95": [0.028, 0.032]}
    )
    lines = compare(before, read_summary(slower))
    assert [line.name for line in lines if line.verdict == WORSE] == ["GET /meals p95"]
    lines = compare(before, read_summary(changed(errors=50)))
    assert [line.name for line in lines if line.verdict == WORSE] == ["GET /meals errors"]


@pytest.mark.parametrize(
    ("summary", "says"),
    [
        ({}, "is no summary of schema 1"),
        ({**SUMMARY, "schema": 2}, "is no summary of schema 1"),
        ({"schema": 1}, "is a damaged summary"),
        (changed(ranges={}), "is a damaged summary"),
        ({**SUMMARY, "endpoints": 3}, "is a damaged summary"),
    ],
)
def test_what_is_no_summary_is_refused(summary: dict[str, Any], says: str) -> None:
    """With the reason."""
    with pytest.raises(ValueError, match=says):
        read_summary(summary)


def test_a_run_of_no_time_has_no_throughput() -> None:
    """Nothing is divided by nothing."""
    assert read_summary({**SUMMARY, "seconds": 0}).figures["requests per second"].value == 0.0


def attempt(number: int, took: float, outcome: str = "passed", **more: Any) -> Attempt:
    """One run of a test."""
    return Attempt(f"test_{number}", outcome, phases={"call": took}, worker="gw0", **more)


def a_run(slower: float, seed: int, tests: int = 40, noise: float = 0.2) -> Told:
    """Return a run of tests of 10 ms to 10 s, each with a chance of its own."""
    dice = random.Random(seed)
    lines = [
        attempt(n, slower * 10 ** (n / tests * 3 - 2) * math.exp(dice.gauss(0, noise)),
                memory={"worker": Memory(peak=int(slower * 1e8 * math.exp(dice.gauss(0, noise))))})
        for n in range(tests)
    ]  # fmt: skip
    return read_lines([Run("a", 0.0), *lines])


def test_noise_is_never_worse() -> None:
    """In a thousand pairs of runs of the same tests not one is called worse, or better."""
    before = [a_run(1.0, seed) for seed in range(40)]
    after = [a_run(1.0, seed) for seed in range(100, 125)]

    verdicts = {line.verdict for one in before for two in after for line in compare(one, two)}

    assert verdicts == {SAME}


def test_tests_that_all_became_slower_are_worse() -> None:
    """By 30 %, though they differ a thousandfold among themselves; memory is told beside it."""
    lines = {
        line.name: line for line in compare(a_run(1.0, 1, noise=0.1), a_run(1.3, 2, noise=0.1))
    }

    assert lines["tests, each with itself"].verdict == WORSE
    assert lines["tests, each with itself"].share == pytest.approx(0.3, abs=0.1)
    assert lines["memory, each test with itself"].verdict == WORSE
    assert is_worse(lines.values())
    lines = {
        line.name: line for line in compare(a_run(1.3, 1, noise=0.1), a_run(1.0, 2, noise=0.1))
    }
    assert lines["tests, each with itself"].verdict == BETTER


def test_nine_tests_are_too_few() -> None:
    """However much slower they were; tests of one run alone say nothing."""
    lines = compare(a_run(1.0, 1, tests=9), a_run(9.0, 2, tests=9))

    assert [line.verdict for line in lines if "itself" in line.name] == [SAME, SAME]
    assert all(line.by_chance for line in lines if "itself" in line.name)
    names = [line.name for line in compare(a_run(1.0, 1), read_lines([Run("a", 0.0)]))]
    assert "tests, each with itself" not in names


def test_a_record_tells_of_errors_leaks_and_load() -> None:
    """Shares, counts for each attempt, and times of load by task."""
    lines = [
        Run("a", 0.0),
        attempt(1, 1.0, "failed", failure="product", leaks=(Leftover("page", "a", "b"),)),
        attempt(2, 1.0),
        Sample("load_requests", 0.1, labels={"task": "GET /"}, count=400),
        Sample("error_rate", 1.0, labels={"task": "GET /"}, count=4),
        Sample("error_rate", 0.0, labels={"task": "GET /"}, count=396),
        Sample("uptime", 1.0, labels={"target": "a:1"}, count=9),
        Sample("pool_utilization", 0.5),
        Sample("pool_wait", 0.1),
    ]

    figures = read_lines(lines).figures

    assert figures["error_rate"].value == 0.5
    assert figures["GET / errors"].value == 0.01
    assert figures["leaks per attempt"].value == 0.5
    assert figures["GET / p99"] == Figure(0.1, 0.1, 0.1, "seconds")
    assert figures["uptime"].more_is_better
    assert figures["pool_wait p95"].high == math.inf
    assert "pool_utilization p50" not in figures


LINES = [
    Change("a", "seconds", 1.0, 2.0, WORSE),
    Change("b|c", "", 1.0, 1.05, SAME, by_chance=True),
    Change("d", "bytes", 1024.0, 1024.0, SAME, by_chance=True),
    Change("e", "ratio", 0.0, 0.5, SAME, by_chance=True),
    Change("f", "ratio", None, 0.5, NEW),
]


def test_what_is_worse_comes_first() -> None:
    """Then what is better, and what there is nothing to say of; the last line counts."""
    assert comparereport.as_text(LINES, ["slow"]) == (
        "            before  after\n"
        "worse  a     1.0 s  2.0 s  +100.0 %\n"
        "new    f         -   50 %\n"
        "same   b|c       1   1.05  +5.0 %, within noise\n"
        "same   d     1 KiB  1 KiB  +0.0 %\n"
        "same   e       0 %   50 %  within noise\n"
        "Doubt: slow\n"
        "worse: 1 worse, 1 new, 3 same\n"
    )
    assert comparereport.as_text([]).endswith("same: nothing\n")


def test_a_comparison_is_told_to_machines() -> None:
    """JSON in base units; Markdown for a summary."""
    found = json.loads(comparereport.as_json(LINES))
    assert (found["verdict"], found["lines"][0]["change"]) == ("worse", 1.0)
    assert found["lines"][4]["before"] is None
    shown = comparereport.as_markdown(LINES)
    assert "| **worse** | `a` | 1.0 s | 2.0 s | +100.0 % |" in shown
    assert "`b\\|c`" in shown
    better = [Change("a", "seconds", 2.0, 1.0, BETTER)]
    assert comparereport.as_markdown(better).endswith("\nbetter: 1 better\n")


def test_equal_load_runs_are_never_worse() -> None:
    """Nor are 2,000 lines of requests whose times have a long tail."""
    dice = random.Random(7)

    def requests() -> list[Line]:
        return [
            Sample("load_requests", dice.lognormvariate(-4, 1), labels={"task": f"GET /{n % 8}"})
            for n in range(1600)
        ]

    runs = [read_lines([Run("a", 0.0), *requests()]) for _ in range(9)]
    verdicts = {
        line.verdict for one in runs for two in runs if one is not two for line in compare(one, two)
    }

    assert verdicts == {SAME}


def test_a_share_or_a_count_that_rose_by_chance_is_the_same() -> None:
    """Three errors after one, or one leak after none, are nothing yet; thirty are."""
    one, three, thirty = (share_of(n, 1359) for n in (1, 3, 30))

    assert verdict(one, three) == SAME
    assert verdict(one, thirty) == WORSE
