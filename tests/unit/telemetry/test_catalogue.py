"""Every metric is named once, in the words Prometheus asks for, and can never run wild."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pytest_sentinel
from pytest_sentinel.leaks.leftovers import KINDS
from pytest_sentinel.telemetry.catalogue import (
    BY_NAME,
    BY_SAMPLE,
    CATALOGUE,
    DOMAINS,
    DURATIONS,
    LEFTOVERS,
    OTHER,
    VITALS,
    WAITS,
    Labels,
    Series,
)

FORBIDDEN = {"nodeid", "test", "url", "pid", "run", "run_id", "instance", "sha", "lease", "owner"}


def test_names_are_told_once() -> None:
    """No two metrics share a name or the name of a sample."""
    assert len(BY_NAME) == len(CATALOGUE)
    assert len(BY_SAMPLE) == sum(len(series.samples) for series in CATALOGUE)


@pytest.mark.parametrize("series", CATALOGUE, ids=lambda series: series.name)
def test_a_metric_is_named_as_prometheus_asks(series: Series) -> None:
    """Prefix, base unit, ``_total`` for counters alone, a help text without a full stop."""
    assert re.fullmatch(r"sentinel_[a-z0-9_]+", series.name)
    assert series.name.endswith("_total") == (series.kind == "counter")
    assert series.name.endswith("_info") == (series.kind == "info")
    assert not re.search(r"_(ms|mb|kb|mib|percent|milliseconds|megabytes)\b", series.family)
    assert series.help
    assert not series.help.endswith(".")
    assert bool(series.buckets) == (series.kind == "histogram")
    assert list(series.buckets) == sorted(set(series.buckets))


@pytest.mark.parametrize("series", CATALOGUE, ids=lambda series: series.name)
def test_labels_are_bounded(series: Series) -> None:
    """Each label has a list of values or a number of them; none names a test, a page or a run."""
    assert set(series.labels) <= set(DOMAINS)
    assert not set(series.labels) & FORBIDDEN


def test_no_label_is_kept_for_nobody() -> None:
    """Every domain serves a metric."""
    assert set(DOMAINS) == {label for series in CATALOGUE for label in series.labels}


def test_a_run_cannot_expose_more_than_the_cap() -> None:
    """What a run can expose at the very most stays below 2,000 series."""
    assert sum(series.cap for series in CATALOGUE if series.source == "run") <= 2000


def test_targets_are_bucket_edges() -> None:
    """The promised 200 ms and 2 s, and the bounds of good web vitals, can be read exactly."""
    assert 0.2 in WAITS
    assert {0.2, 2.0} <= set(DURATIONS)
    assert {0.2, 0.5, 0.8, 1.8, 2.5, 3.0, 4.0} <= set(VITALS)


def test_every_counter_of_a_pool_has_a_metric() -> None:
    """What the books and the shell of a pool count is in the catalogue, by its cause."""
    package = Path(pytest_sentinel.__file__).parent / "pool"
    told = "".join(path.read_text() for path in package.glob("*.py"))
    counted = set(re.findall(r"count\(\s*\"(\w+_total)\"", told))

    assert {f"sentinel_pool_{name}" for name in counted} == {
        series.name
        for series in CATALOGUE
        if series.name.startswith("sentinel_pool_") and series.labels == ("cause",)
    }


def test_only_the_catalogue_names_a_metric() -> None:
    """No other file of the package spells a name out, but to look one up."""
    package = Path(pytest_sentinel.__file__).parent
    known = {name.removeprefix("sentinel_") for name in (*BY_SAMPLE, *BY_NAME)}
    spelled = {
        found
        for path in package.rglob("*.py")
        for found in re.findall(r"\bsentinel_([a-z_]+)", path.read_text())
        if found.endswith(("_total", "_seconds", "_bytes", "_ratio", "_users", "_info"))
    }

    assert spelled - known == set()


def test_every_kind_of_leftover_may_be_a_label() -> None:
    """What the search for leftovers finds, and a page leak, have a series each."""
    assert (*KINDS, "page-leak") == LEFTOVERS


def test_units_families_and_samples_follow_from_the_name() -> None:
    """A histogram has three samples; the unit is the last word, where it is one."""
    found = {name: BY_NAME[name] for name in BY_NAME}
    assert found["sentinel_tests_total"].family == "sentinel_tests"
    assert found["sentinel_tests_total"].samples == ("sentinel_tests_total",)
    assert found["sentinel_build_info"].family == "sentinel_build"
    assert found["sentinel_workers"].unit == ""
    assert found["sentinel_worker_memory_bytes"].unit == "bytes"
    assert found["sentinel_acquire_wait_seconds"].samples == (
        "sentinel_acquire_wait_seconds_bucket",
        "sentinel_acquire_wait_seconds_count",
        "sentinel_acquire_wait_seconds_sum",
    )


def test_a_value_from_the_list_is_written_as_it_is() -> None:
    """What a label may say, it says."""
    labels = Labels()
    series = BY_NAME["sentinel_test_failures_total"]

    assert labels.bound(series, ("shop", "product")) == ("shop", "product")
    assert labels.overflow == {}


def test_what_is_not_on_the_list_is_other() -> None:
    """An unknown word becomes ``other``, and is counted by metric; ``other`` itself is not."""
    labels = Labels()
    series = BY_NAME["sentinel_test_failures_total"]

    assert labels.bound(series, ("shop", "fate")) == ("shop", OTHER)
    assert labels.bound(series, ("shop", OTHER)) == ("shop", OTHER)
    assert labels.overflow == {"sentinel_test_failures_total": 1}


def test_the_newcomer_above_the_number_is_other() -> None:
    """A label with a number of values takes the first that come."""
    labels = Labels()
    series = BY_NAME["sentinel_worker_memory_bytes"]

    first = [labels.bound(series, (f"gw{n}",)) for n in range(64)]

    assert first == [(f"gw{n}",) for n in range(64)]
    assert labels.bound(series, ("gw64",)) == (OTHER,)
    assert labels.bound(series, ("gw3",)) == ("gw3",)
    assert labels.overflow == {series.name: 1}
