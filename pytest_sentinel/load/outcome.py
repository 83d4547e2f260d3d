"""What a load run came to: tables for people, JSON for programs, samples for gates. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pytest_sentinel import gates
from pytest_sentinel.gates import Gate, Verdict
from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.tally import ENDED, VITALS, Outcome, Tally
from pytest_sentinel.telemetry.samples import Samples
from pytest_sentinel.units import format_duration, format_size

SCHEMA: Final = 1
LAG_LIMIT: Final = 0.05  # seconds, p99: above it times were measured late
_HEADS: Final = {Outcome.INFRASTRUCTURE: "infra"}
_QUANTILES: Final = (0.5, 0.75, 0.95, 0.99)


def doubts(tally: Tally) -> list[str]:
    """Return why the figures of a run cannot be trusted; the generator was not well."""
    found = [f"{why} ({times} times)" for why, times in sorted(tally.unhealthy.items())]
    lag = tally.lag.quantile(0.99)
    if lag is not None and lag > LAG_LIMIT:
        found.append(f"event loops of sidecars were late by {format_duration(lag)} (p99)")
    return found


def samples_of(tally: Tally) -> Samples:
    """Return what gates can ask about a load run.

    Durations come out of histograms: each is known to 1 %.
    """
    samples = Samples()
    for metric, kept in (("load_iterations", tally.service), ("load_requests", tally.requests)):
        for task, histogram in kept.items():
            _spread(samples, metric, histogram, {"task": task})
    for task, histogram in tally.steps.items():
        _spread(samples, "load_requests", histogram, {"task": task})
        _rate(samples, task, histogram.count, tally.step_failures.get(task, 0))
    for task, histogram in tally.requests.items():
        _rate(samples, task, histogram.count, tally.request_failures.get(task, 0))
    for task, failed in tally.outside.items():
        _rate(samples, task, failed, failed)
    for task, counts in tally.outcomes.items():
        done = sum(counts.get(one.value, 0) for one in ENDED)
        _repeat(samples, "iterations_ended", 1.0, done, {"task": task})
        _repeat(samples, "iterations_ended", 0.0, sum(counts.values()) - done, {"task": task})
    for histogram in tally.waits.values():
        _spread(samples, "pool_wait", histogram, {})
    for name, histogram in tally.vitals.items():
        _spread(samples, name.rpartition("|")[2], histogram, {})
    lost = tally.count(Outcome.INFRASTRUCTURE)
    _repeat(samples, "infrastructure_rate", 1.0, lost, {})
    _repeat(samples, "infrastructure_rate", 0.0, tally.ended(), {})
    if tally.possible:
        samples.take("pool_utilization", tally.busy / tally.possible)
    for target, probes in tally.probes.items():
        failed = tally.probe_failures.get(target, 0)
        _repeat(samples, "uptime", 1.0, probes - failed, {"target": target})
        _repeat(samples, "uptime", 0.0, failed, {"target": target})
    for worker, memory in tally.memory.items():
        samples.take("worker_memory", float(memory), {"worker": worker})
    return samples


def judge(tally: Tally, asked: Iterable[Gate]) -> tuple[list[Verdict], int]:
    """Return what each gate says, and the exit status: 98 also when figures cannot be trusted."""
    verdicts = gates.evaluate(asked, samples_of(tally))
    if doubts(tally):
        return verdicts, gates.WITHOUT_DATA
    return verdicts, gates.exit_status(verdicts)


def as_json(tally: Tally, verdicts: Iterable[Verdict] = ()) -> dict[str, Any]:
    """Return a load run as JSON: durations in seconds, sizes in bytes."""
    return {
        "schema": SCHEMA,
        "begun": tally.begun,
        "ended": tally.ended(),
        "outcomes": {str(outcome): tally.count(outcome) for outcome in _shown_outcomes(tally)},
        "iterations": {
            name: {
                **counts,
                "service": _summary(tally.service.get(name)),
                "response": _summary(tally.response.get(name)),
                "late": tally.late.get(name, 0),
                "wait": _summary(tally.waits.get(name)),
            }
            for name, counts in sorted(tally.outcomes.items())
        },
        "steps": _measured(tally.steps, tally.step_failures),
        "requests": _measured(tally.requests, tally.request_failures),
        "vitals": {name: _summary(histogram) for name, histogram in sorted(tally.vitals.items())},
        "tasks": dict(sorted(tally.tasks.items())),
        "utilization": tally.busy / tally.possible if tally.possible else None,
        "loop_lag": _summary(tally.lag),
        "memory": dict(tally.memory),
        "doubts": doubts(tally),
        "gates": [
            {"gate": verdict.gate.text, "state": verdict.state.value, "reason": verdict.reason}
            for verdict in verdicts
        ],
    }


def tables(tally: Tally, verdicts: Iterable[Verdict] = ()) -> list[str]:
    """Return the lines that a run ends with."""
    lines = [""]
    if tally.outcomes or not tally.tasks:
        lines += ["Browser users", *_iterations(tally)]
    if tally.ended() < tally.begun:
        lines.append(f"Ended: {tally.ended()} of {tally.begun} iterations that were begun")
    if tally.tasks:
        told = ", ".join(f"{name} {number}" for name, number in sorted(tally.tasks.items()))
        lines.append(f"Iterations without a browser: {told}")
    if tally.vitals:
        lines += ["", "Web vitals, p75 of the last value of each page", *_vitals(tally)]
    if tally.possible:
        lines.append(f"\nSlots in use: {tally.busy / tally.possible:.0%} of the time")
    if tally.memory:
        total = format_size(sum(tally.memory.values()))
        lines.append(f"Memory of workers with sidecars and browsers (highest PSS): {total}")
    lines += [f"Invalid: {doubt}" for doubt in doubts(tally)]
    for verdict in verdicts:
        lines.append(f"Gate {verdict.state.value}: {verdict.gate.name}: {verdict.reason}")
    return lines


def vital_rows(tally: Tally) -> list[dict[str, Any]]:
    """Return p75 of each vital by page: seconds, and a shift score."""
    pages: dict[str, dict[str, Any]] = {}
    for name, histogram in sorted(tally.vitals.items()):
        page, _, vital = name.rpartition("|")
        row = pages.setdefault(page, {"page": page, "loads": 0})
        row[vital] = histogram.quantile(0.75)
        row["loads"] = max(row["loads"], histogram.count)
    return list(pages.values())


def _iterations(tally: Tally) -> list[str]:
    outcomes = _shown_outcomes(tally)
    head = f"{'iterations of':32}" + "".join(f"{_HEADS.get(one, one):>9}" for one in outcomes)
    head += f"{'p50':>9}{'p95':>9}{'p99':>9}{'wait p95':>10}"
    rows = [head]
    for name, counts in sorted(tally.outcomes.items()):
        row = f"{name[:31]:32}"
        row += "".join(f"{counts.get(outcome.value, 0):>9}" for outcome in outcomes)
        row += "".join(f"{_shown(tally.service.get(name), q):>9}" for q in (0.5, 0.95, 0.99))
        row += f"{_shown(tally.waits.get(name), 0.95):>10}"
        rows.append(row)
        response = tally.response.get(name)
        if response is not None:
            told = ", ".join(f"p{q * 100:g} {_shown(response, q)}" for q in (0.5, 0.95, 0.99))
            rows.append(f"  from the intended start: {told}; {tally.late.get(name, 0)} late")
    return rows


def _shown_outcomes(tally: Tally) -> list[Outcome]:
    """Return the ways in which iterations may have ended; few runs skip any."""
    return [one for one in Outcome if one is not Outcome.SKIPPED or tally.count(one)]


def _vitals(tally: Tally) -> list[str]:
    rows = [f"{'page opened in':32}{'loads':>8}" + "".join(f"{v:>9}" for v in VITALS)]
    for row in vital_rows(tally):
        cells = [f"{row['page'][:31]:32}{row['loads']:>8}"]
        for vital in VITALS:
            value = row.get(vital)
            shown = "-" if value is None else f"{value:.3f}"
            cells.append(f"{shown if vital == 'cls' or value is None else _time(value):>9}")
        rows.append("".join(cells))
    return rows


def _measured(
    kept: Mapping[str, Histogram], failures: Mapping[str, int]
) -> dict[str, dict[str, Any]]:
    return {
        name: {**(_summary(histogram) or {}), "failures": failures.get(name, 0)}
        for name, histogram in sorted(kept.items())
    }


def _summary(histogram: Histogram | None) -> dict[str, Any] | None:
    if histogram is None or not histogram.count:
        return None
    quantiles = {f"p{q * 100:g}": histogram.quantile(q) for q in _QUANTILES}
    ends = {"min": histogram.lowest, "max": histogram.highest, "mean": histogram.mean()}
    return {"count": histogram.count, **ends, **quantiles}


def _shown(histogram: Histogram | None, share: float) -> str:
    value = None if histogram is None else histogram.quantile(share)
    return "-" if value is None else _time(value)


def _time(seconds: float) -> str:
    return format_duration(seconds)


def _spread(samples: Samples, metric: str, histogram: Histogram, labels: Mapping[str, str]) -> None:
    for value, count in histogram.values():
        _repeat(samples, metric, value, count, labels)


def _rate(samples: Samples, task: str, total: int, failed: int) -> None:
    _repeat(samples, "error_rate", 1.0, failed, {"task": task})
    _repeat(samples, "error_rate", 0.0, total - failed, {"task": task})


def _repeat(
    samples: Samples, metric: str, value: float, count: int, labels: Mapping[str, str]
) -> None:
    samples.take(metric, value, labels, count=count)
