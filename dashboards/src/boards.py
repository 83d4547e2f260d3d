"""The eight boards: what each panel asks, in words and in PromQL.

Metrics are named in pytest_sentinel/telemetry/catalogue.py; a test holds every expression to it.
"""

from __future__ import annotations

from dashboards.src.building import Board, Panel, Variable
from pytest_sentinel.units import MIB

JOB = 'job=~"$job"'
LIVE = f'{JOB}, suite=~"$suite"'
LAST = f'{LIVE}, branch_class=~"$branch_class"'
RATE = "$__rate_interval"
BAD = 'outcome=~"failed|error|crashed|worker-crashed"'

_RUN_JOB = Variable("job", "Job", "sentinel_run_tests")
_LIVE_JOB = Variable("job", "Job", "sentinel_tests_total")
_POOL_JOB = Variable("job", "Job", "sentinel_pool_ready")
_SUITE = Variable("suite", "Suite", 'sentinel_run_tests{job=~"$job"}')
_LIVE_SUITE = Variable("suite", "Suite", 'sentinel_tests_total{job=~"$job"}')
_BRANCH = Variable("branch_class", "Branch", 'sentinel_run_tests{job=~"$job"}')


def _quantile(q: float, metric: str, labels: str, by: str = "le") -> str:
    buckets = f"rate({metric}_bucket{{{labels}}}[{RATE}])"
    return f"histogram_quantile({q}, sum by ({by}) ({buckets}))"


def _rate(metric: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[{RATE}]))"


OVERVIEW = Board(
    "overview", "Sentinel: overview", "Is anything wrong, and where to look.",
    (Variable("job", "Job", '{__name__=~"sentinel_run_tests|sentinel_pool_ready"}'), Variable("suite", "Suite", "sentinel_run_tests"), Variable("branch_class", "Branch", "sentinel_run_tests")),
    (
        (
            Panel("Quality gates", "The worst gate of each suite's last run.", "stat", "none",
                  ((f"min by (suite) (sentinel_run_quality_gate_passed{{{LAST}}})", "{{suite}}"),),
                  limit=1, high_is_good=True, mappings=("broken", "passed")),
            Panel("Tests", "Tests of the last runs by their final outcome.", "stat", "none",
                  ((f"sum by (outcome) (sentinel_run_tests{{{LAST}}})", "{{outcome}}"),)),
            Panel("Error ratio", "Share of the last runs' tests that ended badly; the target is 0.1 %.", "stat", "percentunit",
                  ((f"sum(sentinel_run_tests{{{LAST}, {BAD}}}) / clamp_min(sum(sentinel_run_tests{{{LAST}, outcome!=\"skipped\"}}), 1)", "error ratio"),),
                  limit=0.001),
        ),
        (
            Panel("Wait for a browser, p95", "From the request to the lease, at the service; the target is 200 ms.", "stat", "s",
                  ((_quantile(0.95, "sentinel_acquire_wait_seconds", JOB), "p95"),), width=6, limit=0.2),
            Panel("Worst worker", "Highest memory (PSS) of a worker in the last runs; the target is 512 MiB.", "stat", "bytes",
                  ((f"max(sentinel_run_peak_worker_memory_bytes{{{LAST}}})", "peak"),), width=6, limit=512 * MIB),
            Panel("Pool utilisation", "Leases held or waited for, per slot; above 80 % somebody will wait.", "stat", "percentunit",
                  ((f"avg(sentinel_pool_utilisation_ratio{{{JOB}}})", "utilisation"),), width=6, limit=0.8),
            Panel("Ready", "Share of the time in which the service would have leased; the target is 99.9 %.", "stat", "percentunit",
                  ((f"avg(avg_over_time(sentinel_pool_ready{{{JOB}}}[$__range]))", "ready"),), width=6, limit=0.999, high_is_good=True),
        ),
        (
            Panel("Since the last good run", "How long ago each suite last ended without a bad test.", "stat", "s",
                  ((f"time() - max by (suite) (max_over_time(sentinel_run_last_success_timestamp_seconds{{{LAST}}}[7d]))", "{{suite}}"),), width=12),
            Panel("Firing alerts", "What Alertmanager has been told. Empty is good.", "table", "none",
                  (('ALERTS{alertname=~"Sentinel.+", alertstate="firing"}', "{{alertname}}"),), width=12),
        ),
    ),
)  # fmt: skip

RUNS = Board(
    "runs", "Sentinel: runs and suites", "How long suites take, and what came out.",
    (_RUN_JOB, _SUITE, _BRANCH),
    (
        (
            Panel("Duration of a run", "Wall time of each suite's last run, over time.", "line", "s",
                  ((f"max by (suite) (sentinel_run_duration_seconds{{{LAST}}})", "{{suite}}"),), width=12),
            Panel("Outcomes", "Tests of the last runs by their final outcome.", "stack", "none",
                  ((f"sum by (outcome) (sentinel_run_tests{{{LAST}}})", "{{outcome}}"),), width=12),
        ),
        (
            Panel("Slow tests, p95", "95th percentile of the tests' durations in each suite's last run.", "line", "s",
                  ((f"max by (suite) (sentinel_run_test_duration_p95_seconds{{{LAST}}})", "{{suite}}"),)),
            Panel("Whose fault", "Bad tests of the last runs: the product's, the infrastructure's, or the harness's own.", "stack", "none",
                  ((f"sum by (failure) (sentinel_run_failures{{{LAST}}})", "{{failure}}"),)),
            Panel("Runs a day", "How often each suite came to an end within a day.", "line", "none",
                  ((f"sum by (suite) (changes(sentinel_run_last_completed_timestamp_seconds{{{LAST}}}[1d]))", "{{suite}}"),)),
        ),
        (
            Panel("Phases while running, p95", "Set-up, call and teardown of the runs that are scraped live.", "line", "s",
                  ((_quantile(0.95, "sentinel_test_duration_seconds", 'suite=~"$suite"', "le, phase"), "{{phase}}"),), width=12),
            Panel("Attempts a second", "Attempts that ended, of the runs that are scraped live.", "stack", "cps",
                  ((_rate("sentinel_tests_total", 'suite=~"$suite"', "outcome"), "{{outcome}}"),), width=12),
        ),
        (
            Panel("Slots used", "Browsers in use in each suite's last run, of those there was room for; above 80 % somebody will wait.", "line", "percentunit",
                  ((f"max by (suite) (sentinel_run_slots_used_ratio{{{LAST}}})", "{{suite}}"),), width=24, limit=0.8),
        ),
    ),
)  # fmt: skip

FLAKINESS = Board(
    "flakiness", "Sentinel: flakiness", "Tests that fail and pass on the same code.",
    (_RUN_JOB, _SUITE, _BRANCH),
    (
        (
            Panel("Flaky share", "Tests that passed after a bad attempt, of all tests of the last run.", "line", "percentunit",
                  ((f"sum by (suite) (sentinel_run_flaky_tests{{{LAST}}}) / clamp_min(sum by (suite) (sentinel_run_tests{{{LAST}, outcome!=\"skipped\"}}), 1)", "{{suite}}"),), width=12, limit=0.02),
            Panel("Flaky tests", "How many tests of the last run passed after a bad attempt.", "line", "none",
                  ((f"sum by (suite) (sentinel_run_flaky_tests{{{LAST}}})", "{{suite}}"),), width=12),
        ),
        (
            Panel("Repeats", "Attempts after the first, in each suite's last run: what flakiness costs.", "line", "none",
                  ((f"sum by (suite) (sentinel_run_reruns{{{LAST}}})", "{{suite}}"),)),
            Panel("Flaky by browser", "While runs are scraped live: tests that passed after a bad attempt, an hour.", "line", "none",
                  (('sum by (browser) (increase(sentinel_flaky_tests_total{suite=~"$suite"}[1h]))', "{{browser}}"),)),
            Panel("Not the product's fault", "Share of bad tests that the infrastructure or the harness lost.", "line", "percentunit",
                  ((f"sum by (suite) (sentinel_run_failures{{{LAST}, failure!=\"product\"}}) / clamp_min(sum by (suite) (sentinel_run_failures{{{LAST}}}), 1)", "{{suite}}"),)),
        ),
    ),
)  # fmt: skip

POOL = Board(
    "pool", "Sentinel: browser pool", "The service that leases browsers: who has them, who waits, what breaks.",
    (_POOL_JOB,),
    (
        (
            Panel("Browsers", "Browsers by state.", "stack", "none", ((f"sum by (state) (sentinel_pool_browsers{{{JOB}}})", "{{state}}"),)),
            Panel("Slots", "Slots by state; free ones are what a newcomer gets at once.", "stack", "none", ((f"sum by (state) (sentinel_pool_slots{{{JOB}}})", "{{state}}"),)),
            Panel("Utilisation", "Leases held or waited for, per slot.", "line", "percentunit", ((f"avg(sentinel_pool_utilisation_ratio{{{JOB}}})", "utilisation"),), limit=0.8),
        ),
        (
            Panel("Wait for a lease", "From the request to the lease; the target is 200 ms at the 95th percentile.", "line", "s",
                  tuple((_quantile(q, "sentinel_acquire_wait_seconds", JOB), f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99)), limit=0.2),
            Panel("Waits", "How many waits of which length there were.", "heatmap", "s",
                  ((_rate("sentinel_acquire_wait_seconds_bucket", JOB, "le"), "{{le}}"),)),
            Panel("In the queue", "Clients that wait for a free slot.", "line", "none", ((f"sum by (engine) (sentinel_pool_waiting{{{JOB}}})", "{{engine}}"),)),
        ),
        (
            Panel("Leases", "Leases that were granted, and that ended by which cause.", "line", "cps",
                  ((_rate("sentinel_pool_leases_total", JOB, "cause"), "granted {{cause}}"), (_rate("sentinel_pool_ends_total", JOB, "cause"), "ended {{cause}}"))),
            Panel("Turned away", "Clients that got no lease, by why.", "line", "cps", ((_rate("sentinel_pool_refusals_total", JOB, "cause"), "{{cause}}"),)),
            Panel("How long leases are held, p95", "A lease that is never given back shows here.", "line", "s",
                  ((_quantile(0.95, "sentinel_lease_seconds", JOB), "p95"),)),
        ),
        (
            Panel("Starts, ends and deaths", "Browser servers that started, were renewed, or died.", "line", "cps",
                  ((_rate("sentinel_pool_launches_total", JOB, "cause"), "started {{cause}}"), (_rate("sentinel_pool_retirements_total", JOB, "cause"), "renewed {{cause}}"), (_rate("sentinel_pool_crashes_total", JOB, "cause"), "died {{cause}}"), (_rate("sentinel_pool_launch_failures_total", JOB, "cause"), "did not start {{cause}}"))),
            Panel("Breaker", "1 while launches are held back because they keep failing.", "line", "none",
                  ((f"max by (engine, state) (sentinel_pool_breaker_state{{{JOB}, state!=\"closed\"}})", "{{engine}} {{state}}"),)),
            Panel("Memory", "PSS of all browsers, and the budget.", "line", "bytes", ((f"sum by (kind) (sentinel_pool_memory_bytes{{{JOB}}})", "{{kind}}"),)),
        ),
    ),
)  # fmt: skip

MEMORY = Board(
    "memory", "Sentinel: memory and leaks", "What workers and browsers hold, while runs are scraped live, and after them.",
    (_LIVE_JOB, _LIVE_SUITE, Variable("branch_class", "Branch", "sentinel_run_tests")),
    (
        (
            Panel("Workers", "PSS of each worker with its driver and browsers; the dashed line is the limit.", "line", "bytes",
                  ((f"max by (worker) (sentinel_worker_memory_bytes{{{JOB}}})", "{{worker}}"), (f"max(sentinel_worker_memory_limit_bytes{{{JOB}}})", "limit")), width=12, limit=512 * MIB),
            Panel("Browsers", "PSS of each worker's browsers.", "line", "bytes", ((f"max by (worker) (sentinel_browser_memory_bytes{{{JOB}}})", "{{worker}}"),), width=12),
        ),
        (
            Panel("Growth in a test, p95", "By how much browsers rise during an attempt.", "line", "bytes",
                  ((_quantile(0.95, "sentinel_test_memory_growth_bytes", JOB, "le, browser"), "{{browser}}"),)),
            Panel("Left open, and leaking pages", "What tests left open, by kind, an hour.", "stack", "none",
                  ((f"sum by (leftover) (increase(sentinel_leak_suspects_total{{{JOB}}}[1h]))", "{{leftover}}"),)),
            Panel("Starts of browsers", "Why browsers started: first ones, worn ones renewed, dead ones replaced.", "stack", "none",
                  ((f"sum by (reason) (increase(sentinel_browser_launches_total{{{JOB}}}[1h]))", "{{reason}}"),)),
        ),
        (
            Panel("JavaScript heap", "Heap of each worker's pages at the end of its last attempt, where it is read.", "line", "bytes", ((f"max by (worker) (sentinel_page_heap_used_bytes{{{JOB}}})", "{{worker}}"),)),
            Panel("DOM nodes", "Nodes of each worker's pages at the end of its last attempt, where they are counted.", "line", "none", ((f"max by (worker) (sentinel_page_dom_nodes{{{JOB}}})", "{{worker}}"),)),
            Panel("Deaths of browsers and workers", "Each one loses an attempt, an hour.", "line", "none",
                  ((f"sum(increase(sentinel_browser_crashes_total{{{JOB}}}[1h]))", "browsers"), (f"sum(increase(sentinel_worker_crashes_total{{{JOB}}}[1h]))", "workers"))),
        ),
        (
            Panel("Wait of an attempt for its browser", "Launches, replacements and leases included; the target is 200 ms at the 95th percentile.", "line", "s",
                  tuple((_quantile(q, "sentinel_browser_wait_seconds", JOB), f"p{q * 100:.0f}") for q in (0.5, 0.95)), width=24, limit=0.2),
        ),
    ),
)  # fmt: skip


def _share(vital: str, good: str) -> str:
    labels = f'{JOB}, vital="{vital}"'
    fine = f'sum(rate(sentinel_page_web_vital_seconds_bucket{{{labels}, le="{good}"}}[{RATE}]))'
    return f"{fine} / sum(rate(sentinel_page_web_vital_seconds_count{{{labels}}}[{RATE}]))"


def _vital(vital: str) -> str:
    return _quantile(0.75, "sentinel_page_web_vital_seconds", f'{JOB}, vital="{vital}"')


PAGES = Board(
    "pages", "Sentinel: pages", "What users of the pages would feel, and what went wrong in them.",
    (_LIVE_JOB,),
    (
        (
            Panel("Largest contentful paint, p75", "When the main content is there; good is below 2.5 s.", "line", "s", ((_vital("lcp"), "LCP"),), width=6, limit=2.5),
            Panel("First contentful paint, p75", "When anything is there; good is below 1.8 s.", "line", "s", ((_vital("fcp"), "FCP"),), width=6, limit=1.8),
            Panel("Time to first byte, p75", "When the server answers; good is below 0.8 s.", "line", "s", ((_vital("ttfb"), "TTFB"),), width=6, limit=0.8),
            Panel("Interaction to next paint, p75", "How long the page takes to react; good is below 0.2 s.", "line", "s", ((_vital("inp"), "INP"),), width=6, limit=0.2),
        ),
        (
            Panel("Good share", "Share of page loads within the bound of good.", "line", "percentunit",
                  tuple((_share(vital, good), vital.upper()) for vital, good in (("lcp", "2.5"), ("fcp", "1.8"), ("ttfb", "0.8"), ("inp", "0.2"))), width=12, limit=0.75, high_is_good=True),
            Panel("Layout shift, p75", "How much content jumps; good is below 0.1.", "line", "none",
                  ((_quantile(0.75, "sentinel_page_layout_shift_score", JOB), "CLS"),), width=12, limit=0.1),
        ),
        (
            Panel("Console", "Console messages of pages, by level.", "line", "cps", ((_rate("sentinel_page_console_messages_total", JOB, "level"), "{{level}}"),)),
            Panel("Uncaught errors", "Errors that no script of a page caught.", "line", "cps", ((f"sum(rate(sentinel_page_errors_total{{{JOB}}}[{RATE}]))", "errors"),)),
            Panel("Failed requests", "Requests of pages that failed, or were answered with 4xx or 5xx.", "line", "cps",
                  ((_rate("sentinel_page_requests_total", f'{JOB}, result!="ok"', "resource, result"), "{{resource}} {{result}}"),)),
        ),
    ),
)  # fmt: skip

LOAD = Board(
    "load", "Sentinel: load", "Browser users in Locust, and the pool that they share.",
    (Variable("job", "Job", "sentinel_load_users"), Variable("task", "Task", 'sentinel_load_requests_total{job=~"$job"}')),
    (
        (
            Panel("Users", "Users that are simulated.", "line", "none", ((f"sum(sentinel_load_users{{{JOB}}})", "users"),)),
            Panel("Throughput", "Requests and scenarios a second, by task.", "line", "cps", ((_rate("sentinel_load_requests_total", f'{JOB}, task=~"$task"', "task"), "{{task}}"),)),
            Panel("Failure ratio", "Share that failed; the target is 0.1 %.", "line", "percentunit",
                  ((f'sum(rate(sentinel_load_requests_total{{{JOB}, task=~"$task", verdict="failed"}}[{RATE}])) / sum(rate(sentinel_load_requests_total{{{JOB}, task=~"$task"}}[{RATE}]))', "failed"),), limit=0.001),
        ),
        (
            Panel("Duration", "How long requests and scenarios take.", "line", "s",
                  tuple((_quantile(q, "sentinel_load_request_duration_seconds", f'{JOB}, task=~"$task"'), f"p{q * 100:.0f}") for q in (0.5, 0.95, 0.99)), width=12),
            Panel("Duration by task, p95", "Which task is slow.", "line", "s",
                  ((_quantile(0.95, "sentinel_load_request_duration_seconds", f'{JOB}, task=~"$task"', "le, task"), "{{task}}"),), width=12),
        ),
    ),
)  # fmt: skip

ITSELF = Board(
    "itself", "Sentinel: itself", "Whether what measures can be trusted, and what it costs.",
    (Variable("job", "Job", 'up{job=~"sentinel.*"}'),),
    (
        (
            Panel("Scrapes", "1 where Prometheus reaches a target.", "line", "none", ((f"min by (job) (up{{{JOB}}})", "{{job}}"),)),
            Panel("Series", "Samples of each scrape; a process may have 2,000.", "line", "none", ((f"max by (job) (scrape_samples_scraped{{{JOB}}})", "{{job}}"),), limit=2000),
            Panel("Exports that failed", "None changes a run's result; an hour.", "line", "none", ((f"sum by (transport) (increase(sentinel_export_failures_total{{{JOB}}}[1h]))", "{{transport}}"),)),
        ),
        (
            Panel("Labels out of bounds", "Values written as `other`, an hour.", "line", "none", ((f"sum by (metric) (increase(sentinel_label_overflow_total{{{JOB}}}[1h]))", "{{metric}}"),)),
            Panel("Cost of sampling", "CPU time that reading memory took, told when workers end.", "line", "s", ((f"max by (job) (sentinel_sampler_cpu_seconds{{{JOB}}})", "{{job}}"),)),
            Panel("Events that nobody read", "Lines that the service's log lost, an hour.", "line", "none", ((f"sum by (job) (increase(sentinel_log_lines_dropped_total{{{JOB}}}[1h]))", "{{job}}"),)),
        ),
        (
            Panel("Clients", "Connections to the lease port.", "line", "none", ((f"sum(sentinel_clients{{{JOB}}})", "clients"),)),
            Panel("Probes", "Looks after the service's browsers, by how they went.", "line", "cps", ((_rate("sentinel_pool_probes_total", JOB, "cause"), "{{cause}}"),)),
            Panel("What runs", "Versions of what is scraped.", "table", "none", ((f"max by (job, version, python, playwright) (sentinel_build_info{{{JOB}}})", "{{version}}"),)),
        ),
    ),
)  # fmt: skip

BOARDS = (OVERVIEW, RUNS, FLAKINESS, POOL, MEMORY, PAGES, LOAD, ITSELF)
