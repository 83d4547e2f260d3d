"""The summary of a load run: what a run is compared by is all there, and chance has its range."""

from __future__ import annotations

import json

import pytest

from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.summary import range_of, summary_of
from pytest_sentinel.load.tally import Outcome, Tally


def run() -> Tally:
    """Return the books of a run of both kinds of users."""
    tally = Tally()
    for outcome in (Outcome.PASSED, Outcome.PASSED, Outcome.FAILED, Outcome.DROPPED):
        tally.begin()
        tally.end("Shopper.buy", outcome)
        tally.step("Shopper.buy/home", 0.5, failed=outcome is Outcome.FAILED)
    for number in range(100):
        tally.task("Caller.read")
        tally.request("GET /meals", 0.010 + number / 10_000, failed=number < 2)
    return tally


def test_the_summary_has_every_endpoint() -> None:
    """Requests and steps, each with its counts, times and errors, and all of them together."""
    summary = json.loads(json.dumps(summary_of(run(), 12.0)))

    assert summary["seconds"] == 12.0
    assert summary["tasks"] == {"Caller.read": 100, "Shopper.buy": 3}
    assert (summary["iterations"], summary["requests"], summary["errors"]) == (103, 104, 3)
    assert list(summary["endpoints"]) == ["GET /meals", "STEP Shopper.buy/home"]
    meals = summary["endpoints"]["GET /meals"]
    assert (meals["requests"], meals["errors"]) == (100, 2)
    assert meals["mean"] == pytest.approx(0.01495)
    assert meals["deviation"] == pytest.approx(0.00289, rel=0.02)
    assert meals["p95"] == pytest.approx(0.0194, rel=0.02)
    assert summary["total"]["requests"] == 104


def test_each_figure_lies_within_its_range() -> None:
    """The range is around the figure, and is the narrower the more was measured."""
    meals = summary_of(run(), 1.0)["endpoints"]["GET /meals"]
    many = Histogram()
    for number in range(10_000):
        many.add(0.010 + number / 1_000_000)

    for name, (low, high) in meals["ranges"].items():
        assert low <= meals[name] <= high
    low, high = range_of(many, 0.95)
    assert high - low < meals["ranges"]["p95"][1] - meals["ranges"]["p95"][0]


def test_one_request_has_a_range_without_width() -> None:
    """What was measured once says nothing of chance, and is no error."""
    tally = Tally()
    tally.request("GET /", 0.2, failed=False)

    figures = summary_of(tally, 1.0)["endpoints"]["GET /"]

    assert figures["ranges"]["p99"] == [0.2, 0.2]
    assert figures["deviation"] == 0.0


def test_a_run_of_nothing_has_a_summary() -> None:
    """Nothing is made up where nothing was measured."""
    summary = summary_of(Tally(), 0.0)

    assert (summary["iterations"], summary["requests"], summary["endpoints"]) == (0, 0, {})
    assert summary["total"] == {"requests": 0, "errors": 0}
