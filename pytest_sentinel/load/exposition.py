"""The metrics of a load run for Prometheus, on a port of their own; on a master, of all workers.

Names, labels and buckets are the catalogue's. For gevent. Workers serve none: their figures are in
the master's, and would be counted twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any, Final

from pytest_sentinel.addresses import Address
from pytest_sentinel.load.desk import Desk
from pytest_sentinel.load.histogram import Histogram
from pytest_sentinel.load.tally import Tally
from pytest_sentinel.telemetry.catalogue import BY_NAME, Labels
from pytest_sentinel.telemetry.measures import Spread, Table

_USERS: Final = "sentinel_load_users"
_REQUESTS: Final = "sentinel_load_requests_total"
_DURATIONS: Final = "sentinel_load_request_duration_seconds"


def table_of(tally: Tally, users: int, labels: Labels) -> Table:
    """Return the values of all metrics of load; the edges of buckets are known to 1 %."""
    table = Table({_USERS: {(): float(users)}, _REQUESTS: {}}, {_DURATIONS: {}})
    failures = {**tally.step_failures, **tally.request_failures}
    for name, counts in tally.outcomes.items():
        failures[name] = counts.get("failed", 0)
    bounds = BY_NAME[_DURATIONS].buckets
    for kept in (tally.steps, tally.requests, tally.service):
        for task, histogram in kept.items():
            failed = failures.get(task, 0)
            _count(table, labels, task, "ok", histogram.count - failed)
            _count(table, labels, task, "failed", failed)
            key = labels.bound(BY_NAME[_DURATIONS], (task,))
            spread = table.spreads[_DURATIONS].setdefault(key, Spread([0] * (len(bounds) + 1)))
            _pour(spread, histogram, bounds)
    return table


def serve_metrics(place: Address, environment: Any, desk: Desk) -> None:
    """Serve the metrics at ``place`` until the run of Locust ends.

    Raises:
        OSError: nothing can listen there.
    """
    from gevent.pywsgi import WSGIServer
    from prometheus_client import generate_latest

    from pytest_sentinel.telemetry.registry import RunFigures, registry_of

    labels = Labels()

    def table() -> Table:
        return table_of(desk.tally, environment.runner.user_count, labels)

    registry = registry_of(RunFigures(table, ("load",)))

    def answer(_: Any, begin: Callable[..., Any]) -> Iterable[bytes]:
        begin("200 OK", [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")])
        return [generate_latest(registry)]

    server = WSGIServer((place.host, place.port), answer, log=None)
    try:
        server.start()
    except OSError as error:
        problem = error.strerror or str(error)
        raise OSError(f"--sentinel-metrics: cannot listen at {place}: {problem}") from None
    environment.events.quit.add_listener(lambda **_: server.stop())


def _count(table: Table, labels: Labels, task: str, verdict: str, number: int) -> None:
    values = table.numbers[_REQUESTS]
    key = labels.bound(BY_NAME[_REQUESTS], (task, verdict))
    values[key] = values.get(key, 0.0) + number


def _pour(spread: Spread, histogram: Histogram, bounds: tuple[float, ...]) -> None:
    for value, count in histogram.values():
        spread.counts[bisect_left(bounds, value)] += count
    spread.total += histogram.total
