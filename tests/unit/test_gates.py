"""Thresholds: what is written, what is said of a run, and what becomes of it."""

from __future__ import annotations

import random

import pytest

from pytest_sentinel.errors import GateError
from pytest_sentinel.gates import (
    PRESETS,
    State,
    evaluate,
    exit_status,
    format_value,
    is_breach,
    needed,
    parse,
    parse_all,
    quantile,
)
from pytest_sentinel.telemetry.record import Attempt, Line, Run
from pytest_sentinel.telemetry.samples import MEASURED, Samples, from_lines
from pytest_sentinel.units import MIB


def taken(metric: str, *values: float, **labels: str) -> Samples:
    """Return observations of one metric."""
    samples = Samples()
    for value in values:
        samples.take(metric, value, labels)
    return samples


def state(gate: str, samples: Samples) -> State:
    """Return what a gate says."""
    return evaluate([parse(gate)], samples)[0].state


def status(gates: str, samples: Samples) -> int:
    """Return the exit status of some gates."""
    return exit_status(evaluate(parse_all(gates), samples))


# The truth table


@pytest.mark.parametrize(
    ("milliseconds", "expected"),
    [(194.0, State.PASS), (196.0, State.PASS), (199.9, State.PASS), (200.0, State.FAIL),
     (200.1, State.FAIL)],
)  # fmt: skip
def test_p95_against_200_milliseconds(milliseconds: float, expected: State) -> None:
    """The quantile is exact, no bucket: 199.9 passes, 200.1 does not; 200 is not below 200."""
    waits = [0.05] * 94 + [milliseconds / 1000] * 6

    assert state("pool_wait: p(95) < 200ms", taken("pool_wait", *waits)) is expected


@pytest.mark.parametrize(
    ("errors", "expected"), [(0, State.PASS), (1, State.PASS), (2, State.FAIL)]
)
def test_errors_among_1359_operations(errors: int, expected: State) -> None:
    """One is 0.074 %, two are 0.147 %."""
    rate = [1.0] * errors + [0.0] * (1359 - errors)

    assert state("error_rate: rate < 0.1%", taken("error_rate", *rate)) is expected


def test_a_metric_that_nobody_measured_is_no_data() -> None:
    """It is no pass, has no value, and is an exit status of its own."""
    found = evaluate(parse_all("leaks: count == 0"), Samples())

    assert [(v.state, v.value, v.reason) for v in found] == [
        (State.NO_DATA, None, "nothing was measured")
    ]
    assert exit_status(found) == 98


def test_whoever_judges_load_needs_the_ends_of_iterations() -> None:
    """Other gates need their own metric alone."""
    assert needed(parse_all("leaks: count == 0")) == {"leaks"}
    assert needed(parse_all("lcp: p(75) < 2s")) == {"lcp", "iterations_ended"}


def test_an_unknown_metric_is_refused() -> None:
    """It is an error before anything runs, which names what there is."""
    with pytest.raises(GateError, match=r"'latency' is none of browser_tests, .*worker_memory"):
        parse("latency: p(95) < 2s")


def test_a_late_worker_counts() -> None:
    """The order in which workers report changes nothing; what comes last can break a gate."""
    lines: list[Line] = [
        Attempt(f"test_{n}", "passed", worker=f"gw{n % 3}", phases={"call": 0.1}, engine="chromium")
        for n in range(30)
    ]
    late = Attempt("test_late", "failed", worker="gw3", phases={"call": 9.0}, engine="chromium")
    gate = parse("browser_tests: max < 2s")
    rate = parse("error_rate: rate < 1%")

    assert [v.state for v in evaluate([gate, rate], from_lines(lines))] == [State.PASS] * 2
    shuffled = [*lines, late]
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        found = evaluate([gate, rate], from_lines([Run("a", 0.0), *shuffled]))
        assert [(v.state, v.samples) for v in found] == [(State.FAIL, 31)] * 2


# Aggregations


@pytest.mark.parametrize(
    ("gate", "value"),
    [
        ("tests: p(0) < 1s", 1.0), ("tests: p(100) < 1s", 4.0), ("tests: p(50) < 1s", 2.5),
        ("tests: med < 1s", 2.5), ("tests: avg < 1s", 2.5), ("tests: min < 1s", 1.0),
        ("tests: max < 1s", 4.0), ("tests: count < 1", 4.0), ("tests: p( 99.9 ) < 1s", 3.997),
    ],
)  # fmt: skip
def test_aggregations_of_a_trend(gate: str, value: float) -> None:
    """Each is what its name says; quantiles lie between neighbours."""
    found = evaluate([parse(gate)], taken("tests", 4.0, 1.0, 3.0, 2.0))[0]

    assert found.value == pytest.approx(value)


def test_a_count_adds_up_and_a_rate_counts_what_is_true() -> None:
    """Leaks of all attempts together; errors by number."""
    assert evaluate([parse("leaks: count == 3")], taken("leaks", 0.0, 2.0, 1.0))[0].value == 3.0
    assert evaluate([parse("error_rate: count < 3")], taken("error_rate", 1.0, 0.0))[0].value == 1.0


def test_the_value_of_a_gauge_is_its_newest() -> None:
    """By the moment it was observed; of the same moment, the last."""
    samples = Samples()
    for at, value in ((2.0, 0.7), (3.0, 0.9), (3.0, 0.8), (1.0, 0.1)):
        samples.take("coverage", value, at=at)

    assert evaluate([parse("coverage: value >= 80%")], samples)[0].value == 0.8
    assert evaluate([parse("coverage: min >= 80%")], samples)[0].value == 0.1


@pytest.mark.parametrize(
    ("sign", "below", "equal", "above"),
    [
        ("<", True, False, False), ("<=", True, True, False), (">", False, False, True),
        (">=", False, True, True), ("==", False, True, False), ("!=", True, False, True),
    ],
)  # fmt: skip
def test_every_operator_at_its_boundary(sign: str, below: bool, equal: bool, above: bool) -> None:
    """Below, at and above the limit."""
    gate = f"coverage: value {sign} 80%"
    found = [state(gate, taken("coverage", value)) is State.PASS for value in (0.799, 0.8, 0.801)]

    assert found == [below, equal, above]


def test_labels_narrow_down() -> None:
    """Only observations with all of the labels count."""
    samples = taken("browser_tests", 1.0, suite="e2e", browser="firefox")
    samples.take("browser_tests", 9.0, {"suite": "e2e", "browser": "chromium"})
    samples.take("browser_tests", 9.0, {"suite": "unit", "browser": "firefox"})

    gate = 'browser_tests{suite="e2e", browser="firefox"}: max < 2s'
    found = evaluate([parse(gate)], samples)[0]

    assert (found.state, found.samples) == (State.PASS, 1)
    assert state('browser_tests{suite="none"}: max < 2s', samples) is State.NO_DATA


# Parsing


def test_a_gate_is_read_whole() -> None:
    """Metric, labels, aggregation, operator, limit in base units, options."""
    gate = parse(
        ' browser_tests{suite="e2e"} : p( 95 ) < 2s'
        " [min_samples=20, on_no_data=fail, severity=warn, name=fast enough] "
    )

    assert (gate.text, gate.name) == ('browser_tests{suite="e2e"} : p( 95 ) < 2s', "fast enough")
    assert (gate.metric, gate.labels) == ("browser_tests", {"suite": "e2e"})
    assert (gate.aggregation, gate.operator, gate.limit) == ("p(95)", "<", 2.0)
    assert (gate.min_samples, gate.on_no_data, gate.severity) == (20, "fail", "warn")


@pytest.mark.parametrize(
    ("gate", "limit"),
    [
        ("tests: p(95) < 200ms", 0.2), ("tests: p(95) < 2", 2.0), ("tests: count > 10", 10.0),
        ("worker_memory: max < 512MiB", 512.0 * MIB), ("worker_memory: max < 0.5 GB", 512.0 * MIB),
        ("error_rate: rate < 0.1%", 0.001), ("error_rate: rate < 0.001", 0.001),
        ("cls: p(75) < 0.1", 0.1), ("uptime: rate > 99.9%", 0.999),
    ],
)  # fmt: skip
def test_limits_have_the_unit_of_their_metric(gate: str, limit: float) -> None:
    """Durations, sizes, shares and plain numbers."""
    assert parse(gate).limit == pytest.approx(limit)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("browser_tests p(95) < 2s", "is not METRIC: AGGREGATION OPERATOR LIMIT; a good one is"),
        ("browser_tests: p(95) ~ 2s", "is not METRIC"),
        ("browser_tests{suite=e2e}: p(95) < 2s", "'suite=e2e' is not LABEL=\"VALUE\""),
        ('browser_tests{nodeid="x"}: p(95) < 2s', "narrowed down by 'nodeid', only by branch_cl"),
        ('coverage{suite="x"}: value > 80%', "narrowed down by 'suite', only by nothing"),
        ("browser_tests: p95 < 2s", r"'p95' is none of avg, count, max, med, min, p\(N\) of a tre"),
        ("browser_tests: p(101) < 2s", r"asks for a quantile above p\(100\)"),
        ("leaks: p(95) < 2", r"'p\(95\)' is none of count of a count"),
        ("error_rate: avg < 1%", "'avg' is none of count, rate of a rate"),
        ("worker_memory: rate < 1", "'rate' is none of avg, max, min, value of a gauge"),
        ("browser_tests: p(95) < 2MB", "'2MB' is not a duration"),
        ("worker_memory: max < 2s", "'2s' is not a size"),
        ("error_rate: rate < 2s", "'2s' is not a share such as 0.1%"),
        ("leaks: count < few", "'few' is not a number"),
        ("leaks: count < 1 [min_samples=0]", "'min_samples=0' is none of min_samples=N, "),
        ("leaks: count < 1 [min_samples=x]", "is none of min_samples=N, "),
        ("leaks: count < 1 [on_no_data=shrug]", "'on_no_data=shrug' is none of"),
        ("leaks: count < 1 [severity=loud]", "'severity=loud' is none of"),
        ("leaks: count < 1 [name=]", "'name=' is none of"),
        ("leaks: count < 1 [colour=red]", "'colour=red' is none of"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, problem: str) -> None:
    """The error names the gate and what is wrong with it."""
    with pytest.raises(GateError, match=problem) as raised:
        parse(text)

    assert raised.value.text == text


def test_a_file_has_one_gate_in_a_line() -> None:
    """Blank lines and comments are skipped; without a gate it is refused."""
    gates = parse_all("# ours\n\n leaks: count == 0  # none\ncrashes: count < 2\n")

    assert [gate.text for gate in gates] == ["leaks: count == 0", "crashes: count < 2"]
    with pytest.raises(GateError, match="has no gate"):
        parse_all("# nothing\n")


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_gates(preset: str) -> None:
    """Each line of a preset can be read."""
    assert parse_all(PRESETS[preset])


def test_the_promised_targets_are_a_preset() -> None:
    """200 ms, 0.1 %, 512 MiB, 80 %, 99.9 %, no leak, 80 % covered."""
    found = {gate.metric: (gate.operator, gate.limit) for gate in parse_all(PRESETS["slo"])}

    assert found == {
        "pool_wait": ("<", pytest.approx(0.2)),
        "error_rate": ("<", pytest.approx(0.001)),
        "worker_memory": ("<", 512 * MIB),
        "pool_utilization": ("<", pytest.approx(0.8)),
        "uptime": (">", pytest.approx(0.999)),
        "leaks": ("==", 0),
        "coverage": (">=", pytest.approx(0.8)),
    }


# What becomes of the run


def test_too_few_samples_are_no_data() -> None:
    """Below the least number nothing is said; at it something is."""
    gate = "error_rate: rate < 0.1% [min_samples=3]"

    found = evaluate([parse(gate)], taken("error_rate", 1.0, 1.0))[0]
    assert (found.state, found.reason) == (State.NO_DATA, "2 of at least 3 samples")
    assert state(gate, taken("error_rate", 1.0, 1.0, 1.0)) is State.FAIL


@pytest.mark.parametrize(
    ("options", "expected"),
    [("", 98), ("[on_no_data=report]", 98), ("[on_no_data=fail]", 99), ("[on_no_data=pass]", 0),
     ("[on_no_data=fail, severity=warn]", 0)],
)  # fmt: skip
def test_what_no_data_mean_can_be_told(options: str, expected: int) -> None:
    """Nothing measured is 98, or as bad as a breach, or nothing to worry about."""
    assert status(f"uptime: rate > 99.9% {options}", Samples()) == expected


def test_a_breach_outweighs_missing_data() -> None:
    """99 before 98 before 0; what only warns changes nothing."""
    samples = taken("leaks", 1.0)
    samples.take("crashes", 0.0)

    assert status("crashes: count == 0", samples) == 0
    assert status("leaks: count == 0", samples) == 99
    assert status("leaks: count == 0 [severity=warn]", samples) == 0
    assert status("leaks: count == 0\nuptime: rate > 99%", samples) == 99
    assert status("crashes: count == 0\nuptime: rate > 99%", samples) == 98
    assert exit_status([]) == 0


def test_a_breach_is_told_from_a_pass() -> None:
    """A gate that fails is one; one that passes is not."""
    bad, good = evaluate(parse_all("leaks: count == 0\nleaks: count == 1"), taken("leaks", 1.0))

    assert (is_breach(bad), is_breach(good)) == (True, False)


@pytest.mark.parametrize(
    ("gate", "value", "reason"),
    [
        ("tests: max < 1s", 0.25, "250 ms (1 sample)"),
        ("worker_memory: max < 1GB", 300.0 * MIB, "300 MiB (1 sample)"),
        ("error_rate: rate < 1%", 1.0, "100 % (1 sample)"),
        ("cls: max < 1", 0.125, "0.125 (1 sample)"),
        ("tests: count < 3", 0.25, "1 (1 sample)"),
    ],
)
def test_a_verdict_says_why(gate: str, value: float, reason: str) -> None:
    """The number as people write it, and of how many."""
    metric = parse(gate).metric

    assert evaluate([parse(gate)], taken(metric, value))[0].reason == reason
    two = evaluate([parse(gate)], taken(metric, value, value))[0]
    assert two.reason.endswith("(2 samples)")


def test_a_quantile_of_one_value_is_that_value() -> None:
    """There is no neighbour to look at."""
    assert quantile([7.0], 0.95) == 7.0


def test_every_unit_can_be_written() -> None:
    """Values read like limits."""
    assert [format_value(0.5, measured.unit) for measured in MEASURED.values()].count("") == 0
