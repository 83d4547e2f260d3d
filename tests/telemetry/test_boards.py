"""The boards: what they ask exists, is asked rightly, and is answered by a real Prometheus.

Grafana itself is not run here: its schema is held to by its own SDK, its queries by Prometheus.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import promql_parser
import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.src import building
from dashboards.src.boards import BOARDS, OVERVIEW
from dashboards.src.building import Board, Panel
from dashboards.src.generate import JSON, as_json
from pytest_sentinel.telemetry.catalogue import BY_NAME, BY_SAMPLE, DOMAINS
from tests.telemetry import known
from tests.telemetry.servers import Prometheus, needed, prometheus

# Metrics of Prometheus and Alertmanager, with the labels that are asked of them.
FOREIGN = {
    "up": {"job"},
    "scrape_samples_scraped": {"job"},
    "ALERTS": {"alertname", "alertstate"},
}
UNITS = {"s", "bytes", "percentunit", "none", "cps"}
CHOICES = {"$__rate_interval": "10m", "$__range": "6h"}
PANELS = [(board, panel) for board in BOARDS for panel in (p for row in board.rows for p in row)]
IDS = [f"{board.name}: {panel.title}" for board, panel in PANELS]


def filled(expression: str) -> str:
    """Return an expression as Grafana would send it, with every choice at All."""
    for name, value in CHOICES.items():
        expression = expression.replace(name, value)
    return re.sub(r"\$\w+", ".+", expression)


def wrong_names(expression: str) -> list[str]:
    """Return what an expression asks for that the catalogue has not."""
    promql_parser.parse(filled(expression))
    wrong = []
    for name, matchers in re.findall(r"\b([a-zA-Z_:]\w*)\{([^}]*)\}", expression):
        series = BY_SAMPLE.get(name)
        known_labels = FOREIGN.get(name)
        if series is not None:
            known_labels = {*series.labels, "job", "le"}
        if known_labels is None:
            wrong.append(f"no metric {name}")
            continue
        for label, _, value in re.findall(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"', matchers):
            domain = DOMAINS.get(label)
            if label not in known_labels:
                wrong.append(f"{name} has no label {label}")
            elif isinstance(domain, tuple) and not re.search(r"[$.+*]", value):
                wrong += [f"{label} is never {v}" for v in value.split("|") if v not in domain]
        if series is not None and series.kind in ("counter", "histogram"):
            inside = re.search(rf"(rate|increase)\({name}\{{", expression)
            wrong += [] if inside else [f"{name} is asked for without rate or increase"]
    named = set(re.findall(r"\bsentinel_\w+", expression))
    wrong += [f"no metric {name}" for name in named if name not in BY_SAMPLE]
    return wrong


def wrong_unit(panel: Panel) -> str:
    """Return what is wrong with a panel's unit, by the names of what it shows."""
    if panel.unit not in UNITS:
        return f"{panel.unit} is no unit of ours"
    for expression, _ in panel.queries:
        if " / " in expression or "ratio" in expression or "sentinel_pool_ready" in expression:
            continue
        for name in set(re.findall(r"\bsentinel_\w+", expression)) & set(BY_SAMPLE):
            unit = BY_SAMPLE[name].unit
            shows = {"seconds": "s", "bytes": "bytes"}.get(unit)
            counts = re.search(r"_(count|total)\b", name) or "changes(" in expression
            if shows and not counts and panel.unit != shows:
                return f"{name} is in {unit}, the panel in {panel.unit}"
    return ""


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_panel_asks_for_what_there_is(board: Board, panel: Panel) -> None:
    """Every metric, label and value is in the catalogue; counters are asked for as rates."""
    assert [wrong for expression, _ in panel.queries for wrong in wrong_names(expression)] == []
    assert wrong_unit(panel) == ""


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_what_is_committed_is_what_is_written(board: Board) -> None:
    """The JSON comes from the source: ``python -m dashboards.src.generate``."""
    assert (JSON / f"{board.name}.json").read_text() == as_json(board)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_survives_its_schema(board: Board) -> None:
    """Read by Grafana's SDK and written again it is the same: no key is made up."""
    text = (JSON / f"{board.name}.json").read_text()

    again = JSONEncoder(sort_keys=True, indent=2).encode(Dashboard.from_json(json.loads(text)))

    assert json.loads(again) == json.loads(text)


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_a_board_keeps_the_rules_of_the_linter(board: Board) -> None:
    """One choice of data source, titles, descriptions, units; nothing overlaps, nothing to edit."""
    made: Any = json.loads((JSON / f"{board.name}.json").read_text())
    variables = {each["name"]: each for each in made["templating"]["list"]}
    sources = [each for each in variables.values() if each["type"] == "datasource"]

    assert (made["uid"], made["editable"], made["timezone"]) == (board.uid, False, "utc")
    assert made["tags"] == [building.TAG]
    assert [each["name"] for each in sources] == ["datasource"]
    assert "job" in variables
    for variable in variables.values():
        if variable["type"] == "query":
            assert (variable["refresh"], variable["multi"], variable["allValue"]) == (2, True, ".+")
            assert variable["datasource"]["uid"] == "${datasource}"
    panels = made["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        spot = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(spot["x"], spot["x"] + spot["w"])
            for y in range(spot["y"], spot["y"] + spot["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < building.WIDTH
        taken |= cells
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        references = [target["refId"] for target in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)
        for target in panel["targets"]:
            assert re.search(r"rate\([^()]*\[(?!\$__rate_interval)", target["expr"]) is None
            asks_job = re.search(r'job=~"\$job"', target["expr"])
            # Alerts have no job; runs that are scraped live are found by their suite.
            assert asks_job or re.search(r'ALERTS|suite=~"\$suite"', target["expr"])


def test_boards_are_told_apart() -> None:
    """Eight, each with a uid of its own that alerts can lead to."""
    assert len({board.uid for board in BOARDS}) == len(BOARDS) == 8


# A change for the worse is seen


@pytest.mark.parametrize(
    "change",
    [
        lambda panel: replace(panel, unit="ms"),
        lambda panel: replace(panel, unit="bytes"),
        lambda panel: _asking(panel, "sentinel_acquire_wait_seconds", "sentinel_wait_seconds"),
        lambda panel: _asking(panel, "rate(", "max_over_time("),
        lambda panel: _asking(panel, "job=~", "pool=~"),
    ],
    ids=["unknown unit", "wrong unit", "renamed metric", "no rate", "unknown label"],
)
def test_a_spoiled_panel_is_noticed(change: Callable[[Panel], Panel]) -> None:
    """Each mutation of a good panel has something wrong with it."""
    good = next(p for _, p in PANELS if p.title == "Wait for a browser, p95")
    bad = change(good)

    assert bad != good
    assert wrong_unit(bad) or [w for query, _ in bad.queries for w in wrong_names(query)]


def _asking(panel: Panel, old: str, new: str) -> Panel:
    queries = tuple((query.replace(old, new), legend) for query, legend in panel.queries)
    return replace(panel, queries=queries)


# On a real Prometheus


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, int]]:
    """A Prometheus with a day of known metrics, and when that day ended."""
    directory = tmp_path_factory.mktemp("day")
    end = int(time.time()) // 7200 * 7200 - 2 * 7200
    with (directory / "day.om").open("w") as file:
        known.write(file, end - known.DAY)
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "day.om", "data"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=300)
    with prometheus(directory, "global: {}\n") as server:
        yield server, end


@needed
@pytest.mark.parametrize(("board", "panel"), PANELS, ids=IDS)
def test_a_panel_has_an_answer(day: tuple[Prometheus, int], board: Board, panel: Panel) -> None:
    """Over the day no query of it fails, is empty, has a hole of NaN, or has over 50 series."""
    server, end = day
    for expression, _ in panel.queries:
        found = server.ask(
            "query_range", query=filled(expression), start=end - known.DAY + 7200, end=end, step=600
        )["result"]
        buckets = 20 if panel.kind == "heatmap" else 0
        assert 1 <= len(found) <= 50 + buckets
        values = [float(value) for row in found for _, value in row["values"]]
        assert all(map(math.isfinite, values))


@needed
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_every_choice_has_values(day: tuple[Prometheus, int], board: Board) -> None:
    """What label_values would ask Prometheus for is there."""
    server, end = day
    for variable in board.variables:
        values = server.ask(
            f"label/{variable.name}/values",
            **{"match[]": filled(variable.metric), "start": end - known.DAY, "end": end},
        )
        assert values, variable


def _of(q: float, name: str) -> Callable[[], float]:
    return lambda: known.quantile(q, BY_NAME[f"sentinel_{name}"])


def _weights(name: str, **labels: str) -> int:
    return sum(one.weight for one in known.named(name, **labels))


# What ten panels must show at the end of the day, worked out from how the day was made.
TRUTH: dict[str, Callable[[], float]] = {
    "Wait for a browser, p95": _of(0.95, "acquire_wait_seconds"),
    "Largest contentful paint, p75": _of(0.75, "page_web_vital_seconds"),
    "Growth in a test, p95": _of(0.95, "test_memory_growth_bytes"),
    "How long leases are held, p95": _of(0.95, "lease_seconds"),
    "Worst worker": lambda: 10.0 * len(known.named("run_peak_worker_memory_bytes")),
    "Pool utilisation": lambda: 0.5,
    "Ready": lambda: 1.0,
    "Error ratio": lambda: _weights("run_tests", outcome="failed")
    / (_weights("run_tests") - _weights("run_tests", outcome="skipped")),
    "Failure ratio": lambda: _weights("load_requests_total", verdict="failed")
    / _weights("load_requests_total"),
    "Uncaught errors": lambda: known.rate(_weights("page_errors_total")),
    "Clients": lambda: 10.0,
}  # fmt: skip


@needed
@pytest.mark.parametrize("title", TRUTH)
def test_a_panel_shows_the_truth(day: tuple[Prometheus, int], title: str) -> None:
    """The value at the end of the day is what it was made to be."""
    server, end = day
    panel = next(panel for _, panel in PANELS if panel.title == title)

    # All workers and browsers together, where a panel tells them apart: they have one shape.
    found = set(server.values(filled(panel.queries[0][0]), end).values())

    assert {round(value, 6) for value in found} == {round(TRUTH[title](), 6)}


@needed
def test_a_turned_comparison_is_noticed(day: tuple[Prometheus, int]) -> None:
    """The same panel with another threshold of outcomes shows another value."""
    server, end = day
    panel = next(panel for row in OVERVIEW.rows for panel in row if panel.title == "Error ratio")
    spoiled = filled(panel.queries[0][0]).replace('outcome!="skipped"', 'outcome="skipped"')

    assert round(server.value(spoiled, end) or 0.0, 6) != round(TRUTH["Error ratio"](), 6)
