"""The load suites as their users run them: a few seconds each, on a real shop."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.larder.postgresql import programs, running_postgresql
from tests.larder.process import Larder, running_larder
from tests.load.locustkit import Run, answers, booked, free_port, get, locust, post
from tests.runs import slack, wait_until

SUITES = Path(__file__).resolve().parents[2] / "loadtests"
HEADLESS = ("--headless", "-r", "20")
ENDPOINTS = {
    *("POST /login", "GET /api/session", "GET /api/meals", "GET /api/meals/{slug}"),
    *("GET /api/recommendations", "POST /api/cart", "POST /api/checkout"),
}
QUERIES = {f"SQL {name}" for name in ("select", "insert", "update", "delete", "join")}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """A larder with enough to sell."""
    directory = tmp_path_factory.mktemp("shop")
    with running_larder(directory, {"LARDER_STOCK": "1000000"}) as larder:
        yield larder


def summary(run: Run) -> dict[str, Any]:
    """Return the summary of a run that wrote one beside its report."""
    found: dict[str, Any] = json.loads((run.directory / "summary.json").read_text())
    return found


def seen(port: int) -> set[str]:
    """Return what a web interface shows of requests."""
    rows = json.loads(get(port, "/stats/requests"))["stats"]
    return {f"{row['method']} {row['name']}" for row in rows if row["name"] != "Aggregated"}


def ended_as_its_gates_say(run: Run, status: int) -> None:
    """Hold the exit status against what the report says of gates and doubts."""
    report = run.report()
    states = {gate["state"] for gate in report["gates"]}
    assert "no data" not in states, run.text()
    # How fast this machine is just now is not what is tested.
    assert status == (98 if report["doubts"] else 99 if "fail" in states else 0), run.text()


@pytest.mark.parametrize("processes", [(), ("--processes", "2")], ids=["alone", "distributed"])
def test_api(tmp_path: Path, shop: Larder, processes: tuple[str, ...]) -> None:
    """Its users reach all seven endpoints, without an error, and its own gates judge it."""
    options = ("-u", "12", "-t", "4s", "--host", shop.url, "--sentinel-summary", "summary.json")
    with locust(tmp_path, SUITES / "api.py", *HEADLESS, *options, *processes) as run:
        ended_as_its_gates_say(run, run.wait())

    found = summary(run)
    assert found["endpoints"].keys() == ENDPOINTS
    assert found["errors"] == 0, run.text()
    assert found["tasks"].keys() >= {"Caller.look", "Caller.buy"}
    assert [gate["gate"].partition(":")[0] for gate in run.report()["gates"]] == [
        "load_requests",
        "error_rate",
    ]


def test_database_on_a_file(tmp_path: Path) -> None:
    """Without a host it works on a file of its own, which is gone afterwards."""
    options = ("-u", "6", "-t", "4s", "--sentinel-summary", "summary.json")
    with locust(tmp_path, SUITES / "database.py", *HEADLESS, *options) as run:
        ended_as_its_gates_say(run, run.wait())

    found = summary(run)
    assert found["endpoints"].keys() == QUERIES
    assert found["errors"] == 0, run.text()


def test_database_leaves_a_shop_as_it_was(tmp_path: Path, shop: Larder) -> None:
    """On the database of a shop, started and stopped twice in the web interface, no row stays."""
    port = free_port()
    file = shop.database_url.removeprefix("sqlite:///")

    def rows() -> list[int]:
        with closing(sqlite3.connect(file)) as database:
            tables = ("users", "orders", "order_lines")
            return [
                database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables
            ]

    before = rows()
    web = ("--web-host", "127.0.0.1", "--web-port", str(port), "--host", shop.database_url)
    with locust(tmp_path, SUITES / "database.py", *web) as run:
        wait_until(lambda: answers(port), 60 * slack(), run.text())
        for _ in range(2):
            post(port, "swarm", "user_count=4&spawn_rate=20")
            wait_until(lambda: seen(port) == QUERIES, 60 * slack(), run.text())
            assert rows() != before
            post(port, "stop", "")
            wait_until(lambda: rows() == before, 30 * slack(), "the end of all rows")
        run.stop()


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed")
def test_database_on_postgresql(tmp_path: Path) -> None:
    """Two processes share a PostgreSQL, and leave none of their rows there."""
    options = ("-u", "6", "-t", "4s", "--processes", "2", "--sentinel-summary", "summary.json")
    with running_postgresql() as server:
        url = server.create_database()
        with locust(tmp_path, SUITES / "database.py", *HEADLESS, *options, "--host", url) as run:
            ended_as_its_gates_say(run, run.wait())
        with psycopg.connect(url.replace("+psycopg", "")) as database:
            left = database.execute("SELECT count(*) FROM users").fetchone()

    assert left == (0,)
    found = summary(run)
    assert found["endpoints"].keys() == QUERIES
    assert found["errors"] == 0, run.text()


@pytest.mark.browser
@pytest.mark.parametrize("suite", ["browser.py", "mixed.py"])
def test_browsers(tmp_path: Path, shop: Larder, suite: str) -> None:
    """The flows of customers pass, beside users without a browser in the mixed suite."""
    options = ("-u", "6", "-t", "9s", "--host", shop.url)
    with locust(tmp_path, SUITES / suite, *HEADLESS, *options) as run:
        assert run.wait() == 0, run.text()
        report = run.report()

    outcomes = booked(report)
    assert outcomes["passed"] > 0
    assert outcomes["failed"] == outcomes["infrastructure"] == 0
    assert bool(report["requests"]) == (suite == "mixed.py")


def test_the_baseline_is_of_the_api_suite() -> None:
    """What runs are compared by has figures of each endpoint, of a run that could be trusted."""
    stored = json.loads((SUITES / "baseline.json").read_text())

    assert stored["endpoints"].keys() == ENDPOINTS
    assert (stored["errors"], stored["doubts"]) == (0, [])
    assert stored["iterations"] > 400
    figures = {"requests", "errors", "mean", "p50", "p95", "p99"}
    assert all(figures <= row.keys() for row in stored["endpoints"].values())
