"""Every metric: name, type, labels, buckets, unit, help. The only place that names one. Pure.

Law: labels are bounded. Each has a list of values, or a number of values after which a newcomer
is written as ``other``; none is ever a node id, a URL, a pid or the name of a run. Buckets have an
edge on each target that somebody may be held to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pytest_sentinel.units import MIB

Kind = Literal["counter", "gauge", "histogram", "info"]
Source = Literal["run", "last", "service", "load"]

OTHER: Final = "other"

DURATIONS: Final = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
WAITS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
LEASES: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
GROWTHS: Final = tuple(float(n * MIB) for n in (1, 4, 16, 64, 128, 256, 512, 1024, 2048))
VITALS: Final = (0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.8, 2.5, 3.0, 4.0, 8.0)
SHIFTS: Final = (0.05, 0.1, 0.15, 0.25, 0.5, 1.0)

FAILURES: Final = ("product", "infrastructure", "harness")
OUTCOMES: Final = (
    *("passed", "failed", "error", "skipped", "xfailed", "xpassed", "crashed", "worker-crashed"),
)
BRANCHES: Final = ("main", "release", "pr", "local")
TRANSPORTS: Final = ("file", "live", "push", "textfile")
LEFTOVERS: Final = (
    *("context", "page", "cdp-session", "handle", "request-context", "browser", "route"),
    *("binding", "listener", "tracing", "driver", "thread", "descriptor", "process", "zombie"),
    "page-leak",
)

# What a label may say: its values, or how many different ones there may be.
DOMAINS: Final[Mapping[str, tuple[str, ...] | int]] = {
    "suite": 10,
    "browser": ("chromium", "firefox", "webkit", "none"),
    "branch_class": BRANCHES,
    "outcome": OUTCOMES,
    "failure": FAILURES,
    "phase": ("setup", "call", "teardown"),
    "worker": 64,
    "leftover": LEFTOVERS,
    "reason": ("start", "tests", "age", "memory", "fresh", "crash"),
    "vital": ("ttfb", "fcp", "lcp", "inp"),
    "level": ("error", "warning"),
    "resource": ("document", "script", "style", "image", "fetch"),
    "result": ("ok", "http_4xx", "http_5xx", "failed"),
    "transport": TRANSPORTS,
    "metric": 40,
    "slo": 12,
    "gate": 8,
    "version": 1,
    "python": 1,
    "playwright": 1,
    "engine": ("chromium", "firefox", "webkit"),
    "state": 12,
    "kind": ("used", "budget"),
    "cause": 24,
    "status": 16,
    "task": 40,
    "verdict": ("ok", "failed"),
}


@dataclass(frozen=True, slots=True)
class Series:
    """One metric.

    Attributes:
        name: as Prometheus shows it; a counter ends in ``_total``.
        help: what it counts or measures, in a sentence.
        labels: names in DOMAINS.
        buckets: upper bounds of a histogram.
        source: who exposes it: a ``run``, the ``last`` run of a suite (pushed), the ``service``, or
            ``load`` (Locust).
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    source: Source = "run"

    @property
    def family(self) -> str:
        """The name of its family: without ``_total`` or ``_info``."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str:
        """The base unit that its name ends in; empty for a plain number."""
        last = self.family.rpartition("_")[2]
        return last if last in ("seconds", "bytes", "ratio") else ""

    @property
    def samples(self) -> tuple[str, ...]:
        """The names under which its samples are written."""
        if self.kind == "histogram":
            return (f"{self.name}_bucket", f"{self.name}_count", f"{self.name}_sum")
        return (self.name,)

    @property
    def cap(self) -> int:
        """How many series there can be at most, the value ``other`` of each label included."""
        count = len(self.buckets) + 3 if self.kind == "histogram" else 1
        for label in self.labels:
            domain = DOMAINS[label]
            count *= (domain if isinstance(domain, int) else len(domain)) + 1
        return count


def _counter(name: str, told: str, *labels: str, source: Source = "run") -> Series:
    return Series(f"sentinel_{name}_total", "counter", told, labels, source=source)


def _gauge(name: str, told: str, *labels: str, source: Source = "run") -> Series:
    return Series(f"sentinel_{name}", "gauge", told, labels, source=source)


def _histogram(
    name: str, told: str, buckets: Sequence[float], *labels: str, source: Source = "run"
) -> Series:
    return Series(f"sentinel_{name}", "histogram", told, labels, tuple(buckets), source)


def _last(name: str, told: str, *labels: str) -> Series:
    return _gauge(f"run_{name}", told, "suite", "branch_class", *labels, source="last")


def _pool(name: str, told: str, *labels: str) -> Series:
    if name.endswith("_total"):
        return _counter(f"pool_{name.removesuffix('_total')}", told, *labels, source="service")
    return _gauge(f"pool_{name}", told, *labels, source="service")


# fmt: off
CATALOGUE: Final[tuple[Series, ...]] = (
    # A run, while it runs
    _counter("tests", "Attempts at tests that ended", "suite", "browser", "outcome"),
    _counter("test_failures", "Attempts that ended badly, by whose fault it was", "suite", "failure"),
    _histogram("test_duration_seconds", "How long the phases of attempts took", DURATIONS, "suite", "phase"),
    _counter("test_reruns", "Attempts after the first of a test", "suite", "browser"),
    _counter("flaky_tests", "Tests that passed after a bad attempt in the same run", "suite", "browser"),
    _histogram("test_memory_growth_bytes", "By how much browsers rose during an attempt, PSS", GROWTHS, "browser"),
    _counter("leak_suspects", "Things that tests left open, and pages that leak", "leftover"),
    _gauge("worker_memory_bytes", "PSS of a worker with its driver and browsers at its last attempt's peak", "worker"),
    _gauge("worker_memory_limit_bytes", "What a worker should stay below"),
    _gauge("workers", "Workers that have reported"),
    _counter("worker_crashes", "Workers that died under a test"),
    _gauge("browser_memory_bytes", "PSS of a worker's browsers at its last attempt's peak", "worker"),
    _gauge("page_heap_used_bytes", "JavaScript heap of a worker's pages at the end of its last attempt", "worker"),
    _gauge("page_dom_nodes", "DOM nodes of a worker's pages at the end of its last attempt", "worker"),
    _counter("browser_launches", "Browsers that started, by why", "reason"),
    _histogram("browser_launch_duration_seconds", "How long browsers took to start", WAITS),
    _histogram("browser_wait_seconds", "How long attempts waited for their browsers", WAITS),
    _counter("browser_launch_failures", "Launches that failed"),
    _counter("browser_crashes", "Browsers that died, or hung and were killed"),
    _counter("driver_deaths", "Processes of Playwright's driver that died, or hung and were killed"),
    _histogram("page_web_vital_seconds", "Web vitals of pages, last value of each page", VITALS, "vital"),
    _histogram("page_layout_shift_score", "Cumulative layout shift of pages, last value of each page", SHIFTS),
    _counter("page_console_messages", "Console messages of pages", "level"),
    _counter("page_errors", "Errors that no script of a page caught"),
    _counter("page_requests", "Requests of pages", "resource", "result"),
    Series("sentinel_build_info", "info", "What runs", ("version", "python", "playwright")),
    _gauge("slo_target", "What is promised; panels and rules draw the same line", "slo"),
    _counter("export_failures", "Exports that failed; none changes a run's result", "transport"),
    _counter("label_overflow", "Label values written as `other`, by metric", "metric"),
    _gauge("sampler_cpu_seconds", "CPU time that reading memory took, told by workers when they end"),
    # The last run of a suite: pushed once, at its end
    _last("last_completed_timestamp_seconds", "When the suite last ended"),
    _last("last_success_timestamp_seconds", "When the suite last ended without a bad test; absent after a bad run"),
    _last("duration_seconds", "How long the last run took"),
    _last("tests", "Tests of the last run by their final outcome", "outcome"),
    _last("failures", "Tests of the last run that ended badly, by whose fault it was", "failure"),
    _last("reruns", "Attempts after the first of a test in the last run"),
    _last("flaky_tests", "Tests of the last run that passed after a bad attempt"),
    _last("leak_suspects", "Things left open and leaking pages in the last run"),
    _last("test_duration_p95_seconds", "95th percentile of the tests' durations in the last run"),
    _last("peak_worker_memory_bytes", "Highest PSS of a worker with its driver and browsers in the last run"),
    _last("slots_used_ratio", "Browsers in use in the last run, of those there was room for or a pool had"),
    _last("quality_gate_passed", "1 if a gate passed in the last run, 0 if not; absent without data", "gate"),
    # The service
    _pool("ready", "1 if a lease asked for now is not refused"),
    _pool("utilisation_ratio", "Leases held or waited for, per slot that there could be"),
    _pool("browsers_maximum", "Places for browsers"),
    _pool("generation", "How often all browsers were renewed on request"),
    _pool("draining", "1 while no new lease is granted"),
    _pool("slots", "Slots by state", "state"),
    _pool("waiting", "Clients in the queue that a free slot would serve", "engine"),
    _pool("held_back", "Clients in the queue whose owner holds all leases that it may", "engine"),
    _pool("leases", "Leases that are held", "engine"),
    _pool("browsers", "Browsers by state", "engine", "state"),
    _pool("memory_bytes", "PSS of all browsers", "kind"),
    _pool("memory_paused", "1 while memory admits nothing new"),
    _pool("breaker_state", "1 for the state in which the breaker of an engine is", "engine", "state"),
    _pool("leases_total", "Leases that were granted, by engine", "cause"),
    _pool("ends_total", "Leases that ended, by how", "cause"),
    _pool("refusals_total", "Asks that were refused by the pool, by why", "cause"),
    _pool("launches_total", "Browser servers that started, by why", "cause"),
    _pool("launch_failures_total", "Browser servers that did not start, by why they were to", "cause"),
    _pool("crashes_total", "Browser servers that died, by engine", "cause"),
    _pool("retirements_total", "Browser servers that were renewed or ended, by why", "cause"),
    _pool("probes_total", "Probes of browser servers, by how they went", "cause"),
    _pool("contexts_disposed_total", "Contexts ended for a client that left them, by why", "cause"),
    _pool("leftovers_total", "What a dead service had left, by kind", "cause"),
    _pool("task_failures_total", "Work in the background that failed, by kind", "cause"),
    _gauge("clients", "Connections to the lease port", source="service"),
    _counter("clients_dropped", "Connections that were closed to make room, or for want of it", "cause", source="service"),
    _counter("refusals", "Clients that were turned away, by HTTP status", "status", source="service"),
    _histogram("acquire_wait_seconds", "From the request to the lease", WAITS, source="service"),
    _histogram("lease_seconds", "How long leases were held", LEASES, source="service"),
    _counter("log_lines_dropped", "Events that nobody read", source="service"),
    # Load
    _gauge("load_users", "Users that are simulated now", source="load"),
    _counter("load_requests", "Requests and scenarios that ended", "task", "verdict", source="load"),
    _histogram("load_request_duration_seconds", "How long requests and scenarios took", WAITS, "task", source="load"),
)
# fmt: on

BY_NAME: Final[Mapping[str, Series]] = {series.name: series for series in CATALOGUE}
BY_SAMPLE: Final[Mapping[str, Series]] = {
    sample: series for series in CATALOGUE for sample in series.samples
}


@dataclass(slots=True)
class Labels:
    """Keeps label values within their bounds, and counts what did not fit by metric."""

    overflow: dict[str, int] = field(default_factory=dict)
    _seen: dict[str, set[str]] = field(default_factory=dict)
    _known: dict[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)

    def bound(self, series: Series, values: Sequence[str]) -> tuple[str, ...]:
        """Return ``values`` with each that is out of bounds written as ``other``."""
        key = (series.name, *values)
        known = self._known.get(key)
        if known is None:
            known = tuple(
                self._bound(series.name, label, value)
                for label, value in zip(series.labels, values, strict=True)
            )
            if known == key[1:]:  # the others are counted each time
                self._known[key] = known
        return known

    def _bound(self, name: str, label: str, value: str) -> str:
        domain = DOMAINS[label]
        if isinstance(domain, int):
            seen = self._seen.setdefault(label, set())
            if len(seen) < domain:
                seen.add(value)
            fits = value in seen
        else:
            fits = value in domain
        if fits or value == OTHER:
            return value
        self.overflow[name] = self.overflow.get(name, 0) + 1
        return OTHER
