"""The board of the pool on a real service that works: each of its queries is answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Error, Playwright

from dashboards.src.generate import JSON
from tests.runs import slack, wait_until
from tests.service.serving import Service, service
from tests.telemetry.servers import Prometheus, needed, prometheus

pytestmark = [needed, pytest.mark.browser]

CONFIG = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: sentinel-serve
    static_configs: [{{targets: ["{control}"]}}]
"""
BOARD: Any = json.loads((JSON / "pool.json").read_text())


def work(playwright: Playwright, found: Service) -> None:
    """Have leases granted, ended and refused, and a browser die."""
    connect = playwright.chromium.connect
    for _ in range(2):
        held = connect(f"{found.ws}/chromium?owner=anna")
        with pytest.raises(Error, match="no chromium is free"):
            connect(f"{found.ws}/chromium?owner=bert&wait=0")
        held.close()
        wait_until(lambda: not found.leases(), 10 * slack(), "an end of the lease")
    connect(f"{found.ws}/chromium")
    (browser,) = found.browsers()
    psutil.Process(browser["pid"]).kill()
    wait_until(lambda: not found.leases() and found.browsers(), 30 * slack(), "another browser")


def unanswered(server: Prometheus) -> list[str]:
    """Return the queries that have no answer, or one in which a label of the legend is empty."""
    missing = []
    for panel in BOARD["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$job", ".+").replace("$__rate_interval", "1m")
            rows = server.ask("query", query=query)["result"]
            labels = re.findall(r"{{(\w+)}}", target["legendFormat"])
            if not rows or not all(row["metric"].get(label) for row in rows for label in labels):
                missing.append(f"{panel['title']}: {query}: {rows}")
    return missing


def test_every_query_is_answered(playwright: Playwright, tmp_path: Path) -> None:
    """Each panel shows something, with a name for each line; the first of its kind counts, too."""
    with (
        service(tmp_path, "--min", "1", "--max", "1", "--contexts-per-browser", "1") as found,
        prometheus(tmp_path / "prometheus", CONFIG.format(control=found.control)) as server,
    ):
        wait_until(found.browsers, 30 * slack(), "a browser")
        wait_until(lambda: server.value("sentinel_pool_ready"), 20 * slack(), "a scrape")
        work(playwright, found)
        for counter in ('refusals_total{cause="full"}', "crashes_total", "leases_total"):
            increase = f"sum(increase(sentinel_pool_{counter}[1m]))"
            wait_until(lambda asked=increase: server.value(asked), 20 * slack(), increase)
        assert unanswered(server) == []
