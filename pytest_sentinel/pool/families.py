"""The figures of a service as Prometheus families, made anew at every scrape.

Labels are bounded: engines, states and causes; never an owner, a lease, a browser or a pid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from pytest_sentinel.pool.distribution import Distribution
from pytest_sentinel.pool.health import Readiness
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.snapshot import PoolStatistics

_BREAKER_STATES = ("closed", "half-open", "open")


class ServiceFigures(Collector):
    """Reads the pool and the lease port whenever Prometheus asks."""

    def __init__(
        self,
        statistics: Callable[[], PoolStatistics],
        readiness: Callable[[], Readiness],
        port: LeasePort,
        dropped: Callable[[], int],
    ) -> None:
        self._statistics = statistics
        self._readiness = readiness
        self._port = port
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        now = self._statistics()
        ready = self._readiness()
        yield _gauge(
            "sentinel_pool_ready", "1 if a lease asked for now is not refused", ready.ready
        )
        yield _gauge(
            "sentinel_pool_utilisation_ratio",
            "leases held or waited for, per slot that there could be",
            ready.pressure,
        )
        yield _gauge("sentinel_pool_browsers_maximum", "places for browsers", now.maximum)
        yield _gauge("sentinel_pool_generation", "how often all browsers were renewed on request",
                     now.generation)  # fmt: skip
        yield _gauge("sentinel_pool_draining", "1 while no new lease is granted", now.draining)
        yield _labelled("sentinel_pool_slots", "slots by state", ("state",), _plain(now.slots))
        yield _labelled(
            "sentinel_pool_waiting", "clients in the queue", ("engine",), _plain(now.waiting)
        )
        yield _labelled(
            "sentinel_pool_leases",
            "leases that are held",
            ("engine",),
            Counter((lease.engine,) for lease in now.leases),
        )
        yield _labelled(
            "sentinel_pool_browsers",
            "browsers by state",
            ("engine", "state"),
            Counter((browser.engine, browser.state) for browser in now.browsers),
        )
        memory: dict[tuple[str, ...], float] = {("used",): float(now.memory.used)}
        if now.memory.budget is not None:
            memory[("budget",)] = float(now.memory.budget)
        yield _labelled("sentinel_pool_memory_bytes", "PSS of all browsers", ("kind",), memory)
        yield _gauge(
            "sentinel_pool_memory_paused",
            "1 while memory admits nothing new",
            bool(now.memory.paused),
        )
        yield _labelled(
            "sentinel_pool_breaker_state",
            "1 for the state in which the breaker of an engine is",
            ("engine", "state"),
            {
                (breaker.key, state): float(breaker.state == state)
                for breaker in now.breakers
                for state in _BREAKER_STATES
            },
        )
        for name, by_cause in now.counters.items():
            yield _counter(f"sentinel_pool_{name}", f"{_words(name)}, by cause", "cause", by_cause)
        yield _gauge("sentinel_clients", "connections to the lease port", self._port.clients)
        yield _counter(
            "sentinel_refusals_total",
            "clients that were turned away, by HTTP status",
            "status",
            {str(status): count for status, count in self._port.refusals.items()},
        )
        yield _histogram(
            "sentinel_acquire_wait_seconds", "from the request to the lease", self._port.waits
        )
        yield _histogram("sentinel_lease_seconds", "how long leases were held", self._port.holds)
        yield _counter(
            "sentinel_log_lines_dropped_total", "events nobody read", None, {"": self._dropped()}
        )


def make_registry(figures: ServiceFigures) -> CollectorRegistry:
    """Return a registry with these figures alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    return registry


def _gauge(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(name, told, value=float(value))


def _labelled(
    name: str, told: str, labels: tuple[str, ...], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(name, told, labels=labels)
    for key, value in values.items():
        family.add_metric(list(key), float(value))
    return family


def _counter(name: str, told: str, label: str | None, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name.removesuffix("_total"), told, labels=[label] if label else [])
    for key, value in values.items():
        family.add_metric([key] if label else [], float(value))
    return family


def _histogram(name: str, told: str, values: Distribution) -> Metric:
    family = HistogramMetricFamily(name, told)
    family.add_metric([], values.buckets(), sum_value=values.total)
    return family


def _plain(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(key,): float(value) for key, value in values.items()}


def _words(name: str) -> str:
    return name.removesuffix("_total").replace("_", " ")
