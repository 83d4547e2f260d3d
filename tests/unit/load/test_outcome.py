"""What a load run came to: gates told apart from doubt, tables and JSON that say it all."""

from __future__ import annotations

import json

import pytest

from pytest_sentinel import gates
from pytest_sentinel.load import outcome
from pytest_sentinel.load.runrecord import lines_of
from pytest_sentinel.load.summary import summary_of
from pytest_sentinel.load.tally import Outcome, Tally
from pytest_sentinel.load.wire import PageLoad
from pytest_sentinel.telemetry.record import End, GateVerdict, Run, Sample, decode, encode
from pytest_sentinel.telemetry.samples import from_lines


def run() -> Tally:
    """Return the books of a small run."""
    tally = Tally()
    ends = [Outcome.PASSED] * 8 + [Outcome.FAILED, Outcome.INFRASTRUCTURE, Outcome.DROPPED]
    for end in ends:
        tally.begin()
        tally.end("Shopper.buy", end)
    for number in range(9):
        tally.served("Shopper.buy", 1.0 + number / 10, 2.0 + number)
        tally.waited("Shopper.buy", 0.1)
        tally.step("Shopper.buy/home", 0.5, failed=number == 0)
        tally.request("GET /", 0.01, failed=False)
    tally.page(PageLoad("home", ttfb=0.1, fcp=0.2, lcp=0.3, cls=0.05))
    tally.page(PageLoad("cart", inp=0.02))
    tally.was_late("Shopper.buy")
    tally.busy, tally.possible = 1.0, 4.0
    tally.lag.add(0.001)
    tally.weigh("one", 300 * 1024 * 1024)
    return tally


def judged(tally: Tally, *texts: str) -> tuple[list[str], int]:
    """Return the states of gates, and the exit status."""
    verdicts, status = outcome.judge(tally, [gates.parse(text) for text in texts])
    return [verdict.state.value for verdict in verdicts], status


@pytest.mark.parametrize(
    ("gate", "state", "status"),
    [
        ('load_iterations{task="Shopper.buy"}: max <= 1.8s', "pass", 0),
        ("load_iterations: count == 9", "pass", 0),
        ('load_requests{task="Shopper.buy/home"}: p(95) < 1s', "pass", 0),
        ('load_requests{task="GET /"}: p(95) < 1ms', "fail", 99),
        ("error_rate: rate < 1%", "fail", 99),
        ("error_rate: count == 1", "pass", 0),
        ("infrastructure_rate: rate <= 10%", "pass", 0),
        ("pool_wait: p(95) < 200ms", "pass", 0),
        ("pool_utilization: avg < 80%", "pass", 0),
        ("worker_memory: max < 256MiB", "fail", 99),
        ("lcp: p(75) < 2500ms", "pass", 0),
        ("cls: p(75) < 0.1", "pass", 0),
        ("uptime: rate > 99%", "no data", 98),
    ],
)
def test_gates_ask_about_load(gate: str, state: str, status: int) -> None:
    """What a run measures can be gated; what it does not is no data."""
    assert judged(run(), gate) == ([state], status)


def unfinished(ended: int, dropped: int) -> Tally:
    """Return the books of a run in which some iterations never ended."""
    tally = Tally()
    for _ in range(ended):
        tally.begin()
        tally.end("Shopper.buy", Outcome.PASSED)
        tally.served("Shopper.buy", 1.0, None)
        tally.step("Shopper.buy/home", 0.5, failed=False)
    for _ in range(dropped):
        tally.begin()
        tally.end("Shopper.buy", Outcome.DROPPED)
    tally.request("GET /", 0.01, failed=False)
    return tally


@pytest.mark.parametrize(
    ("gate", "few", "most"),
    [
        ("load_iterations: p(95) < 1h", "no data", "pass"),
        ('load_iterations{task="Shopper.buy"}: p(95) < 1h', "no data", "pass"),
        ('load_requests{task="Shopper.buy/home"}: p(95) < 1h', "no data", "pass"),
        ('load_requests{task="GET /"}: p(95) < 1h', "pass", "pass"),
        ("error_rate: rate < 1%", "no data", "pass"),
        ("iterations_ended: rate > 40%", "fail", "pass"),
    ],
)
def test_a_run_whose_iterations_mostly_never_ended_is_no_data(
    gate: str, few: str, most: str
) -> None:
    """Two samples of 26 iterations say nothing; half of them do. Also of a stored record."""
    for tally, state in ((unfinished(2, 24), few), (unfinished(10, 10), most)):
        status = {"no data": 98, "fail": 99, "pass": 0}[state]
        assert judged(tally, gate) == ([state], status)
        lines = lines_of(Run("r", 0.0), tally, [], End(1.0, 0))
        stored = from_lines(decode(map(encode, lines)))
        assert gates.evaluate([gates.parse(gate)], stored)[0].state.value == state


def test_what_never_ended_is_said() -> None:
    """The gate says why it has no data; tables, report and summary have both numbers."""
    tally = unfinished(2, 24)
    verdicts, _ = outcome.judge(tally, [gates.parse("error_rate: rate < 1%")])

    text = "\n".join(outcome.tables(tally, verdicts))

    assert verdicts[0].reason == "only 2 of 26 iterations ended"
    assert "Gate no data: error_rate: rate < 1%: only 2 of 26 iterations ended" in text
    assert "Ended: 2 of 26 iterations that were begun" in text
    assert (outcome.as_json(tally)["begun"], outcome.as_json(tally)["ended"]) == (26, 2)
    assert (summary_of(tally, 1.0)["begun"], summary_of(tally, 1.0)["ended"]) == (26, 2)


def test_a_skipped_iteration_is_neither_good_nor_bad() -> None:
    """It has ended, and is in a column of its own, which other runs do not have."""
    tally = run()
    assert "skipped" not in "\n".join(outcome.tables(tally))
    assert "skipped" not in outcome.as_json(tally)["outcomes"]
    tally.begin()
    tally.end("Shopper.buy", Outcome.SKIPPED)

    assert "skipped" in "\n".join(outcome.tables(tally))
    assert outcome.as_json(tally)["outcomes"]["skipped"] == 1
    assert judged(tally, "iterations_ended: count == 10") == (["pass"], 0)
    assert judged(tally, "load_iterations: count == 9") == (["pass"], 0)


def test_a_failure_outside_of_steps_is_an_error() -> None:
    """No step told of it, and the error rate knows it all the same."""
    tally = run()
    tally.failed_outside("Shopper.buy")

    assert judged(tally, "error_rate: count == 2") == (["pass"], 0)
    assert judged(tally, 'error_rate{task="Shopper.buy"}: rate == 100%') == (["pass"], 0)


def test_an_unhealthy_generator_is_no_breach_and_no_pass() -> None:
    """Figures that cannot be trusted are invalid, whatever the gates say of them."""
    late, busy = run(), run()
    for _ in range(10):
        late.lag.add(0.2)
    busy.doubt("Locust used more than 90 % of a core")

    for tally in (late, busy):
        assert judged(tally, "load_iterations: p(95) < 1ms") == (["fail"], 98)
        assert judged(tally, "load_iterations: p(95) < 1h") == (["pass"], 98)
        assert len(outcome.doubts(tally)) == 1
    assert outcome.doubts(run()) == []


def test_an_empty_run_has_no_data() -> None:
    """Nothing is made up where nothing was measured."""
    names = ("load_iterations: p(95) < 1s", "pool_utilization: avg < 1", "error_rate: rate < 1")

    assert judged(Tally(), *names) == (["no data"] * 3, 98)
    assert outcome.as_json(Tally())["loop_lag"] is None
    assert outcome.tables(Tally())[:2] == ["", "Browser users"]


def test_the_report_has_everything() -> None:
    """It is JSON, and its numbers are those of the books."""
    verdicts, _ = outcome.judge(run(), [gates.parse("load_iterations: p(95) < 1s")])

    report = json.loads(json.dumps(outcome.as_json(run(), verdicts)))

    assert report["begun"] == sum(report["outcomes"].values()) == 11
    figures = report["iterations"]["Shopper.buy"]
    assert (figures["passed"], figures["late"]) == (8, 1)
    assert figures["service"]["p50"] == pytest.approx(1.4, rel=0.01)
    assert figures["response"]["max"] == 10.0
    assert report["steps"]["Shopper.buy/home"]["failures"] == 1
    assert report["requests"]["GET /"]["count"] == 9
    assert report["vitals"]["home|lcp"]["count"] == 1
    assert report["utilization"] == 0.25
    assert report["gates"][0]["state"] == "fail"


def test_tables_say_what_a_person_wants_to_know() -> None:
    """Iterations by outcome, percentiles, vitals, gates and doubts."""
    tally = run()
    tally.doubt("a worker missed its heartbeats")
    tally.begin()
    tally.end("Shopper.look", Outcome.PASSED)
    verdicts, _ = outcome.judge(tally, [gates.parse("load_iterations: p(95) < 1s")])

    text = "\n".join(outcome.tables(tally, verdicts))

    assert "Shopper.buy" in text
    assert "from the intended start" in text
    assert "home" in text
    assert "Slots in use: 25%" in text
    assert "Invalid: a worker missed its heartbeats (1 times)" in text
    assert "Gate fail: load_iterations: p(95) < 1s: 1.8 s (9 samples)" in text


def test_a_run_without_browsers_shows_no_table_of_them() -> None:
    """Users that only call are told in a line; the two kinds stand beside each other."""
    calls, both = Tally(), run()
    for tally in (calls, both):
        tally.task("Caller.read")

    assert outcome.tables(calls) == ["", "Iterations without a browser: Caller.read 1"]
    assert "Browser users" in outcome.tables(both)
    assert "Iterations without a browser: Caller.read 1" in outcome.tables(both)


def test_pages_have_one_row_each() -> None:
    """A vital that a page does not have is absent."""
    rows = {row["page"]: row for row in outcome.vital_rows(run())}

    assert rows["home"]["lcp"] == pytest.approx(0.3, rel=0.01)
    assert rows["cart"].keys() == {"page", "loads", "inp"}


def test_looks_at_services_are_uptime() -> None:
    """Each is one sample, with the address; what failed is in the share."""
    tally = run()
    for up in (True, True, False):
        tally.probed("127.0.0.1:9323", up=up)

    assert judged(tally, 'uptime{target="127.0.0.1:9323"}: count == 2') == (["pass"], 0)
    assert judged(tally, "uptime: rate > 99%") == (["fail"], 99)
    merged = Tally()
    merged.merge(tally)
    assert (merged.probes, merged.probe_failures) == ({"127.0.0.1:9323": 3}, {"127.0.0.1:9323": 1})


def test_the_record_says_what_gates_ask_about() -> None:
    """Judged from its record, a run passes and fails as at its end; equal times share a line."""
    tally = run()
    asked = [
        gates.parse(text) for text in ("load_iterations: max <= 1.8s", "error_rate: rate < 1%")
    ]
    verdicts, _ = outcome.judge(tally, asked)

    lines = list(lines_of(Run("a", 100.0, suite="shop"), tally, verdicts, End(160.0, 99)))

    again = gates.evaluate(asked, from_lines(decode(map(encode, lines))))
    assert [(each.state, each.value, each.samples) for each in again] == [
        (each.state, each.value, each.samples) for each in verdicts
    ]
    assert [
        line.count for line in lines if isinstance(line, Sample) and line.metric == "pool_wait"
    ] == [9]
    assert [line.state for line in lines if isinstance(line, GateVerdict)] == ["pass", "fail"]
    assert isinstance(lines[0], Run)
    assert isinstance(lines[-1], End)
