"""The alerts: what each one means, when it fires, what to do, and the case that proves it.

Rules, tests of rules and runbooks are written from this table, so that none can be without the
others. Symptoms first; ``page`` wakes somebody, ``ticket`` can wait for the day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

SERVE = 'job="sentinel-serve"'
# Jobs whose targets come and go with what they measure.
SHORT_LIVED = "sentinel-(run|load)"


@dataclass(frozen=True)
class Case:
    """A time series in promtool's notation, at the boundary of an alert.

    Attributes:
        series: (name with labels, values from minute 0 on, one in ``step``).
        at: when to look.
        labels: of the alert that fires; None when none does.
    """

    series: Sequence[tuple[str, str]]
    at: str
    labels: Mapping[str, str] | None = None
    step: str = "15s"


@dataclass(frozen=True)
class Alert:
    """One alert, with its page of the runbook."""

    name: str
    expr: str
    severity: str
    board: str
    summary: str
    meaning: str
    impact: str
    checks: Sequence[tuple[str, str]]
    mitigation: str
    cases: Sequence[Case] = field(default_factory=tuple)
    lasts: str = "0s"


_STATUS = ("How is the service?", "sentinel health; sentinel status")
_READY = ("What does it answer?", "curl -s http://127.0.0.1:9324/ready")
_LOG = ("What did it say last?", "journalctl -u sentinel-serve -n 100")
_RECORD = ("What does the last record say?", "sentinel gate --preset run .sentinel/runs/latest")
_REPORT = ("What happened in the run?", "sentinel report .sentinel/runs/latest")
_MEMORY = ("How much memory is there?", "free -m")
_BROWSER = ("Does a browser start here?", "sentinel doctor")
_PROM = ("What does Prometheus see?", "curl -s 'http://127.0.0.1:9090/api/v1/targets'")
_RUN = '{job="sentinel", suite="shop", branch_class="main"}'
_RUN_LABELS = {"suite": "shop", "branch_class": "main"}
_UP = 'up{job="sentinel-serve", instance="a:1"}'
_SERVED = {"job": "sentinel-serve", "instance": "a:1"}

ALERTS: tuple[Alert, ...] = (
    Alert(
        "SentinelProbeFailing",
        f"count_over_time(up{{{SERVE}}}[29s]) >= 2 and max_over_time(up{{{SERVE}}}[29s]) == 0",
        "page", "itself", "Two scrapes of the service in a row failed.",
        "Prometheus scrapes every 15 s; the control port did not answer twice.",
        "Nobody gets a browser from this service. Suites with --sentinel-pool-fallback go on with browsers of their own.",
        (_STATUS, _LOG, _PROM),
        "Start the service again: `systemctl restart sentinel-serve`. It removes what a dead one left.",
        (
            Case(((_UP, "1 1 0 0"),), "45s", _SERVED),
            Case(((_UP, "1 1 0 1"),), "45s"),
            Case(((_UP, "1 1 0"),), "30s"),
        ),
    ),
    Alert(
        "SentinelTargetDown",
        f'up{{job=~"sentinel.*", job!~"{SHORT_LIVED}"}} == 0 or absent(up{{{SERVE}}})',
        "page", "itself", "A target of Prometheus is gone for a minute, or the service is not scraped at all.",
        "A target that should always answer does not, or Prometheus does not know the service. Runs and load tests (jobs sentinel-run and sentinel-load) do not count: between two of them their port is closed.",
        "What happens there is not measured, and no other alert about it can fire.",
        (_PROM, _STATUS, ("Is anything listening?", "ss -ltn | grep -E '932[345]'")),
        "Start what is down, or mend the scrape configuration.",
        (
            Case(((_UP, "1 0x8"),), "90s", _SERVED),
            Case(((_UP, "1 0x2 1x6"),), "90s"),
            Case((('up{job="other", instance="b:1"}', "1x8"),), "90s", {"job": "sentinel-serve"}),
            Case(((_UP, "1x20"), ('up{job="sentinel-run", instance="ci:9325"}', "1x4 0x16"), ('up{job="sentinel-load", instance="ci:9326"}', "1x4 0x16")), "4m"),
            Case(((_UP, "1x20"), ('up{job="sentinel-pushgateway", instance="p:9091"}', "1x4 0x16")), "4m", {"job": "sentinel-pushgateway", "instance": "p:9091"}),
        ),
        "1m",
    ),
    Alert(
        "SentinelPoolNotReady",
        "max by (job, instance) (sentinel_pool_ready) == 0",
        "page", "pool", "The service has refused leases for 30 seconds.",
        "It is up, but not ready: it is draining, short of memory, or browsers do not start.",
        "Tests and load that use the pool wait, then fail as infrastructure failures.",
        (_READY, _STATUS, _MEMORY),
        "`/ready` names the reason. Memory: end what else runs, or `sentinel resize`. Draining: start the next service.",
        (
            Case((('sentinel_pool_ready{job="s", instance="a"}', "1 0x6"),), "1m", {"job": "s", "instance": "a"}),
            Case((('sentinel_pool_ready{job="s", instance="a"}', "1 0x1 1x6"),), "1m"),
        ),
        "30s",
    ),
    Alert(
        "SentinelCrashLoop",
        'max by (job, engine) (sentinel_pool_breaker_state{state="open"}) == 1',
        "page", "pool", "Browsers do not start, or die at once; launches are held back.",
        "The breaker of an engine is open: its last launches failed. It lets one through from time to time.",
        "No new browser of that engine. Those that live go on.",
        (("What is the cause?", "sentinel status"), _BROWSER, _LOG),
        "`sentinel status` shows the breaker's cause and the browser's last words. After a repair the breaker closes by itself.",
        (
            Case((('sentinel_pool_breaker_state{job="s", engine="chromium", state="open"}', "0 1"),), "15s", {"job": "s", "engine": "chromium"}),
            Case((('sentinel_pool_breaker_state{job="s", engine="chromium", state="open"}', "0 0"), ('sentinel_pool_breaker_state{job="s", engine="chromium", state="half-open"}', "0 1")), "15s"),
        ),
    ),
    Alert(
        "SentinelBrowserCrashes",
        "sum by (job) (increase(sentinel_pool_crashes_total[10m])) >= 3",
        "ticket", "pool", "Three browsers of the pool died within ten minutes.",
        "Browsers start, and die under their users.",
        "Each death loses the leases on that browser; tests on it are repeated once.",
        (_STATUS, _MEMORY, ("Did the kernel kill them?", "dmesg | grep -i 'killed process'")),
        "Out of memory: fewer contexts for a browser, `sentinel resize`. Else try another browser build.",
        (
            Case((('sentinel_pool_crashes_total{job="s", cause="chromium"}', "0x20 4x20"),), "10m", {"job": "s"}),
            Case((('sentinel_pool_crashes_total{job="s", cause="chromium"}', "0x20 2x20"),), "10m"),
        ),
    ),
    Alert(
        "SentinelUptimeFastBurn",
        f"(1 - avg_over_time(up{{{SERVE}}}[1h])) > 14.4 * 0.001 and (1 - avg_over_time(up{{{SERVE}}}[5m])) > 14.4 * 0.001",
        "page", "overview", "At this rate the service uses up its downtime for a month in two days.",
        "99.9 % uptime allows 43 minutes a month; they are being used 14 times too fast.",
        "Browsers cannot be leased for a good part of the time.",
        (_STATUS, _LOG, _PROM),
        "Find what ends it: `journalctl -u sentinel-serve`, memory, restarts of the machine.",
        (
            Case(((_UP, "1x232 0x7"),), "1h", _SERVED),
            Case(((_UP, "1x236 0x2"),), "1h"),
            Case(((_UP, "0x20 1x219"),), "1h"),
        ),
    ),
    Alert(
        "SentinelUptimeSlowBurn",
        f"(1 - avg_over_time(up{{{SERVE}}}[6h])) > 6 * 0.001 and (1 - avg_over_time(up{{{SERVE}}}[30m])) > 6 * 0.001",
        "ticket", "overview", "At this rate the service uses up its downtime for a month in five days.",
        "99.9 % uptime allows 43 minutes a month; they are being used 6 times too fast.",
        "Now and then browsers cannot be leased.",
        (_STATUS, _LOG, _PROM),
        "Find what ends it again and again; short gaps are restarts more often than crashes.",
        (
            Case(((_UP, "1x350 0x8"),), "6h", _SERVED, "1m"),
            Case(((_UP, "1x357 0x1"),), "6h", None, "1m"),
        ),
    ),
    Alert(
        "SentinelAcquireWaitHigh",
        "job:sentinel_acquire_wait_seconds:p95_5m > 0.2 and sum by (job) (increase(sentinel_acquire_wait_seconds_count[5m])) >= 20",
        "ticket", "pool", "One in twenty clients waits more than 200 ms for a browser.",
        "The 95th percentile from the request to the lease is above the target, over at least 20 requests.",
        "Tests take longer; load generates less than it claims.",
        (_STATUS, ("How pressed is it?", "curl -s http://127.0.0.1:9324/ready"), ("Is the machine busy?", "uptime")),
        "More places (`sentinel resize`), or more contexts for each browser, if memory allows; fewer workers otherwise.",
        (
            Case((('sentinel_acquire_wait_seconds_bucket{job="s", le="0.2"}', "0+9x60"), ('sentinel_acquire_wait_seconds_bucket{job="s", le="0.5"}', "0+10x60"), ('sentinel_acquire_wait_seconds_bucket{job="s", le="+Inf"}', "0+10x60"), ('sentinel_acquire_wait_seconds_count{job="s"}', "0+10x60")), "12m", {"job": "s"}),
            Case((('sentinel_acquire_wait_seconds_bucket{job="s", le="0.2"}', "0+96x60"), ('sentinel_acquire_wait_seconds_bucket{job="s", le="0.5"}', "0+100x60"), ('sentinel_acquire_wait_seconds_bucket{job="s", le="+Inf"}', "0+100x60"), ('sentinel_acquire_wait_seconds_count{job="s"}', "0+100x60")), "12m"),
        ),
        "5m",
    ),
    Alert(
        "SentinelPoolSaturated",
        "avg by (job) (sentinel_pool_utilisation_ratio) > 0.8",
        "ticket", "pool", "The pool has been more than 80 % used for five minutes.",
        "Leases that are held or waited for take more than four fifths of the slots.",
        "The next ones to come will wait.",
        (_STATUS, _MEMORY, ("Who holds the leases?", "sentinel status")),
        "`sentinel resize`, if memory allows; else another machine: `--sentinel-pool` takes several services.",
        (
            Case((('sentinel_pool_utilisation_ratio{job="s"}', "0.81x40"),), "6m", {"job": "s"}),
            Case((('sentinel_pool_utilisation_ratio{job="s"}', "0.8x40"),), "6m"),
        ),
        "5m",
    ),
    Alert(
        "SentinelPoolTimeouts",
        'sum by (job) (increase(sentinel_pool_refusals_total{cause="timeout"}[5m])) > 0',
        "page", "pool", "A client waited for a browser and got none.",
        "The client was still in the queue when its wait timed out.",
        "A test failed for want of a browser, or went on without the pool.",
        (_STATUS, _READY, _MEMORY),
        "Find who holds leases for long (`sentinel status`); `--max-lease` bounds them.",
        (
            Case((('sentinel_pool_refusals_total{job="s", cause="timeout"}', "0x4 1x8"),), "3m", {"job": "s"}),
            Case((('sentinel_pool_refusals_total{job="s", cause="full"}', "0x4 1x8"), ('sentinel_pool_refusals_total{job="s", cause="timeout"}', "1x12")), "3m"),
        ),
    ),
    Alert(
        "SentinelWorkerMemoryHigh",
        "sentinel_worker_memory_bytes > on (job, instance) group_left () sentinel_worker_memory_limit_bytes",
        "page", "memory", "A worker uses more memory than its limit.",
        "PSS of a pytest worker with its driver and browsers is above --sentinel-worker-memory (512 MiB) for a minute.",
        "The runner may run out of memory and kill the run.",
        (_MEMORY, _REPORT, ("What is hungry?", "sentinel gate -g 'test_memory_growth: max < 256MB'")),
        "The report names the hungriest tests. `--sentinel-recycle-after` renews browsers sooner; `-n` with fewer workers.",
        (
            Case((('sentinel_worker_memory_bytes{job="r", instance="a", worker="gw0"}', "536870913x8"), ('sentinel_worker_memory_limit_bytes{job="r", instance="a"}', "536870912x8")), "2m", {"job": "r", "instance": "a", "worker": "gw0"}),
            Case((('sentinel_worker_memory_bytes{job="r", instance="a", worker="gw0"}', "536870912x8"), ('sentinel_worker_memory_limit_bytes{job="r", instance="a"}', "536870912x8")), "2m"),
        ),
        "1m",
    ),
    Alert(
        "SentinelWorkerMemoryNearLimit",
        "sentinel_worker_memory_bytes / on (job, instance) group_left () sentinel_worker_memory_limit_bytes > 0.8",
        "ticket", "memory", "A worker uses more than 80 % of its memory limit.",
        "PSS of a pytest worker with its driver and browsers has been near its limit for five minutes.",
        "None yet; growth would end in SentinelWorkerMemoryHigh.",
        (_MEMORY, _REPORT, ("What is hungry?", "sentinel gate -g 'test_memory_growth: max < 256MB'")),
        "Look at the board of memory: does it rise from test to test? Then look for leaks.",
        (
            Case((('sentinel_worker_memory_bytes{job="r", instance="a", worker="gw0"}', "81x30"), ('sentinel_worker_memory_limit_bytes{job="r", instance="a"}', "100x30")), "6m", {"job": "r", "instance": "a", "worker": "gw0"}),
            Case((('sentinel_worker_memory_bytes{job="r", instance="a", worker="gw0"}', "80x30"), ('sentinel_worker_memory_limit_bytes{job="r", instance="a"}', "100x30")), "6m"),
        ),
        "5m",
    ),
    Alert(
        "SentinelLeakSuspected",
        "sum by (job) (increase(sentinel_leak_suspects_total[1h])) > 3",
        "ticket", "memory", "Tests left more than three things open within an hour.",
        "The search for leftovers found contexts, pages, threads or leaking pages.",
        "Workers grow; tests disturb each other.",
        (_REPORT, _RECORD, ("Fail tests that leave something open", "pytest --sentinel-leaks=error")),
        "The report names the line that opened each. Close it there, or allow it with a reason.",
        (
            Case((('sentinel_leak_suspects_total{job="r", leftover="page"}', "0x60 4x120"),), "45m", {"job": "r"}),
            Case((('sentinel_leak_suspects_total{job="r", leftover="page"}', "0x60 3x120"),), "45m"),
            # Three runs with two each: the port of a run shows zeros first.
            Case((('sentinel_leak_suspects_total{job="r", leftover="page"}', "0x2 2x10 _x40 0x2 2x10 _x40 0x2 2x10"),), "35m", {"job": "r"}),
        ),
    ),
    Alert(
        "SentinelErrorRatioHigh",
        '(sum by (job) (increase(sentinel_load_requests_total{verdict="failed"}[5m])) / sum by (job) (increase(sentinel_load_requests_total[5m])) > 0.001 and sum by (job) (increase(sentinel_load_requests_total[5m])) > 1000)'
        ' or (sum by (job) (increase(sentinel_load_requests_total{verdict="failed"}[5m])) >= 2 and sum by (job) (increase(sentinel_load_requests_total[5m])) <= 1000)',
        "ticket", "load", "More than one in a thousand requests of the load fails.",
        "Over five minutes. With fewer than a thousand requests: at least two failed.",
        "The application, or the pool under it, does not bear this load.",
        (("Which task fails?", "locust --headless ... (its table of failures)"), _STATUS, _READY),
        "Fewer users until it stops; then find which of both gave in: the board shows the pool's waits beside.",
        (
            Case((('sentinel_load_requests_total{job="l", task="buy", verdict="ok"}', "0+100x40"), ('sentinel_load_requests_total{job="l", task="buy", verdict="failed"}', "0+1x40")), "9m", {"job": "l"}),
            Case((('sentinel_load_requests_total{job="l", task="buy", verdict="ok"}', "0+2000x40"), ('sentinel_load_requests_total{job="l", task="buy", verdict="failed"}', "0+1x40")), "9m"),
        ),
        "3m",
    ),
    Alert(
        "SentinelSuiteStale",
        'time() - max by (suite, branch_class) (max_over_time(sentinel_run_last_success_timestamp_seconds{branch_class="main"}[7d])) > 2 * 86400 + 3600'
        ' or (max by (suite, branch_class) (time() - max_over_time(sentinel_run_last_completed_timestamp_seconds{branch_class="main"}[7d] offset 2d)) >= 2 * 86400'
        ' unless on (suite, branch_class) max by (suite, branch_class) (max_over_time(sentinel_run_last_success_timestamp_seconds{branch_class="main"}[7d])))',
        "page", "overview", "A suite has not ended well on main for two days.",
        "A suite is expected to run once a day; two runs have failed or did not take place. A suite that ran more than two days ago and has had no success for a week counts, too.",
        "Nobody knows whether main works.",
        (("Did it run?", "curl -s http://127.0.0.1:9091/metrics | grep last_completed"), _REPORT, ("What does the CI say?", "(look at the schedule of the suite)")),
        "Mend the suite, or its schedule. For another rhythm change the number in the rule.",
        (
            Case((("sentinel_run_last_success_timestamp_seconds" + _RUN, "0x300"),), "2950m", _RUN_LABELS, "10m"),
            Case((("sentinel_run_last_success_timestamp_seconds" + _RUN, "0x300"),), "2940m", None, "10m"),
            # Red for eight days: a bad run pushes no moment of success.
            Case((("sentinel_run_last_success_timestamp_seconds" + _RUN, "0x2 _x1200"), ("sentinel_run_last_completed_timestamp_seconds" + _RUN, "0+600x1200")), "11520m", _RUN_LABELS, "10m"),
            # Red from its first run on, a day ago.
            Case((("sentinel_run_last_completed_timestamp_seconds" + _RUN, "0+600x200"),), "1440m", None, "10m"),
            Case((("sentinel_run_last_success_timestamp_seconds" + _RUN, "0x2 _x1149 691200x40"), ("sentinel_run_last_completed_timestamp_seconds" + _RUN, "0+600x1200")), "11700m", None, "10m"),
        ),
    ),
    Alert(
        "SentinelRunNotReporting",
        "push_failure_time_seconds > push_time_seconds",
        "ticket", "itself", "The Pushgateway refused what a run pushed.",
        "The last push of a suite was not accepted.",
        "Boards show the run before it.",
        (("What does it say?", "curl -s http://127.0.0.1:9091/metrics | grep push_"), ("Is there a spool?", "ls .sentinel/runs/*/push.prom"), _PROM),
        "Push the spool by hand: `curl --data-binary @push.prom -X PUT http://127.0.0.1:9091/metrics/job/sentinel/suite/NAME/branch_class/main`.",
        (
            Case((('push_time_seconds{job="sentinel", suite="shop"}', "100x4"), ('push_failure_time_seconds{job="sentinel", suite="shop"}', "101x4")), "1m", {"job": "sentinel", "suite": "shop"}),
            Case((('push_time_seconds{job="sentinel", suite="shop"}', "101x4"), ('push_failure_time_seconds{job="sentinel", suite="shop"}', "100x4")), "1m"),
        ),
    ),
    Alert(
        "SentinelQualityGateFailed",
        'max by (suite, gate) (sentinel_run_quality_gate_passed{branch_class="main"} == 0)',
        "ticket", "overview", "A gate is broken on main.",
        "The last run of a suite on main did not meet a threshold.",
        "A promise does not hold.",
        (_RECORD, _REPORT, ("Which gate, by how much?", "sentinel gate -g gates.txt --format json")),
        "The gate is named in the alert; the report shows what broke it.",
        (
            Case((('sentinel_run_quality_gate_passed{suite="shop", gate="leaks", branch_class="main"}', "1 0"),), "15s", {"suite": "shop", "gate": "leaks"}),
            Case((('sentinel_run_quality_gate_passed{suite="shop", gate="leaks", branch_class="main"}', "1 1"), ('sentinel_run_quality_gate_passed{suite="shop", gate="leaks", branch_class="pr"}', "0 0")), "15s"),
        ),
    ),
    Alert(
        "SentinelHarnessFault",
        'max by (suite) (sentinel_run_failures{failure="harness"}) > 0',
        "ticket", "runs", "A test failed through a fault of pytest-sentinel itself.",
        "The error came from the plugin, and is not one that it raises on purpose.",
        "A result is not the product's; more may follow.",
        (_REPORT, ("Which test?", "grep '\"harness\"' .sentinel/runs/latest/run.jsonl"), ("Is it gone without?", "pytest --no-sentinel")),
        "Report it with the record of the run. Until then: `--no-sentinel`.",
        (
            Case((('sentinel_run_failures{suite="shop", failure="harness"}', "0 1"),), "15s", {"suite": "shop"}),
            Case((('sentinel_run_failures{suite="shop", failure="harness"}', "0 0"), ('sentinel_run_failures{suite="shop", failure="product"}', "3 3")), "15s"),
        ),
    ),
    Alert(
        "SentinelFlakeRateHigh",
        'sum by (suite) (avg_over_time(sentinel_run_flaky_tests[7d])) / sum by (suite) (avg_over_time(sentinel_run_tests{outcome!="skipped"}[7d])) > 0.02',
        "ticket", "flakiness", "More than 2 % of a suite's tests are flaky.",
        "Over a week, tests that passed only after a bad attempt.",
        "A red run no longer means much.",
        (_REPORT, ("Which tests?", "grep '\"attempt\":2' .sentinel/runs/latest/run.jsonl"), _RECORD),
        "Give the worst ones an owner. If they fail with the browser, look at the pool and at memory first.",
        (
            Case((('sentinel_run_flaky_tests{suite="shop"}', "3x40"), ('sentinel_run_tests{suite="shop", outcome="passed"}', "100x40")), "10m", {"suite": "shop"}),
            Case((('sentinel_run_flaky_tests{suite="shop"}', "2x40"), ('sentinel_run_tests{suite="shop", outcome="passed"}', "100x40")), "10m"),
        ),
    ),
    Alert(
        "SentinelDurationRegression",
        "sentinel_run_duration_seconds > 1.25 * quantile_over_time(0.5, sentinel_run_duration_seconds[7d] offset 1d)",
        "ticket", "runs", "A suite takes a quarter longer than it used to.",
        "The last run took more than 1.25 times the median of the week before.",
        "Everybody waits longer.",
        (_REPORT, ("What is slow?", "sentinel gate -g 'tests: p(95) < 5s'"), ("Was the machine busy?", "uptime")),
        "The report lists the slowest tests; the board of runs shows which phase grew.",
        (
            Case((("sentinel_run_duration_seconds" + _RUN, "100x180 126x20"),), "1900m", {"job": "sentinel", **_RUN_LABELS}, "10m"),
            Case((("sentinel_run_duration_seconds" + _RUN, "100x180 125x20"),), "1900m", None, "10m"),
        ),
    ),
    Alert(
        "SentinelExportFailing",
        "sum by (job, transport) (increase(sentinel_export_failures_total[10m])) > 0",
        "ticket", "itself", "Metrics of a run could not be exported.",
        "A file, a port or the Pushgateway failed. The result of the run is not affected.",
        "Boards miss a run, or a part of it.",
        (("What was wrong?", "grep export_failures .sentinel/runs/latest/run.jsonl"), ("Is the disk full?", "df -h"), ("Is the Pushgateway there?", "curl -s http://127.0.0.1:9091/-/ready")),
        "Mend what the run's warning names; what was to be pushed lies beside the record.",
        (
            Case((('sentinel_export_failures_total{job="r", transport="push"}', "0x10 1x10"),), "4m", {"job": "r", "transport": "push"}),
            Case((('sentinel_export_failures_total{job="r", transport="push"}', "1x20"),), "4m"),
        ),
    ),
    Alert(
        "SentinelSeriesNearCap",
        'scrape_samples_scraped{job=~"sentinel.*"} > 1600',
        "ticket", "itself", "A process exposes more than 1,600 series.",
        "Four of five of the 2,000 that a process may have.",
        "Prometheus gets slow, and costs more.",
        (("Which metric?", "curl -s http://127.0.0.1:9324/metrics | cut -d'{' -f1 | sort | uniq -c | sort -n | tail"), ("What overflowed?", "curl -s http://127.0.0.1:9324/metrics | grep label_overflow"), _PROM),
        "A label takes too many values: that is a fault of pytest-sentinel, report it.",
        (
            Case((('scrape_samples_scraped{job="sentinel-serve"}', "1601x4"),), "1m", {"job": "sentinel-serve"}),
            Case((('scrape_samples_scraped{job="sentinel-serve"}', "1600x4"),), "1m"),
        ),
    ),
    Alert(
        "SentinelWatchdog",
        "vector(1)",
        "none", "itself", "Always fires: if this stops firing, alerting is broken.",
        "Shows that alerts get from Prometheus to whoever is on call.",
        "None. Its absence means that no alert arrives.",
        (_PROM, ("Does Alertmanager have it?", "amtool alert query alertname=SentinelWatchdog"), ("Are rules loaded?", "curl -s http://127.0.0.1:9090/api/v1/rules")),
        "Send it to a dead man's switch, and nowhere else.",
        (Case((), "1m", {}),),
    ),
)  # fmt: skip

RECORDING = (
    ("job:sentinel_acquire_wait_seconds:p95_5m", "histogram_quantile(0.95, sum by (job, le) (rate(sentinel_acquire_wait_seconds_bucket[5m])))"),
    ("suite:sentinel_run_tests:error_ratio", 'sum by (suite, branch_class) (sentinel_run_tests{outcome=~"failed|error|crashed|worker-crashed"}) / sum by (suite, branch_class) (sentinel_run_tests{outcome!="skipped"})'),
    ("job:sentinel_up:ratio_1h", 'avg by (job) (avg_over_time(up{job=~"sentinel.*"}[1h]))'),
)  # fmt: skip
