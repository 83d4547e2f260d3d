"""Runs and a service, scraped live and pushed, on real servers: nothing lost, nothing strange."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from dashboards.src.alerts import ALERTS
from pytest_sentinel.telemetry.catalogue import BY_SAMPLE, CATALOGUE, DOMAINS, WAITS, Series
from tests.larder.process import Larder, running_larder
from tests.load.locustkit import FLOW, locust
from tests.runs import Scratch, slack, wait_until
from tests.service.serving import service
from tests.telemetry.servers import (
    Prometheus,
    fetch,
    free_port,
    needed,
    prometheus,
    pushgateway,
)

pytestmark = [needed, pytest.mark.browser]

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: gateway
    honor_labels: true
    static_configs: [{{targets: ["{gateway}"]}}]
  - job_name: sentinel-run
    static_configs: [{{targets: ["127.0.0.1:{live}"]}}]
"""
SUITE = """
import pytest

PAGE = "<h1>Hello</h1><script>console.error('oops'); console.warn('hm')</script>"

@pytest.fixture(scope="session")
def site():
    import http.server

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            missing = self.path != "/"
            self.send_response(404 if missing else 200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE.encode() + b"<img src=/missing.png><button>x</button>"
                             b"<script>setTimeout(() => { throw new Error('boom') }, 1)</script>")

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()

@pytest.mark.parametrize("n", range(6))
def test_page(page, site, n):
    page.goto(site)
    page.click("button")
    page.wait_for_timeout(150)

def test_leak(browser):
    browser.new_context()

def test_flaky(page, once, kill):
    if once("flaky"):
        kill(wait=True)
        page.goto('about:blank')
        assert page.title() == 'gone'

@pytest.mark.skip
def test_skipped():
    pass

def test_bad():
    assert False
"""


def families(text: str) -> dict[str, str]:
    """Return the type of each family in an exposition."""
    return dict(re.findall(r"^# TYPE (sentinel_\S+) (\w+)$", text, re.MULTILINE))


def unknown(series: list[dict[str, str]]) -> list[str]:
    """Return what is wrong with series of Prometheus, by the catalogue."""
    wrong = []
    for labels in series:
        known = BY_SAMPLE.get(labels["__name__"])
        if known is None:
            wrong.append(f"{labels['__name__']} is not in the catalogue")
            continue
        given = set(labels) - {"__name__", "job", "instance", "le"}
        if given != set(known.labels):
            wrong.append(f"{labels['__name__']} has labels {given}")
        for name in given:
            domain = DOMAINS[name]
            if isinstance(domain, tuple) and labels[name] not in (*domain, "other"):
                wrong.append(f"{labels['__name__']} has {name}={labels[name]}")
    return wrong


def missing(series: list[dict[str, str]], *sources: str) -> set[str]:
    """Return the samples of the catalogue that no series has."""
    wanted = [found for found in CATALOGUE if found.source in sources]
    return {name for found in wanted for name in found.samples} - {
        labels["__name__"] for labels in series
    }


def check(text: str) -> None:
    """Assert that promtool finds nothing to complain about."""
    told = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout, told.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Pushgateway."""
    with pushgateway(tmp_path_factory.mktemp("gateway")) as url:
        yield url


def all_series(server: Prometheus) -> list[dict[str, str]]:
    """Return every series of ours."""
    found: list[dict[str, str]] = server.ask("series", **{"match[]": '{__name__=~"sentinel_.+"}'})
    return found


def test_a_run_is_scraped_live_and_pushed(
    pytester: pytest.Pytester, tmp_path: Path, gateway: str
) -> None:
    """Each series is in the catalogue, and the reverse; promtool finds no fault with any."""
    live = free_port()
    config = CONFIG.format(gateway=gateway.removeprefix("http://"), live=live)
    scratch = Scratch(pytester, SUITE)
    with prometheus(tmp_path / "prometheus", config) as server:
        result = scratch.run(
            *("-n", "2", f"--sentinel-metrics=127.0.0.1:{live}", f"--sentinel-push={gateway}"),
            *("--sentinel-suite=shop", "--sentinel-branch-class=main", "--sentinel-textfile=."),
            *(
                "--sentinel-gates=crashes: count < 9;uptime: rate > 9%",
                "--sentinel-metrics-linger=20s",
            ),
            "--sentinel-page-metrics=heap",
        )
        assert result.ret == 1
        wait_until(
            lambda: server.value("sentinel_run_duration_seconds"), 10 * slack(), "what was pushed"
        )
        series = all_series(server)
        counted = server.values("sum by (outcome) (max_over_time(sentinel_tests_total[10m])) > 0")

    assert unknown(series) == []
    rare = {
        # What does not happen here: a worker that dies, a browser that does not start, an overflow.
        *("sentinel_run_last_success_timestamp_seconds", "sentinel_label_overflow_total"),
    }
    assert missing(series, "run", "last") == rare
    check(fetch(f"{gateway}/metrics").partition("# HELP go_")[0])
    check((scratch.path / "sentinel_shop_main.prom").read_text())
    # What was scraped last is what the record says.
    told = {row.outcome for row in scratch.attempts()}
    # The others are there too, at zero: what begins at its first event has no increase.
    assert {dict(labels)["outcome"] for labels in counted} == told
    assert "sentinel_tests_total" in (scratch.path / ".sentinel/runs/latest/metrics.om").read_text()


def test_equal_runs_in_a_row_read_right(
    pytester: pytest.Pytester, tmp_path: Path, gateway: str
) -> None:
    """Two runs with the same outcome are two runs: the moment of their end tells them apart."""
    config = CONFIG.format(gateway=gateway.removeprefix("http://"), live=1)
    scratch = Scratch(pytester, "def test_it(): pass")
    with prometheus(tmp_path / "prometheus", config) as server:
        name = 'sentinel_run_last_completed_timestamp_seconds{suite="equal"}'
        ends = [0.0]
        for number in range(2):
            scratch.run(f"--sentinel-push={gateway}", "--sentinel-suite=equal")
            before = ends[-1]
            wait_until(
                lambda before=before: (server.value(name) or 0.0) > before,
                15 * slack(),
                f"run {number}",
            )
            ends.append(server.value(name) or 0.0)
            assert server.value('sentinel_run_tests{suite="equal", outcome="passed"}') == 1
        # One change of the moment is two runs. As a counter the sum would never have grown.
        assert server.value(f"changes({name}[5m])") == 1
        assert server.value('increase(sentinel_run_tests{suite="equal",outcome="passed"}[5m])') == 0


LEAVES_TWO = """
@pytest.mark.parametrize("number", range(2))
def test_fails(number):
    os.open("/dev/null", os.O_RDONLY)
    assert False
"""


def test_equal_runs_that_are_scraped_add_up(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """Three runs of one target with two failures each are six failures, not none."""
    live = free_port()
    config = CONFIG.format(gateway="127.0.0.1:1", live=live)
    scratch = Scratch(pytester, LEAVES_TWO)
    alert = next(alert for alert in ALERTS if alert.name == "SentinelLeakSuspected")
    with prometheus(tmp_path / "prometheus", config) as server:
        for _ in range(3):
            result = scratch.run(
                f"--sentinel-metrics=127.0.0.1:{live}", "--sentinel-metrics-linger=30s"
            )
            result.assert_outcomes(failed=2)
        failed = server.value('sum(increase(sentinel_tests_total{outcome="failed"}[30m]))')
        took = server.value(
            "sum(increase(sentinel_test_duration_seconds_count{phase='call'}[30m]))"
        )
        leaked = server.values(alert.expr)

    # Prometheus extrapolates to the ends of the range by half the distance of two samples.
    assert failed is not None
    assert 5.5 < failed < 9
    assert took is not None
    assert 5.5 < took < 9
    assert leaked


def test_what_is_not_pushed_any_more_is_gone(pytester: pytest.Pytester, gateway: str) -> None:
    """A push replaces all of the push before: no gate of an older run stays."""
    scratch = Scratch(pytester, "def test_it(): pass")
    wanted = (f"--sentinel-push={gateway}", "--sentinel-suite=gates")
    scratch.run(*wanted, "--sentinel-gates=leaks: count == 0 [name=old]")
    scratch.run(*wanted, "--sentinel-gates=leaks: count == 0 [name=new]")

    rows = [row for row in fetch(f"{gateway}/metrics").splitlines() if 'suite="gates"' in row]

    gates = [row for row in rows if row.startswith("sentinel_run_quality_gate_passed")]
    assert len(gates) == 1
    assert 'gate="new"' in gates[0]


def test_a_service_is_scraped(tmp_path: Path, playwright: Playwright) -> None:
    """Each of its families is in the catalogue with that type, and the reverse."""
    with service(tmp_path, "--min", "1") as running:
        browser = playwright.chromium.connect(running.ws + "/chromium")
        browser.new_page().set_content("<p>hello")
        browser.close()
        config = (
            "global: {scrape_interval: 1s}\nscrape_configs:\n  - job_name: sentinel-serve\n"
            f'    static_configs: [{{targets: ["{running.control}"]}}]\n'
        )
        with prometheus(tmp_path / "prometheus", config) as server:
            wait_until(
                lambda server=server: server.value("sentinel_lease_seconds_count"),
                10 * slack(),
                "a scrape",
            )
            series = all_series(server)
        with urllib.request.urlopen(f"http://{running.control}/metrics", timeout=10) as answer:
            text = answer.read().decode()

    assert unknown(series) == []
    check(text)
    by_name = {found.name: found for found in CATALOGUE if found.source == "service"}
    for name, kind in families(text).items():
        assert by_name[name].kind == kind
    waits = re.findall(r'^sentinel_acquire_wait_seconds_bucket{le="([^"]+)"', text, re.MULTILINE)
    assert waits == [*map(str, WAITS), "+Inf"]
    # Counters with a cause are there once it has happened; a breaker once it was needed.
    happens = {found.name for found in by_name.values() if _waits_for_a_cause(found)}
    assert set(by_name) - set(families(text)) <= happens


LOAD = ("--headless", "--stop-timeout", "1", "-u", "1", "-r", "10", "-t", "1m")


def test_a_load_run_is_scraped(tmp_path: Path, larder: Larder) -> None:
    """Each series of its port is in the catalogue with that type, and the reverse."""
    port = free_port()
    place = ("--host", larder.url, "--sentinel-metrics", f"127.0.0.1:{port}")
    with locust(tmp_path, FLOW, *LOAD, *place) as run:
        url = f"http://127.0.0.1:{port}/metrics"
        wait_until(lambda: "kitchen" in quietly(url), 60 * slack(), "a flow")
        text = fetch(url)
        run.stop()

    check(text)
    by_name = {found.name: found for found in CATALOGUE if found.source == "load"}
    assert families(text) == {name: found.kind for name, found in by_name.items()}
    rows = [row for row in text.splitlines() if not row.startswith("#")]
    assert {row.partition("{")[0].partition(" ")[0] for row in rows} == {
        sample for found in by_name.values() for sample in found.samples
    }
    edges = set(re.findall(r'seconds_bucket{le="([^"]+)"', text))
    assert edges == {*map(str, WAITS), "+Inf"}


def quietly(url: str) -> str:
    """Return what an address answers; nothing where it does not."""
    try:
        return fetch(url)
    except OSError:
        return ""


@pytest.fixture(scope="module")
def larder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """A shop for the load run."""
    with running_larder(tmp_path_factory.mktemp("larder")) as found:
        yield found


def _waits_for_a_cause(series: Series) -> bool:
    return bool(series.labels)
