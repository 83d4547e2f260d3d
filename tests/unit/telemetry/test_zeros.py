"""Series as they were before anything had happened."""

from __future__ import annotations

from pytest_sentinel.telemetry.catalogue import CATALOGUE
from pytest_sentinel.telemetry.measures import Measures, Table
from pytest_sentinel.telemetry.record import Attempt, Leftover, Run
from pytest_sentinel.telemetry.zeros import at_zero, with_zeros, zeros

FAILED = ("shop", "none", "failed")


def measured() -> Table:
    """A run with one test that failed, and left a page open."""
    measures = Measures(worker_limit=512)
    measures.add(Run("a", 0.0, suite="shop"))
    leak = Leftover("page", "at 'about:blank'", "test_a.py:1")
    measures.add(Attempt("a", "failed", failure="product", phases={"call": 1.0}, leaks=(leak,)))
    return measures.table


def test_every_series_of_a_run_that_grows_is_there_before_its_first_event() -> None:
    """All but those with a label whose values nobody knows beforehand."""
    table = zeros("shop")

    growing = {
        s.name for s in CATALOGUE if s.source == "run" and s.kind in ("counter", "histogram")
    }
    assert {*table.numbers, *table.spreads} == growing - {"sentinel_label_overflow_total"}
    assert table.numbers["sentinel_tests_total"][FAILED] == 0
    assert set(table.numbers["sentinel_tests_total"].values()) == {0.0}
    assert sum(table.spreads["sentinel_test_duration_seconds"]["shop", "call"].counts) == 0


def test_their_number_is_bounded() -> None:
    """No more than the catalogue allows, and few enough to be scraped every second."""
    table = zeros("shop")

    for series in CATALOGUE:
        assert len(table.numbers.get(series.name, ())) <= series.cap
    assert sum(map(len, table.numbers.values())) < 150
    assert sum(map(len, table.spreads.values())) < 20


def test_what_was_measured_stays() -> None:
    """Zeros fill gaps, and overwrite nothing."""
    table = with_zeros(measured(), zeros("shop"))

    assert table.numbers["sentinel_tests_total"][FAILED] == 1
    assert table.numbers["sentinel_tests_total"]["shop", "none", "passed"] == 0
    assert table.numbers["sentinel_worker_memory_limit_bytes"][()] == 512
    assert table.spreads["sentinel_test_duration_seconds"]["shop", "call"].total == 1.0


def test_the_first_scrape_sees_counters_at_zero_and_gauges_as_they_are() -> None:
    """Whatever has happened by then."""
    before = measured()
    table = at_zero(before, zeros("shop"))

    assert table.numbers["sentinel_tests_total"][FAILED] == 0
    assert table.numbers["sentinel_leak_suspects_total"]["page",] == 0
    assert table.numbers["sentinel_worker_memory_limit_bytes"][()] == 512
    assert table.spreads["sentinel_test_duration_seconds"]["shop", "call"].total == 0
    assert before.numbers["sentinel_tests_total"][FAILED] == 1
