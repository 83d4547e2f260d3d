"""What gates can ask about a run, folded from its lines."""

from __future__ import annotations

import pytest

from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    Crash,
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
from pytest_sentinel.telemetry.samples import MEASURED, Samples, from_lines

RUN = Run("a", 100.0, suite="shop", branch_class="pr")


def numbers(metric: str, *lines: Line) -> list[float]:
    """Return the values of a metric after some lines."""
    return [value.value for value in from_lines(lines).values.get(metric, ())]


def attempt(nodeid: str = "test_a", outcome: str = "passed", **more: object) -> Attempt:
    """One run of a test, of one second."""
    given: dict[str, object] = {"worker": "gw0", "phases": {"call": 1.0}, "finished": 5.0, **more}
    return Attempt(nodeid, outcome, **given)  # type: ignore[arg-type]


def test_an_empty_run_has_measured_nothing() -> None:
    """Without an attempt there is no observation, not even a zero."""
    assert from_lines([RUN]).values == {}


def test_an_attempt_is_observed_with_its_labels() -> None:
    """Suite and branch come from the run, the rest from the attempt."""
    found = from_lines([RUN, attempt(engine="chromium")]).values["browser_tests"]

    assert [(value.value, value.at) for value in found] == [(1.0, 5.0)]
    assert found[0].labels == {
        "suite": "shop",
        "branch_class": "pr",
        "worker": "gw0",
        "browser": "chromium",
        "outcome": "passed",
    }


def test_a_test_without_a_browser_is_no_browser_test() -> None:
    """It counts among the tests alone; a name of a browser is enough to be one."""
    lines = [attempt(), attempt("test_b", browsers=("gw0/browser-1",))]

    assert numbers("tests", *lines) == [1.0, 1.0]
    assert numbers("browser_tests", *lines) == [1.0]


def test_a_skipped_test_is_no_operation() -> None:
    """It has no duration, and neither fails nor succeeds."""
    line = attempt(outcome="skipped")

    assert numbers("tests", line) == []
    assert numbers("error_rate", line) == []
    assert numbers("leaks", line) == [0.0]


@pytest.mark.parametrize("outcome", ["failed", "error", "worker-crashed", "crashed"])
def test_the_last_attempt_decides_about_a_test(outcome: str) -> None:
    """One that failed first and then passed is flaky, and no error."""
    bad, good = attempt(outcome=outcome), attempt(attempt=2)

    assert numbers("error_rate", bad, good) == [0.0]
    assert numbers("error_rate", good, bad) == [1.0]
    assert numbers("flaky", bad, good) == [0.0, 1.0]
    assert numbers("flaky", good, bad) == [0.0, 0.0]
    assert numbers("reruns", bad, good) == [0.0, 1.0]


def test_runs_do_not_answer_for_each_other() -> None:
    """The same test in two records is two operations, and not flaky."""
    lines = [RUN, attempt(outcome="failed"), Run("b", 200.0), attempt()]

    assert numbers("error_rate", *lines) == [1.0, 0.0]
    assert numbers("flaky", *lines) == [0.0, 0.0]


def test_faults_are_told_apart() -> None:
    """Infrastructure and harness have rates of their own, over all attempts."""
    lines = [
        attempt(outcome="error", failure="infrastructure"),
        attempt("test_b", outcome="error", failure="harness"),
        attempt("test_c", outcome="failed", failure="product"),
    ]

    assert numbers("infrastructure_rate", *lines) == [1.0, 0.0, 0.0]
    assert numbers("harness_rate", *lines) == [0.0, 1.0, 0.0]


def test_memory_is_that_of_a_whole_worker() -> None:
    """The peak adds Python, driver and browsers up; growth is that of browsers, never below 0."""
    memory = {
        "worker": Memory(1, 10, 1),
        "driver": Memory(1, 20, 1),
        "browser-1": Memory(5, 30, 1),
        "browser-2": Memory(50, 40, 1),
        "browser-3": Memory(None, 7, 1),
        "browser-4": Memory(4, None, 1),
    }

    assert numbers("worker_memory", attempt(memory=memory)) == [107.0]
    assert numbers("test_memory_growth", attempt(memory=memory)) == [25.0, 0.0]


def test_leaks_and_crashes_are_counted() -> None:
    """An attempt has as many leaks as it left things open; one death of a browser or a worker."""
    leaks = (Leftover("page", "a page", "a.py:1"), Leftover("thread", "a thread", "a.py:2"))

    assert numbers("leaks", attempt(leaks=leaks), attempt()) == [2.0, 0.0]
    assert numbers("crashes", attempt(crash=Crash("died", "crashed")), attempt()) == [1.0, 0.0]
    assert numbers("crashes", attempt(outcome="worker-crashed")) == [1.0]


def test_pages_are_observed() -> None:
    """Console, uncaught errors, failed requests, and each vital that a page has."""
    page = PageFigures(
        console={"error": 2, "warning": 5},
        errors=1,
        requests={"document ok": 3, "image http_4xx": 2, "fetch failed": 1},
        visits=(Visit("http://shop/", ttfb=0.1, lcp=0.5, cls=0.2), Visit("http://shop/b")),
    )
    line = attempt(page=page)

    assert numbers("console_errors", line) == [2.0]
    assert numbers("page_errors", line) == [1.0]
    assert numbers("failed_requests", line) == [3.0]
    assert [numbers(vital, line) for vital in ("ttfb", "lcp", "cls", "inp")] == [
        [0.1], [0.5], [0.2], [],
    ]  # fmt: skip


def test_launches_samples_and_the_end_are_observed() -> None:
    """A start of a browser that took time, an observation of somebody else, the run's duration."""
    lines = [
        RUN,
        BrowserEvent("launched", "gw0/browser-1", 1, 1.0, "gw0", "start", 0.4),
        BrowserEvent("crashed", "gw0/browser-1", 1, 2.0, "gw0"),
        BrowserEvent("replaced", "gw0/browser-2", 1, 3.0, "gw0", "crash"),
        Sample("pool_wait", 0.05, 4.0),
        Sample("uptime", 1.0, 4.0, {"target": "service"}),
        Sample("from_the_future", 1.0),
        End(160.0, 0),
    ]
    found = from_lines(lines).values

    assert numbers("launch_time", *lines) == [0.4]
    assert found["pool_wait"][0].labels == {"suite": "shop", "branch_class": "pr"}
    assert found["uptime"][0].labels == {"target": "service"}
    assert numbers("run_duration", *lines) == [60.0]
    assert "from_the_future" not in found


def test_only_what_is_asked_for_is_kept() -> None:
    """A run with gates on leaks keeps no durations."""
    samples = Samples(only=frozenset({"leaks"}))
    samples.add(attempt())
    samples.add(GateVerdict("a", "a", "pass"))

    assert list(samples.values) == ["leaks"]


def test_an_unknown_metric_is_a_bug() -> None:
    """Who takes an observation names a metric that gates know."""
    with pytest.raises(KeyError):
        Samples().take("latency", 1.0)


def test_every_metric_explains_itself() -> None:
    """Each has a help text, and a unit that gates can read."""
    assert all(measured.help for measured in MEASURED.values())
    assert {measured.unit for measured in MEASURED.values()} == {"seconds", "bytes", "ratio", ""}


def test_a_wait_is_that_of_each_attempt_with_a_browser() -> None:
    """Also one of no time; an attempt without a browser does not wait for one."""
    lines = [attempt(wait=0.5), attempt("test_b", wait=0.0), attempt("test_c")]

    assert numbers("pool_wait", *lines) == [0.5, 0.0]


def test_slots_in_use_are_a_share_of_those_there_is_room_for() -> None:
    """From the first attempt with a browser to the end of the last one; each browser counts."""
    run = Run("a", 100.0, slots=4)
    lines = [
        attempt(started=101.0, finished=103.0, browsers=("gw0/browser-1",)),
        attempt("test_b", started=102.0, finished=103.0, browsers=("gw1/a", "gw1/b")),
        attempt("test_c", started=100.0, finished=109.0),
        attempt("test_d", started=104.0, finished=105.0, browsers=("gw0/browser-1",)),
    ]

    assert numbers("pool_utilization", run, *lines) == [(2 + 2 + 1) / (4 * 4)]
    assert numbers("pool_utilization", RUN, *lines) == []
    assert numbers("pool_utilization", run, attempt(started=101.0)) == []
    # Shards of a run count each by itself.
    assert len(numbers("pool_utilization", run, *lines, run, *lines)) == 2


def test_equal_observations_may_come_in_one_line() -> None:
    """A line says how many there were."""
    assert numbers("pool_wait", Sample("pool_wait", 0.1, count=3)) == [0.1, 0.1, 0.1]


def test_a_column_reads_like_a_list() -> None:
    """By place, by slice, narrowed by labels, and by the moment."""
    samples = Samples()
    for number, worker in enumerate(("gw0", "gw1", "gw0")):
        samples.take("worker_memory", float(number), {"worker": worker}, at=10.0 - number)
    column = samples.values["worker_memory"]

    assert [value.value for value in column[1:]] == [1.0, 2.0]
    assert column[-1].labels == {"worker": "gw0"}
    assert list(column.narrowed({"worker": "gw0"}).numbers) == [0.0, 2.0]
    assert column.narrowed({}) is column
    assert column.latest() == 0.0
    assert {name: list(kept) for name, kept in column.split("worker").items()} == {
        "gw0": [0.0, 2.0],
        "gw1": [1.0],
    }
