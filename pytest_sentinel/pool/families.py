"""The figures of a service as Prometheus families, made anew at every scrape.

Names, types, help and buckets are the catalogue's. Labels are bounded: engines, states and causes;
never an owner, a lease, a browser or a pid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from pytest_sentinel.pool.distribution import Distribution
from pytest_sentinel.pool.health import Readiness
from pytest_sentinel.pool.service import LeasePort
from pytest_sentinel.pool.snapshot import PoolStatistics
from pytest_sentinel.pool.upgrade import STATUS_OF_REFUSAL
from pytest_sentinel.pool.wear import Reason
from pytest_sentinel.telemetry.catalogue import BY_NAME

_BREAKER_STATES = ("closed", "half-open", "open")
_REASONS = tuple(reason.value for reason in Reason)
# A counter that begins with its first event has no increase there, and an alert on it no cause:
# what may be counted is shown from the start. None is each engine.
_CAUSES: Mapping[str, tuple[str, ...] | None] = {
    "leases_total": None,
    "ends_total": ("released", "revoked", "crashed", "closed"),
    "refusals_total": (*STATUS_OF_REFUSAL, "declined"),
    "launches_total": _REASONS,
    "launch_failures_total": _REASONS,
    "crashes_total": None,
    "retirements_total": (*_REASONS, "room", "resize", "closed"),
    "probes_total": ("ok", "failed"),
}


class ServiceFigures(Collector):
    """Reads the pool and the lease port whenever Prometheus asks."""

    def __init__(
        self,
        statistics: Callable[[], PoolStatistics],
        readiness: Callable[[], Readiness],
        port: LeasePort,
        clients_dropped: Callable[[], Counter[str]],
        dropped: Callable[[], int],
    ) -> None:
        self._statistics = statistics
        self._readiness = readiness
        self._port = port
        self._clients_dropped = clients_dropped
        self._dropped = dropped

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        now = self._statistics()
        ready = self._readiness()
        yield _plain("pool_ready", ready.ready)
        yield _plain("pool_utilisation_ratio", ready.pressure)
        yield _plain("pool_browsers_maximum", now.maximum)
        yield _plain("pool_generation", now.generation)
        yield _plain("pool_draining", now.draining)
        yield _labelled("pool_slots", _single(now.slots))
        held_back = {engine: now.held_back.get(engine, 0) for engine in now.waiting}
        demand = {engine: number - held_back[engine] for engine, number in now.waiting.items()}
        yield _labelled("pool_waiting", _single(demand))
        yield _labelled("pool_held_back", _single(held_back))
        yield _labelled("pool_leases", Counter((lease.engine,) for lease in now.leases))
        browsers = Counter((browser.engine, browser.state) for browser in now.browsers)
        yield _labelled("pool_browsers", browsers)
        memory: dict[tuple[str, ...], float] = {("used",): float(now.memory.used)}
        if now.memory.budget is not None:
            memory[("budget",)] = float(now.memory.budget)
        yield _labelled("pool_memory_bytes", memory)
        yield _plain("pool_memory_paused", bool(now.memory.paused))
        breakers = {
            (breaker.key, state): float(breaker.state == state)
            for breaker in now.breakers
            for state in _BREAKER_STATES
        }
        yield _labelled("pool_breaker_state", breakers)
        zeros = {
            name: dict.fromkeys(now.waiting if causes is None else causes, 0)
            for name, causes in _CAUSES.items()
        }
        for name in {**zeros, **now.counters}:
            by_cause = {**zeros.get(name, {}), **now.counters.get(name, {})}
            yield _labelled(f"pool_{name}", _single(by_cause))
        yield _plain("clients", self._port.clients)
        yield _labelled("clients_dropped_total", _single(self._clients_dropped()))
        refusals = {(str(status),): count for status, count in self._port.refusals.items()}
        yield _labelled("refusals_total", refusals)
        yield _histogram("acquire_wait_seconds", self._port.waits)
        yield _histogram("lease_seconds", self._port.holds)
        yield _plain("log_lines_dropped_total", self._dropped())


def make_registry(figures: ServiceFigures) -> CollectorRegistry:
    """Return a registry with these figures alone."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(figures)
    return registry


def _plain(name: str, value: float) -> Metric:
    return _labelled(name, {(): value})


def _labelled(name: str, values: Mapping[Any, float]) -> Metric:
    series = BY_NAME[f"sentinel_{name}"]
    family = Metric(series.family, series.help, series.kind)
    for key, value in values.items():
        labels = dict(zip(series.labels, key, strict=True))
        family.add_sample(series.name, labels, float(value))
    return family


def _histogram(name: str, values: Distribution) -> Metric:
    series = BY_NAME[f"sentinel_{name}"]
    family = Metric(series.family, series.help, series.kind)
    for bound, below in values.buckets():
        family.add_sample(f"{series.name}_bucket", {"le": bound}, below)
    family.add_sample(f"{series.name}_count", {}, values.count)
    family.add_sample(f"{series.name}_sum", {}, values.total)
    return family


def _single(values: Mapping[str, int]) -> dict[tuple[str, ...], float]:
    return {(key,): float(value) for key, value in values.items()}
